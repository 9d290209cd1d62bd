"""Strict reading of tables: each check refuses with the path to what is wrong, and says what it wanted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from enarx.formats.checks import Invalid
from enarx.formats.tables import each_of, known_keys, needs

PATH = ("table", 0, "key")


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (lambda: known_keys([], PATH, ()), "config-type", "table.0.key is an array, wanted a table"),
        (lambda: known_keys({"b": 1}, PATH, ("a",)), "config-unknown-key", "unknown key 'b'"),
        (lambda: needs({}, PATH, "entry", "name"), "config-missing", "entry without name"),
        (lambda: each_of({"k": {}}, (), "k", tuple), "config-type", "k is a table, wanted an array"),
    ],
)
def test_refusals(call: Callable[[], object], code: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        call()
    assert (caught.value.code, caught.value.message) == (code, message)


def test_what_is_right_comes_back() -> None:
    known_keys({"a": 1}, PATH, ("a", "b"))
    needs({"a": 1}, PATH, "entry", "a")
    assert each_of({}, (), "k", lambda item, path: item) == ()
    assert each_of({"k": ["a"]}, ("t",), "k", lambda item, path: (item, path)) == (("a", ("t", "k", 0)),)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("memroy", "did you mean 'memory'?"),
        ("zzz", "known here: disk, memory"),
        ("m" * 10_000, "known here: disk, memory"),
    ],
)
def test_the_hint_is_the_nearest_known_word(word: str, hint: str) -> None:
    assert Invalid((), "unknown", near=(word, ("memory", "disk"))).hint == hint
