"""Strict reading of values: each check refuses with the path to what is wrong, and says what it wanted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from enarx.formats import checks
from enarx.formats.checks import MAX_ITEMS, Invalid

PATH = ("table", 0, "key")


def refused(call: Callable[[], object]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (lambda: checks.text_of(1, PATH), "config-type", "table.0.key is an integer, wanted a text"),
        (lambda: checks.text_of("a\0", PATH), "config-value", "table.0.key contains NUL"),
        (lambda: checks.text_of("", PATH, empty=False), "config-value", "table.0.key is empty"),
        (lambda: checks.text_of("\udcff", PATH), "config-value", "table.0.key is not UTF-8"),
        (lambda: checks.one_of(True, PATH, ("a", "b")), "config-type", "table.0.key is a boolean, wanted a or b"),
        (lambda: checks.one_of("c", PATH, ("a", "b")), "config-value", "key is 'c', wanted a or b"),
        (lambda: checks.whole(True, PATH, 0, 9), "config-type", "table.0.key is a boolean, wanted an integer"),
        (lambda: checks.whole(10, PATH, 0, 9), "config-value", "table.0.key is 10, wanted 0 to 9"),
        (
            lambda: checks.whole(1 << 64, PATH, 0, 9),
            "config-value",
            "table.0.key is an integer of more than 64 bits, wanted 0 to 9",
        ),
        (lambda: checks.unique(["a", "a"], "files", "name"), "config-duplicate", "'a' is repeated in files"),
        (
            lambda: checks.limited([0] * (MAX_ITEMS + 1), PATH),
            "config-value",
            "table.0.key has 1025 entries, at most 1024",
        ),
    ],
)
def test_refusals(call: Callable[[], object], code: str, message: str) -> None:
    error = refused(call)
    assert (error.code, error.message) == (code, message)


def test_what_is_right_comes_back() -> None:
    checks.unique(["a", "b"], "files", "name")
    checks.limited([0] * MAX_ITEMS, PATH)
    assert checks.text_of("text", PATH) == "text"
    assert checks.text_of("", PATH) == ""
    assert checks.one_of("a", PATH, ("a", "b")) == "a"
    assert [checks.whole(n, PATH, 0, 9) for n in (0, 9)] == [0, 9]


def test_paths_for_people() -> None:
    assert checks.dotted(()) == "the file"
    assert checks.dotted(("files", 0, "a\x1bb")) == "files.0.'a\\x1bb'"


@pytest.mark.parametrize(
    ("value", "wanted", "equal"),
    [
        (1, True, False),
        ({"a": [1]}, {"a": [True]}, False),
        ({"a": [1, "b"]}, {"a": [1, "b"]}, True),
        ([1], [1, 1], False),
    ],
)
def test_equality_is_strict_about_types(value: object, wanted: object, equal: bool) -> None:
    assert checks.same(value, wanted) is equal
