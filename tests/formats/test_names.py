from __future__ import annotations

import pytest

from enarx.formats.names import is_keep_name


@pytest.mark.parametrize(
    "name", ["a", "0", "web", "web-1", "1-web", "a--b", "x" * 63, "cafe", "0123456789abcde", "xn--a"]
)
def test_names(name: str) -> None:
    assert is_keep_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "-", "-a", "a-", "A", "a_b", "a.b", "a b", "a\n", "a/b", "ä", "x" * 64, "0123456789abcdef", "a\0", "..", "٣"],
)
def test_other_texts(name: str) -> None:
    assert not is_keep_name(name)
