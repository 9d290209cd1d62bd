"""Results as the tenant unpacks them. Hostile streams are attacked with in tests/attacks/test_t70_hostile_trees.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.errors import DeliveryError, UnavailableError, UsageError
from enarx.tenant.results import Results, digest_of
from tests.streams import Entry, config, digest, final, stream

TREE: tuple[Entry, ...] = (
    ("a", "f", b"content"),
    ("d", "d", b""),
    ("d/e", "d", b""),
    ("d/e/f", "x", b"#!"),
    ("d/z", "f", b""),
    ("d-", "f", b"later"),
)


def given(results: Results, data: bytes, size: int = 7) -> None:
    for at in range(0, len(data), size):
        results.take(at, data[at : at + size])


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_directory(tmp_path: Path, size: int) -> None:
    results = Results(config("/out"), {"/out": str(tmp_path / "r")})
    results.check()
    given(results, stream(TREE), size)
    (found,) = results.finish(final({"/out": digest(TREE)}))
    assert (found.guest, found.files, found.bytes, found.path) == ("/out", 4, 14, str(tmp_path / "r"))
    assert found.digest == digest(TREE) == digest_of(str(tmp_path / "r"))
    assert (tmp_path / "r" / "d/e/f").read_bytes() == b"#!"
    assert (tmp_path / "r" / "d-").read_bytes() == b"later"
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_several_and_an_empty_one(tmp_path: Path) -> None:
    results = Results(config("/a", "/b/c", "/b/d"), {"/a": str(tmp_path / "1"), "/b/d": str(tmp_path / "2")})
    given(results, stream((), TREE, TREE[:1]))
    digests = {"/a": digest(()), "/b/c": digest(TREE), "/b/d": digest(TREE[:1])}
    found = results.finish(final(digests))
    assert [(d.guest, d.files, d.path != "") for d in found] == [("/a", 0, True), ("/b/c", 4, False), ("/b/d", 1, True)]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["1", "2", "a"]


def test_times(tmp_path: Path) -> None:
    for times in (False, True):
        results = Results(config("/out"), {"/out": str(tmp_path / f"{times}")}, times=times)
        given(results, stream(TREE, mtime=10**18))
        results.finish(final({"/out": digest(TREE)}))
    for name in ("a", "d", "d/e", "d/e/f"):
        assert ((tmp_path / "True" / name).stat().st_mtime_ns == 10**18) is True
        assert ((tmp_path / "False" / name).stat().st_mtime_ns == 10**18) is False


def test_a_destination_of_none() -> None:
    with pytest.raises(UsageError) as e:
        Results(config("/out"), {"/other": "r"})
    assert (e.value.code, e.value.hint) == ("out-unknown", "its output directories: /out")
    with pytest.raises(UsageError) as e:
        Results(config(), {"/other": "r"})
    assert e.value.hint == "it has none"


def test_missing_ones_are_named() -> None:
    assert Results(config("/a", "/b"), {"/b": "r"}).missing == ["/a"]


@pytest.mark.parametrize("cause", ["refused", "failed", "output", "stopped"])
def test_without_results(tmp_path: Path, cause: str) -> None:
    results = Results(config("/out"), {"/out": str(tmp_path / "r")})
    given(results, stream(TREE)[:20])
    assert results.finish(final({}, cause)) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_stream_whose_digests_the_final_record_lacks(tmp_path: Path) -> None:
    results = Results(config("/out"), {"/out": str(tmp_path / "r")})
    given(results, stream(TREE))
    with pytest.raises(DeliveryError, match="other directories"):
        results.finish(final({}, "exit"))
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_kept_for_the_end(tmp_path: Path) -> None:
    results = Results(config("/out"), {"/out": str(tmp_path / "r")})
    results.take(0, b"\xff" * 100)
    assert list(tmp_path.iterdir()) == []
    results.take(100, b"more")
    with pytest.raises(DeliveryError, match="more than 524288 entries"):
        results.finish(final({"/out": digest(TREE)}))


def test_a_gap_is_an_error_of_the_host(tmp_path: Path) -> None:
    results = Results(config("/out"), {"/out": str(tmp_path / "r")})
    data = stream(TREE)
    results.take(0, data[:10])
    results.take(11, data[11:])
    with pytest.raises(UnavailableError) as e:
        results.finish(final({"/out": digest(TREE)}))
    assert e.value.code == "results-lost"
    assert list(tmp_path.iterdir()) == []


def test_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "old").write_text("old")
    out = {"/a": str(tmp_path / "1"), "/b": str(tmp_path / "2")}
    results = Results(config("/a", "/b"), out, replace=True)
    given(results, stream(TREE, TREE))
    (tmp_path / "2").write_text("a file that came meanwhile")
    results._destinations["/b"]._replace = False
    with pytest.raises(UnavailableError) as e:
        results.finish(final({"/a": digest(TREE), "/b": digest(TREE)}))
    assert e.value.code == "results-write"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2"]
    assert [p.name for p in (tmp_path / "1").iterdir()] == ["old"]


def test_the_digest_of_a_directory_with_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(UsageError, match="is a link"):
        digest_of(str(tmp_path))
