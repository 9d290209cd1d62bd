from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, UnavailableError
from enarx.image import measure as module
from enarx.image.measure import DigestCache, Measurement, explain, measure, measurement_from_text

LONG_AGO = 1_600_000_000 * 10**9


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "digests.json"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Three files that are old enough for the cache."""
    later = module.time.time_ns() + 10 * module.SETTLED
    monkeypatch.setattr(module.time, "time_ns", lambda: later)
    found = {}
    for name in ("b.py", "a.py", "lib.so"):
        (tmp_path / name).write_text(f"content of {name}")
        found[f"pkg/{name}"] = str(tmp_path / name)
    return found


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of files that are actually hashed, in order."""
    read: list[str] = []
    sha256: Callable[[str, list[int]], str] = module._sha256

    def noting(path: str, identity: list[int]) -> str:
        read.append(path)
        return sha256(path, identity)

    monkeypatch.setattr(module, "_sha256", noting)
    return read


def test_it_is_what_the_specification_says(tree: dict[str, str], kept: Path) -> None:
    names = sorted(tree)
    listing = []
    for name in names:
        content = Path(tree[name]).read_bytes()
        listing.append([name, len(content), hashlib.sha256(content).hexdigest()])
    expected = hashlib.sha384(cbor2.dumps(["enarx keep v1", listing], canonical=True)).digest()
    assert measure(tree, DigestCache(str(kept))).value == expected


def test_order_and_place_do_not_matter(
    tree: dict[str, str], kept: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = tmp_path_factory.mktemp("there")
    moved = {}
    for name in reversed(tree):
        moved[name] = str(there / os.path.basename(name))
        Path(moved[name]).write_bytes(Path(tree[name]).read_bytes())
    cache = DigestCache(str(kept))
    assert measure(moved, cache).value == measure(tree, cache).value


def test_content_name_and_number_matter(tree: dict[str, str], kept: Path) -> None:
    cache = DigestCache(str(kept))
    first = measure(tree, cache).value
    fewer = {k: v for k, v in tree.items() if k != "pkg/a.py"}
    renamed = {k.replace("a.py", "c.py"): v for k, v in tree.items()}
    Path(tree["pkg/b.py"]).write_text("content of B.py")
    assert len({first, *(measure(t, cache).value for t in (tree, fewer, renamed))}) == 4


def test_what_is_remembered_is_not_read_again(tree: dict[str, str], kept: Path, hashed: list[str]) -> None:
    first = measure(tree, DigestCache(str(kept)))
    assert sorted(hashed) == sorted(tree.values())
    hashed.clear()
    assert measure(tree, DigestCache(str(kept))) == first
    assert hashed == []


def test_a_changed_file_is_read_again(tree: dict[str, str], kept: Path, hashed: list[str]) -> None:
    first = measure(tree, DigestCache(str(kept)))
    changed = Path(tree["pkg/a.py"])
    before = changed.stat()
    changed.write_text("content of A.py")  # of the same size
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # and times, except ctime, which cannot be set
    hashed.clear()
    assert measure(tree, DigestCache(str(kept))).value != first.value
    assert hashed == [str(changed)]


def test_a_file_that_has_just_changed_is_not_remembered(
    tree: dict[str, str], kept: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = os.stat(tree["pkg/a.py"]).st_ctime_ns
    monkeypatch.setattr(module.time, "time_ns", lambda: changed + module.SETTLED // 2)
    measure(tree, DigestCache(str(kept)))
    measure(tree, DigestCache(str(kept)))
    assert hashed == sorted(tree.values()) * 2
    assert not kept.exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"x": 1}',
        b'{"x": [1, 2, 3, 4, 5]}',
        b'{"x": [1, 2, 3, 4, 5, "short"]}',
        b'{"x": [1, 2, 3, 4, "5", "' + b"0" * 64 + b'"]}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_memory_is_none(tree: dict[str, str], kept: Path, hashed: list[str], damage: bytes) -> None:
    first = measure(tree, DigestCache(str(kept)))
    kept.write_bytes(damage)
    hashed.clear()
    assert measure(tree, DigestCache(str(kept))) == first
    assert len(hashed) == 3
    json.loads(kept.read_bytes())


@given(st.binary(max_size=200))
def test_any_memory_is_survived(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        assert DigestCache(file.name)._known == {} or data.startswith(b"{")


def test_a_memory_that_can_not_be_written_costs_nothing_but_time(tree: dict[str, str], tmp_path: Path) -> None:
    nowhere = tmp_path / "missing" / "digests.json"
    assert measure(tree, DigestCache(str(nowhere))).value
    in_the_way = tmp_path / "digests"
    in_the_way.mkdir()
    assert measure(tree, DigestCache(str(in_the_way))).value
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".new")] == []


def test_a_file_that_changes_while_it_is_read_is_refused(
    tree: dict[str, str], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat

    def earlier(path: str) -> os.stat_result:
        found = stat(path)
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
        return found

    monkeypatch.setattr(module.os, "stat", earlier)
    with pytest.raises(UnavailableError, match="changed while it was read"):
        measure(tree, DigestCache(str(kept)))


def test_a_missing_file_is_said(tree: dict[str, str], kept: Path) -> None:
    os.unlink(tree["pkg/a.py"])
    with pytest.raises(UnavailableError, match=r"a\.py: No such file"):
        measure(tree, DigestCache(str(kept)))


def test_the_list_can_be_written_out_and_read_back(tree: dict[str, str], kept: Path) -> None:
    mine = measure(tree, DigestCache(str(kept)))
    assert measurement_from_text(mine.to_text()) == mine
    lines = mine.to_text().splitlines()
    assert len(lines) == 3
    assert measurement_from_text("\n".join(reversed(lines))).value == mine.value


DIGEST = "0" * 64


@pytest.mark.parametrize(
    "text",
    [
        f"{DIGEST} 1",
        f"{DIGEST}0 1 a",
        f"{DIGEST} -1 a",
        f"{DIGEST} x a",
        f"{DIGEST} \u0663 a",
        f"{DIGEST} 1 a\n\n",
        f"{DIGEST} 1 a\n{DIGEST} 2 a",
    ],
)
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="line"):
        measurement_from_text(text)


def test_a_difference_is_explained_file_by_file() -> None:
    def of(**digests: tuple[int, str]) -> Measurement:
        return Measurement(value=b"", digests=digests)

    mine = of(same=(1, "a" * 64), other=(2, "b" * 64), mine=(3, "c" * 64))
    theirs = of(same=(1, "a" * 64), other=(2, "d" * 64), theirs=(3, "c" * 64))
    assert explain(mine, theirs) == (
        "mine: only here",
        f"other: 2 bytes {'b' * 16} here, 2 bytes {'d' * 16} there",
        "theirs: only there",
    )
    assert explain(mine, mine) == ()
