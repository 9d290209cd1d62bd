"""Providers and recipients in a manifest, and the head of a part."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from enarx.errors import ParseError
from enarx.formats.making import head_bytes
from enarx.formats.package import Manifest
from enarx.formats.sharing import MAX_NAME, MAX_PART_HEAD, MAX_PARTIES, PartHead, Recipient
from enarx.formats.wire import decode, encode
from tests.exchange import public
from tests.parties import NORTH, OTHER_READER, PART_SALT, READER, SOUTH, part_of, shared

GOOD = shared(READER, OTHER_READER)
Change = Callable[[dict[str, Any]], object]


def changed(change: Change) -> bytes:
    value: Any = decode(GOOD.raw, "manifest")
    change(value)
    return encode(value)


def provider(value: dict[str, Any], seed: bytes = NORTH) -> dict[str, Any]:
    return next(p for p in value["providers"] if p["key"] == public(seed))


def test_what_a_manifest_names() -> None:
    assert Manifest.from_bytes(GOOD.raw) == GOOD
    assert [p.key for p in GOOD.providers] == sorted(map(public, (NORTH, SOUTH)))
    assert {p.name: (p.dirs, p.secrets) for p in GOOD.providers} == {
        "North Hospital": (("/north",), ("pin",)),
        "South Hospital": (("/south",), ()),
    }
    assert {r.key for r in GOOD.recipients} == {READER.public, OTHER_READER.public}
    assert GOOD.own_dirs == [1]
    assert [secret.name for secret in GOOD.own_secrets] == ["key"]
    assert GOOD.shared
    assert not shared(seeds=()).shared
    assert shared(READER, seeds=()).shared


WRONG: dict[str, Change] = {
    "no list": lambda v: v.update(providers={}),
    "a number": lambda v: v.update(providers=0),
    "nothing": lambda v: v.update(recipients=None),
    "false": lambda v: v.update(recipients=False),
    "an entry that is no map": lambda v: v["providers"].__setitem__(0, []),
    "an unknown key": lambda v: provider(v).update(role="x"),
    "a missing key": lambda v: provider(v).pop("secrets"),
    "a short key": lambda v: provider(v).update(key=bytes(31)),
    "a key that is a text": lambda v: v["recipients"][0].update(key="x" * 1216),
    "the observers' key": lambda v: provider(v).update(key=bytes(32)),
    "keys out of order": lambda v: v["providers"].reverse(),
    "recipients out of order": lambda v: v["recipients"].reverse(),
    "a key twice": lambda v: v["recipients"].__setitem__(1, v["recipients"][0] | {"name": "another"}),
    "a name twice": lambda v: provider(v).update(name="South Hospital"),
    "an empty name": lambda v: provider(v).update(name=""),
    "a long name": lambda v: provider(v).update(name="x" * (MAX_NAME + 1)),
    "a name with control characters": lambda v: provider(v).update(name="North\x1b[31m"),
    "a name over two lines": lambda v: v["recipients"][0].update(name="a\nb"),
    "an unknown directory": lambda v: provider(v).update(dirs=["/east"]),
    "an unknown secret": lambda v: provider(v).update(secrets=["other"]),
    "a directory twice": lambda v: provider(v).update(dirs=["/north", "/north"]),
    "directories out of order": lambda v: (
        v["providers"].remove(provider(v, SOUTH)),
        provider(v).update(dirs=["/south", "/north"]),
    ),
    "a directory with two providers": lambda v: provider(v).update(dirs=["/north", "/south"]),
    "a secret with two providers": lambda v: provider(v, SOUTH).update(secrets=["pin"]),
    "nothing provided": lambda v: provider(v, SOUTH).update(dirs=[]),
    "directories that are a text": lambda v: provider(v).update(dirs="/north"),
    "a commitment for a provided directory": lambda v: v["dirs"].append(bytes(32)),
    "no commitment for the owner's": lambda v: v.update(dirs=[]),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_a_manifest_may_not_say(what: str) -> None:
    with pytest.raises(
        ParseError, check=lambda e: e.code in ("manifest-providers", "manifest-recipients", "manifest-dirs")
    ):
        Manifest.from_bytes(changed(WRONG[what]))


@pytest.mark.parametrize("more", [0, 1])
def test_a_list_has_a_largest_number(more: int) -> None:
    keys = [bytes([i]) * 1216 for i in range(1, MAX_PARTIES + 1 + more)]
    data = changed(lambda v: v.update(recipients=[{"key": k, "name": f"{k[0]}"} for k in keys]))
    if more:
        with pytest.raises(ParseError, check=lambda e: e.code == "manifest-recipients"):
            Manifest.from_bytes(data)
    else:
        assert Manifest.from_bytes(data).recipients[0] == Recipient(key=keys[0], name="1")


@pytest.mark.parametrize("manifest", [shared(), shared(READER, seeds=())], ids=["providers", "recipients"])
def test_a_keep_without_the_profile_refuses_them(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    import enarx.formats

    monkeypatch.setitem(sys.modules, "enarx.formats.sharing", None)
    monkeypatch.delattr(enarx.formats, "sharing")
    with pytest.raises(ParseError, match="this Keep does not have"):
        Manifest.from_bytes(manifest.raw)
    assert not Manifest.from_bytes(shared(seeds=()).raw).shared


def test_the_head_of_a_part() -> None:
    north = next(p for p in GOOD.providers if p.key == public(NORTH))
    head = PartHead(salt=PART_SALT, secrets=(("pin", b"p"),), index_sizes=(1,))
    assert PartHead.from_bytes(head_bytes(head), GOOD, north) == head
    assert head_bytes(PartHead.from_bytes(part_of(NORTH)[0].head, GOOD, north)) == part_of(NORTH)[0].head
    assert north.numbers(GOOD.config) == [0]
    for wrong in (
        {"secrets": ()},
        {"secrets": (("pin", b"p"), ("key", b"k"))},
        {"index_sizes": ()},
        {"index_sizes": (1, 1)},
        {"index_sizes": (1 << 40,)},
        {"index_sizes": (-1,)},
        {"salt": bytes(31)},
    ):
        bad = PartHead(**{"salt": PART_SALT, "secrets": (("pin", b"p"),), "index_sizes": (1,)} | wrong)
        with pytest.raises(ParseError):
            PartHead.from_bytes(head_bytes(bad), GOOD, north)


def test_heads_of_all_parts_are_no_larger_than_a_packages() -> None:
    from enarx.formats.package import MAX_HEAD

    assert MAX_PART_HEAD * MAX_PARTIES <= MAX_HEAD
