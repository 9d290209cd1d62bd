"""Sizes and durations as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from enarx.errors import UsageError
from enarx.formats.config import MAX_BYTES
from enarx.formats.quantities import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("4096B", 4096),
        ("64MiB", 64 << 20),
        ("64 mib", 64 << 20),
        ("1GiB", 1 << 30),
        ("500kB", 500_000),
        ("1.5KiB", 1536),
        (str(MAX_BYTES), MAX_BYTES),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "seconds"), [("250ms", 0.25), ("1s", 1), ("1.5", 1.5), ("2m", 120), ("1h", 3600)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("call", "text"),
    [
        *((parse_size, text) for text in ("", "many", "-1", "1.5", "9999TB", "99999999GB", str(MAX_BYTES + 1))),
        *((parse_size, text) for text in ("\u0661", "1e3", "1..5", "0x10")),
        *((parse_duration, text) for text in ("", "999999999h", "0s", "1d", "0.5ms", "1S", "nan", "inf")),
    ],
)
def test_wrong_texts_are_refused_with_an_example(call: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        call(text)
    assert "as " in caught.value.hint
