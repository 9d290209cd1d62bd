"""Every attester of the registry has the form of the protocol, and fits the sandbox and the formats around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.keep import attester, sandbox
from enarx.keep.attester import ATTESTERS, load
from enarx.keep.attester.link import MAX_KIND
from enarx.verify.kinds import KINDS

OWN = {"__init__", "link", "process"}


@pytest.mark.parametrize("kind", ATTESTERS)
def test_it_is_what_the_registry_says(kind: str) -> None:
    loaded = load(kind)
    assert loaded.kind == kind
    assert kind in KINDS
    assert len(kind) <= MAX_KIND
    assert isinstance(loaded.directories, tuple)
    assert callable(loaded.attest)


@pytest.mark.parametrize("kind", ATTESTERS)
def test_the_filter_that_it_inherits_allows_what_its_own_does(kind: str) -> None:
    """Filters add up, and the stricter verdict holds."""
    own, inherited = load(kind).profile, sandbox.KEEPER_BOOT
    assert own.allowed | own.checks.keys() <= inherited.allowed | inherited.checks.keys()


def test_every_attester_is_in_the_registry() -> None:
    modules = {path.stem for path in Path(attester.__file__).parent.glob("*.py")} - OWN
    assert {entry.partition(":")[0].rpartition(".")[2] for entry in ATTESTERS.values()} == modules


def test_an_unknown_kind() -> None:
    with pytest.raises(KeyError):
        load("unknown")
