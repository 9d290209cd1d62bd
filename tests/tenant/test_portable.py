"""Names that no system takes for anything else."""

from __future__ import annotations

import os

import pytest

from enarx.errors import DeliveryError
from enarx.tenant import portable

GOOD = [
    "a",
    "A.B",
    ".hidden",
    "...a",
    "com",
    "com0",
    "console",
    "nul1",
    "com10",
    "ä" * 100,
    "a b",
    "-",
    "~",
    "日本語",
    "a:b",
]
BAD = {
    "": "leads out",
    ".": "leads out",
    "..": "leads out",
    "a/b": "separator",
    "/": "separator",
    "a\\b": "separator",
    "..\\x": "separator",
    "a\nb": "control",
    "a\0b": "control",
    "\x7f": "control",
    "\x9b31m": "control",
    "a.": "ends in",
    "a ": "ends in",
    "...": "ends in",
    "NUL": "reserved",
    "nul.txt": "reserved",
    "nul .txt": "reserved",
    "Com1": "reserved",
    "lpt9.tar.gz": "reserved",
    "COM²": "reserved",
    "conin$": "reserved",
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    portable.check(name, name)


@pytest.mark.parametrize(("name", "why"), BAD.items())
def test_bad(name: str, why: str) -> None:
    with pytest.raises(DeliveryError, match=why) as e:
        portable.check(name, f"d/{name}")
    assert e.value.code == "results-name"


@pytest.mark.parametrize("name", ["a:b", "a<b", "a|b", 'a"b', "a?b", "a*b"])
def test_characters_that_windows_does_not_allow(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    portable.check(name, name)
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(DeliveryError, match="Windows does not allow"):
        portable.check(name, name)


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "A"), ("straße", "STRASSE"), ("é", "e\u0301"), ("É", "e\u0301"), ("ﬀ", "FF"), ("ς", "Σ")],
)
def test_names_that_some_system_takes_for_one(one: str, other: str) -> None:
    assert portable.key(one) == portable.key(other)


def test_names_that_differ() -> None:
    assert portable.key("a") != portable.key("b")
    assert portable.key("e") != portable.key("é")
