from __future__ import annotations

from collections.abc import Callable

import pytest

from enarx.errors import UsageError
from enarx.formats.arguments import parse_dir, parse_env
from enarx.formats.config import Dir


def test_texts_of_the_command_line() -> None:
    assert parse_env("A=b=c") == ("A", "b=c")
    assert parse_dir("./x::/data") == Dir(guest="/data", host="./x", mode="ro")
    assert parse_dir("a::b::/:rw") == Dir(guest="/", host="a::b", mode="rw")
    assert parse_dir("x::/a:ro:rw") == Dir(guest="/a:ro", host="x", mode="rw")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (parse_env, "A"),
        (parse_env, "=x"),
        (parse_dir, "/only"),
        (parse_dir, "x::rel"),
        (parse_dir, "::/x"),
        (parse_dir, "x::/\udcff"),
    ],
)
def test_wrong_texts_of_the_command_line_have_a_hint(call: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(text)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["data", "data:/data", "::/data"])
def test_a_directory_with_one_place(text: str) -> None:
    """The host's directory may well exist: the error must not deny it."""
    with pytest.raises(UsageError, match="wanted HOST::GUEST"):
        parse_dir(text)


@pytest.mark.parametrize("text", ["hunter2", "A=hunter2\0", "A\0=hunter2", "=hunter2", "A=hunter2\udcff"])
def test_a_value_that_is_not_taken_is_not_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_env(text)
    assert "hunter2" not in caught.value.message + caught.value.hint
