"""Lists of Keeps, whatever a host reports."""

from __future__ import annotations

import os
from typing import Any

import pytest

from enarx.cli import listing

DIGEST = "ab" * 32
KEEP: dict[str, Any] = {
    "id": "0123456789abcdef",
    "name": "web",
    "kind": "process",
    "state": "running",
    "created": 1_700_000_000.5,
    "started": 1_700_000_000.5,
    "ended": None,
    "package_digest": "0" * 64,
    "declared_package": DIGEST,
    "memory": 1 << 30,
    "disk": 1 << 20,
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s ago"),
        (0, "0 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
        (172_799, "47 h ago"),
        (172_800, "2 days ago"),
        (100 * 86_400, "100 days ago"),
    ],
)
def test_how_long_ago(seconds: float, text: str) -> None:
    assert listing.ago(seconds) == text


def test_values_of_a_keep() -> None:
    assert listing.values(KEEP, ours=True) == {
        **KEEP,
        "created": "2023-11-14T22:13:20Z",
        "started": "2023-11-14T22:13:20Z",
        "ours": True,
    }


@pytest.mark.parametrize("odd", [None, [], {}, True, -1, 1e400, float("nan"), 1 << 200, "x"])
def test_values_of_wrong_types_are_missing_but_their_keys_are_not(odd: Any) -> None:
    value = listing.values({**dict.fromkeys(KEEP, odd), "id": "a"}, ours=False)
    assert value.keys() == {*KEEP, "ours"}
    assert value["started"] is None
    assert value["name"] == (odd if isinstance(odd, str) else "")
    assert listing.values({"id": "a"}, ours=False).keys() == value.keys()


def shown(capsys: pytest.CaptureFixture[str], *keeps: dict[str, Any]) -> list[str]:
    listing.show(list(keeps), {KEEP["id"]})
    return capsys.readouterr().out.splitlines()


def test_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    header, pooled, bound, bare = shown(
        capsys, KEEP, {**KEEP, "id": "a", "package_digest": "cd" * 32}, {"id": "b", "started": "soon"}
    )
    assert header.split() == list(listing.HEADER)
    assert pooled.split()[:3] == [KEEP["id"], "web", "running"]
    assert pooled.split()[-3:] == [DIGEST[:12], "process", "yes"]
    assert bound.split()[-2:] == ["cd" * 6, "process"], "what it was launched for goes before what is declared"
    assert bare.split() == ["b"]


def test_long_names_are_shortened_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {**KEEP, "name": "n" * 63}
    assert "n" * 63 in shown(capsys, long)[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for columns in (80, 100, 200, 20):
        monkeypatch.setattr(listing.shutil, "get_terminal_size", lambda width=columns: os.terminal_size((width, 24)))
        header, row = shown(capsys, long)
        if columns >= 80:
            assert max(len(header), len(row)) <= columns
        assert ("n" * 63 in row) is (columns == 200)
        assert ("nnn..." in row) is (columns < 200)
