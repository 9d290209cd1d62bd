"""Memos keep no argument alive, stay within their bound, and are used by everything in `verify` that remembers bytes."""

from __future__ import annotations

import ast
import hashlib
import importlib
import pkgutil
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

import enarx.verify
from enarx.verify.memo import LONG, OVERHEAD, Memo, memo

DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "attestation.md"
SOURCES = sorted(Path(enarx.verify.__file__).parent.rglob("*.py"))


def counting(max_bytes: int) -> tuple[Memo[bytes, str], list[bytes]]:
    """A memo of a function whose values are parsed from its argument."""
    calls: list[bytes] = []

    @memo(max_bytes=max_bytes)
    def read(data: bytes) -> str:
        calls.append(data)
        return data.decode("latin-1")

    return read, calls


def test_a_known_call_is_not_made_again() -> None:
    read, calls = counting(1 << 20)
    assert [read(b"one"), read(b"three"), read(bytes(bytearray(b"one")))] == ["one", "three", "one"]
    assert calls == [b"one", b"three"]
    assert read.misses == 2


def test_what_was_used_least_recently_goes_first() -> None:
    read, calls = counting(3 * (OVERHEAD + 1000))
    a, b, c, d = (bytes([i]) * 1000 for i in range(4))
    for data in (a, b, c, a, d, a, b):
        read(data)
    assert calls == [a, b, c, d, b]
    assert read.kept_bytes <= read.max_bytes


def test_many_small_calls_are_bounded_too() -> None:
    read, _ = counting(100 * OVERHEAD)
    for i in range(1000):
        read(i.to_bytes(2, "big"))
    assert 90 * OVERHEAD < read.kept_bytes <= 100 * OVERHEAD


def test_a_call_larger_than_the_bound_is_not_kept() -> None:
    read, calls = counting(1000)
    read(b"small")
    assert [len(read(data)) for data in (bytes(1001), bytes(1001), b"small")] == [1001, 1001, 5]
    assert len(calls) == 3


def test_arguments_of_several_types() -> None:
    calls = []

    @memo(max_bytes=1 << 20)
    def among(parts: tuple[bytes, ...], wanted: str) -> bool:
        calls.append(wanted)
        return wanted.encode() in parts

    given = (bytes(10_000), b"x")
    assert [among(given, "x"), among(given, "y"), among((bytes(10_000), b"x"), "x")] == [True, False, True]
    assert among((bytes(10_000) + b"x",), "x") is False, "parts are not run together"
    assert calls == ["x", "y", "x"]
    assert among.kept_bytes == 3 * OVERHEAD + 33 + 33 + 32


def test_a_digest_as_an_argument_is_not_taken_for_what_it_is_the_digest_of() -> None:
    long = bytes(LONG + 1)
    digest = hashlib.sha256(long).digest()

    @memo(max_bytes=1 << 20)
    def size(parts: bytes | tuple[bytes, ...]) -> int:
        return len(parts)

    assert [size(long), size(digest)] == [LONG + 1, 32]
    assert [size((long, b"")), size((digest, b"")), size((digest,))] == [2, 2, 1]
    assert size.misses == 5


def test_an_exception_is_not_kept() -> None:
    calls = []

    @memo(max_bytes=1 << 20)
    def fails(data: bytes) -> None:
        calls.append(data)
        raise ValueError(data)

    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            fails(b"x")
    assert len(calls) == 2


@pytest.mark.parametrize(("size", "counts"), [(LONG, LONG), (LONG + 1, 32), (1 << 20, 32)])
def test_a_verdict_on_long_arguments_counts_for_its_key_alone(size: int, counts: int) -> None:
    @memo(max_bytes=8 << 10)
    def even(data: bytes) -> bool:
        return len(data) % 2 == 0

    assert even(bytes(size)) is even(bytes(size))
    assert (even.misses, even.kept_bytes) == (1, OVERHEAD + counts)


def test_the_digest_of_an_argument_is_another_argument() -> None:
    """A host that sends the digest of a long argument, before or after, must get and leave no other's value."""
    read, calls = counting(1 << 20)
    long = b"x" * (LONG + 1)
    for data in (sha256(long).digest(), long, sha256(long).digest()):
        assert read(data) == data.decode("latin-1")
    assert len(calls) == 2


def test_long_arguments_are_not_kept_alive() -> None:
    @memo(max_bytes=1 << 20)
    def size(parts: tuple[bytes, ...], one: bytes) -> int:
        return len(parts) + len(one)

    one, parts = bytes(100_000), (bytes(100_000),)
    before = sys.getrefcount(one), sys.getrefcount(parts), sys.getrefcount(parts[0])
    size(parts, one)
    assert (sys.getrefcount(one), sys.getrefcount(parts), sys.getrefcount(parts[0])) == before


def test_clear() -> None:
    read, calls = counting(1 << 20)
    read(b"x")
    read.clear()
    assert read.kept_bytes == 0
    read(b"x")
    assert len(calls) == 2


def test_threads() -> None:
    read, _ = counting(20 * (OVERHEAD + 100))
    data = [bytes([i]) * 100 for i in range(60)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, data * 200)) == [one.decode("latin-1") for one in data] * 200
    assert read.kept_bytes <= read.max_bytes


def memos() -> dict[str, Memo[object, object]]:
    """Every memo in `enarx.verify`."""
    found = {}
    for module in pkgutil.walk_packages(enarx.verify.__path__, "enarx.verify."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Memo) and value._function.__module__ == module.name:
                found[f"{module.name}.{name}"] = value
    return found


def test_the_docs_have_the_sum() -> None:
    total = sum(one.max_bytes for one in memos().values())
    said = re.search(r"at most (\d+) MiB of certificates", " ".join(DOCS.read_text().split()))
    assert said is not None
    assert 0.5 < total / (int(said[1]) << 20) <= 1, f"{total / (1 << 20):.1f} MiB"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_other_cache_takes_bytes(path: Path) -> None:
    """`functools.cache` and `lru_cache` keep their arguments: they are for small ones."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and any("cache" in ast.unparse(one) for one in node.decorator_list):
            taken = {ast.unparse(arg.annotation) for arg in node.args.args if arg.annotation}
            assert not {one for one in taken if "bytes" in one}, node.name
