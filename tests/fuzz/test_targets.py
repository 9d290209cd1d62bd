"""The targets themselves: seeds get as deep as they should, and a few thousand mutations of them end as they must."""

from __future__ import annotations

import random

import pytest

from enarx.verify.result import AttestationResult
from tests.fuzz import targets

WORDS = (
    b"\0",
    b"\xff",
    b"\x80",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b'"',
    b"{",
    b"[",
    b"9" * 40,
    b"\xd9\x01\x8f",
)

pytestmark = pytest.mark.no_verdict(reason="that mutations end in errors of ours, whatever the verdict")


def mutated(seed: bytes, other: bytes, dice: random.Random) -> bytes:
    """The seed with up to four changes."""
    data = bytearray(seed)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(5):
            case 0 if data:
                data[at % len(data)] ^= 1 << dice.randrange(8)
            case 1:
                word = dice.choice(WORDS)
                data[at : at + len(word)] = word
            case 2:
                del data[at : at + dice.randint(1, 64)]
            case 3:
                data[at:at] = dice.choice(WORDS)
            case _:
                start = dice.randrange(len(other) + 1)
                data[at:at] = other[start : start + dice.randint(1, 64)]
    return bytes(data)


@pytest.mark.parametrize("trusting", [False, True], ids=["as it is", "every signature holds"])
@pytest.mark.parametrize("name", targets.TARGETS)
def test_mutations_end_in_nothing_but_errors_of_ours(name: str, trusting: bool) -> None:
    dice = random.Random(f"{name} {trusting}")
    seeds = targets.TARGETS[name].seeds
    for _ in range(100):
        data = mutated(dice.choice(seeds), dice.choice(seeds), dice)
        if trusting:
            with targets.every_signature_holds():
                targets.run(name, data)
        else:
            targets.run(name, data)


@pytest.mark.parametrize("name", [own.TARGETS and next(iter(own.TARGETS)) for own in targets.OWN])
def test_seeds_are_authentic(name: str) -> None:
    target = targets.TARGETS[name]
    for seed in target.seeds:
        result = target.run(seed)
        assert isinstance(result, AttestationResult)
        assert result.status not in ("not authentic", "undecided")
