"""Manifests and heads that a tenant makes are those that a Keep reads."""

from __future__ import annotations

import pytest

from enarx.errors import ParseError
from enarx.formats.making import head_bytes, make_manifest
from enarx.formats.package import MAX_HEAD, Head, Manifest
from enarx.formats.sharing import MAX_PART_HEAD, PartHead
from enarx.record import replace
from tests.exchange import Content, manifest
from tests.parties import NORTH, SOUTH, providers, shared


def test_a_manifest_reads_as_it_was_made() -> None:
    for made in (manifest(), shared()):
        assert Manifest.from_bytes(made.raw) == made


def test_parties_are_sorted() -> None:
    assert shared(seeds=(NORTH, SOUTH)).raw == shared(seeds=(SOUTH, NORTH)).raw


def test_what_a_keep_would_refuse_cannot_be_made() -> None:
    good = manifest()
    fields = {name: getattr(good, name) for name in ("owners", "wasm", "config", "args", "env", "dirs")}
    assert make_manifest(**fields).raw == good.raw
    with pytest.raises(ParseError, check=lambda e: e.code == "manifest-dirs"):
        make_manifest(**fields | {"dirs": ()})
    with pytest.raises(ParseError, check=lambda e: e.code == "manifest-providers"):
        make_manifest(**fields, providers=providers(NORTH))


@pytest.mark.parametrize("more", [0, 1])
def test_a_head_has_a_largest_size(more: int) -> None:
    content = Content()
    part = PartHead(salt=content.salt, secrets=(("s", b""),), index_sizes=())
    whole = Head(salt=content.salt, args=("a",), env=(), secrets=(("s", b""),), wasm_size=1, index_sizes=())
    for head, limit in ((part, MAX_PART_HEAD), (whole, MAX_HEAD)):
        room = limit - len(head_bytes(head, limit)) - 4 + more  # the length of a longer text takes four bytes more
        full = replace(head, secrets=(("s", bytes(room)),))
        if more:
            with pytest.raises(ParseError, check=lambda e: e.code == "head-size"):
                head_bytes(full, limit)
        else:
            assert len(head_bytes(full, limit)) == limit
