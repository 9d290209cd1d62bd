"""T70: a workload, or an attacker who has taken over its Keep, returns a tree that is to harm the tenant's machine.

Every attack ends in a named error, and leaves the destination as it was. The first part attacks what a tenant unpacks, with streams
that no honest collector sends; the second takes over the runner of a real Keep, which then makes trees that no guest could make.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enarx.errors import DeliveryError, EnarxError, UnavailableError
from enarx.formats.package import MAX_ENTRIES, MAX_TREE_DEPTH
from enarx.formats.results import COUNT
from enarx.tenant.results import Results
from tests import wat
from tests.attacks.escaped import Tree
from tests.e2e.harness import enarx
from tests.streams import Entry, config, digest, final, raw, stream

HONEST: tuple[Entry, ...] = (("a", "f", b"content"), ("d", "d", b""), ("d/x", "f", b"x"))


class Place:
    """The destination `r`, which holds a file of the tenant's that is to be replaced, next to one that is not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path / "r"
        self.directory.mkdir(parents=True)
        (self.directory / "old").write_text("old")
        (path / "neighbour").write_text("neighbour")

    def results(self, disk: int = 1 << 20) -> Results:
        return Results(config("/out", disk=disk), {"/out": str(self.directory)}, replace=True)

    def untouched(self) -> bool:
        found = {str(p.relative_to(self.path)): p.is_symlink() for p in self.path.rglob("*")}
        return (
            found == {"r": False, "r/old": False, "neighbour": False} and (self.directory / "old").read_text() == "old"
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


def refused(place: Place, data: bytes, entries: tuple[Entry, ...] = (), results: Results | None = None) -> EnarxError:
    """No part of this stream is put into place, though the Keep signed its digest."""
    results = results or place.results()
    with pytest.raises(EnarxError) as e:
        for at in range(0, len(data), 1 << 16):
            results.take(at, data[at : at + (1 << 16)])
        results.finish(final({"/out": digest(entries)}))
    assert place.untouched()
    assert type(e.value) in (DeliveryError, UnavailableError)
    return e.value


def test_an_honest_tree_is_accepted(place: Place) -> None:
    results = place.results()
    results.take(0, stream(HONEST))
    assert results.finish(final({"/out": digest(HONEST)}))[0].files == 2
    assert sorted(str(p.relative_to(place.path)) for p in place.path.rglob("*")) == [
        "neighbour",
        "r",
        "r/a",
        "r/d",
        "r/d/x",
    ]


NAMES = (
    "..",
    "../neighbour",
    "/etc/cron.d/x",
    "d/../../neighbour",
    "./a",
    "d//x",
    "a/",
    "",
    "d\\..\\x",
    "C:\\x",
    "nul",
)
MORE_NAMES = ("CON.txt", "a\0b", "a\nb", "\x1b[2J", "a.", "a ")


@pytest.mark.parametrize("path", NAMES + MORE_NAMES)
@pytest.mark.parametrize("kind", ["d", "f"])
def test_names_that_lead_elsewhere(place: Place, path: str, kind: str) -> None:
    entries = (("d", "d", b""), (path, kind, b""))
    error = refused(place, stream(tuple(sorted(entries, key=lambda e: e[0].replace("/", "\0")))))
    assert error.code in ("results-name", "results-malformed")


@pytest.mark.parametrize(
    ("one", "other"), [("A", "a"), ("d/Straße", "d/strasse"), ("d/\u00e9", "d/e\u0301"), ("MAKEFILE", "Makefile")]
)
def test_twins(place: Place, one: str, other: str) -> None:
    entries = sorted([("d", "d", b""), (one, "f", b"1"), (other, "f", b"2")], key=lambda e: e[0].replace("/", "\0"))
    error = refused(place, stream(tuple(entries)), tuple(entries))
    assert (error.code, "differs only in case" in error.message) == ("results-name", True)


@pytest.mark.parametrize(
    "entries",
    [
        (("a", "f", b"1"), ("a", "f", b"2")),
        (("b", "f", b""), ("a", "f", b"")),
        (("d", "f", b""), ("d/x", "f", b"")),
        (("e/x", "f", b""),),
        (("d", "d", b""), ("e", "d", b""), ("d/x", "f", b"")),
        (("d", "d", b""), ("d/e/x", "f", b"")),
    ],
    ids=["twice", "out of order", "below a file", "without its directory", "back in a directory", "a level left out"],
)
def test_structure(place: Place, entries: tuple[Entry, ...]) -> None:
    assert refused(place, stream(entries), entries).code == "results-malformed"


@pytest.mark.parametrize(
    "entry",
    [
        raw(["a", "l", "/etc/passwd", 0]),
        raw(["a", "p", 0, 0]),
        raw(["a", "f", -1, 0]),
        raw(["a", "f", True, 0]),
        raw(["a", "f", 0, -1]),
        raw(["a", "f", 0, 1 << 63]),
        raw(["a", "d", 1, 0]),
        raw(["a", "f", 0]),
        raw(["a", "f", 0, 0, 0]),
        raw([b"a", "f", 0, 0]),
        raw({"path": "a"}),
        raw(["x" * 4096, "f", 0, 0]),
        raw(["/".join("d" * (MAX_TREE_DEPTH + 1)), "d", 0, 0]),
        b"\0\1\xff",
        b"\0\0",
        b"\0\5\x98\4abc",
    ],
)
def test_heads_that_are_none(place: Place, entry: bytes) -> None:
    assert refused(place, COUNT.pack(1) + entry).code == "results-malformed"


def test_a_file_that_claims_a_tebibyte(place: Place) -> None:
    data = COUNT.pack(1) + raw(["sparse", "f", 1 << 40, 0], bytes(2 << 20))
    assert "which limits.disk allows" in refused(place, data).message


def test_more_entries_than_a_package_may_have(place: Place) -> None:
    assert f"more than {MAX_ENTRIES} entries" in refused(place, COUNT.pack(MAX_ENTRIES + 1)).message


def test_a_hundred_thousand_files(place: Place) -> None:
    entries = tuple((f"{i:0200}", "f", b"") for i in range(100_000))
    data, most = stream(entries), stream(entries[:2000])
    assert "which limits.disk allows" in refused(place, data, entries).message
    results = place.results()
    results.take(0, most)
    assert results.finish(final({"/out": digest(entries[:2000])}))[0].files == 2000


@pytest.mark.parametrize("change", [b"", b"\0", b"\0" * 100])
def test_more_or_less_than_the_entries(place: Place, change: bytes) -> None:
    data = stream(HONEST)
    error = refused(place, data + change if change else data[:-1], HONEST)
    assert error.code == ("results-malformed" if change else "results-lost")


def test_other_content_than_the_keep_signed(place: Place) -> None:
    other = (*HONEST[:2], ("d/x", "f", b"y"))
    assert refused(place, stream(other), HONEST).code == "results-forged"
    executable = (*HONEST[:2], ("d/x", "x", b"x"))
    assert refused(place, stream(executable), HONEST).code == "results-forged"


# --- another process on the tenant's machine ---------------------------------------------------------------------------


def swap(place: Place, name: str) -> Callable[[], None]:
    """Replaces a directory or file of the new directory by a link to a directory outside."""
    outside = place.path.parent / "outside"

    def act() -> None:
        outside.mkdir(exist_ok=True)
        (new,) = place.path.glob(".r.enarx-*")
        (new / name).rename(place.path.parent / "moved")
        (new / name).symlink_to(outside)

    return act


@pytest.mark.parametrize("name", ["d", "d/e", "", "d/e/x"])
def test_links_that_are_swapped_in_while_it_is_written(place: Place, name: str) -> None:
    entries = (("d", "d", b""), ("d/e", "d", b""), ("d/e/x", "f", b"content"), ("d/e/y", "f", b"more"))
    data = stream(entries)
    results, half = place.results(), data.index(b"content") + 3
    results.take(0, data[:half])
    swap(place, name)()
    results.take(half, data[half:])
    with pytest.raises(UnavailableError) as e:
        results.finish(final({"/out": digest(entries)}))
    assert (e.value.code, "another process has replaced" in e.value.message) == ("results-write", True)
    for left in place.path.glob(".r.enarx-*"):
        left.unlink()  # the link in place of the new directory, which is another process's
    assert place.untouched()
    assert list((place.path.parent / "outside").iterdir()) == []


# --- a full disk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "small"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", str(path)], capture_output=True).returncode:
        pytest.skip("this user cannot mount a small disk")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    place = Place(small_disk / "place")
    entries = (("big", "f", bytes(512 << 10)),)
    error = refused(place, stream(entries), entries)
    assert (error.code, "No space left on device" in error.message) == ("results-write", True)
    assert error.hint


def test_a_full_disk_in_a_real_run(small_disk: Path, home: Path) -> None:
    script = wat.entry("f", "big", 1 << 20)
    (home / "maker.wasm").write_bytes(wat.maker())
    found = enarx(home, "run", "--simulate", "--out", f"{small_disk}/r::/out", home / "maker.wasm", stdin=script)
    assert found.returncode == 127
    assert b"No space left on device; it is as before" in found.stderr
    assert b"fault of the program" not in found.stderr
    assert os.listdir(small_disk) == []


# --- a real Keep whose runner was taken over ---------------------------------------------------------------------------

OUT = '[[dirs]]\nguest = "/out"\nmode = "out"\n'
TREES = {
    "links": ("os.symlink('/etc', '/data/0/x')", b"'x' is neither a file nor a directory"),
    "links below": (
        "os.mkdir('/data/0/d')\nos.symlink('x', '/data/0/d/x')",
        b"'d/x' is neither",
    ),
    "sparse": (
        "fd = os.open('/data/0/f', os.O_CREAT | os.O_RDWR)\nos.ftruncate(fd, 1 << 40)",
        b"sparse file counts with its full length",
    ),
    "deep": (
        "fd = os.open('/data/0', os.O_PATH)\nfor _ in range(3000):\n    os.mkdir('d', dir_fd=fd)\n"
        "    inner = os.open('d', os.O_PATH, dir_fd=fd)\n    os.close(fd)\n    fd = inner",
        b"64 levels",
    ),
    "not UTF-8": ("os.open(b'/data/0/\\xff', os.O_CREAT | os.O_RDWR)", b"cannot be read: UnicodeEncodeError"),
    "closed": ("os.mkdir('/data/0/d', 0)", b"cannot be read: PermissionError"),
    "hard links": (
        "os.close(os.open('/data/0/f', os.O_CREAT | os.O_RDWR))\nos.truncate('/data/0/f', 30 << 20)\n"
        "for i in range(3): os.link('/data/0/f', f'/data/0/{i}')",
        b"more data than limits.disk allows",
    ),
    "many": (
        "os.close(os.open('/data/0/f', os.O_CREAT | os.O_RDWR))\ntry:\n"
        "    for i in range(1 << 20): os.link('/data/0/f', '/data/0/' + str(i) * 30)\nexcept OSError: pass",
        None,
    ),
}


@pytest.mark.parametrize("name", TREES)
def test_trees_of_a_runner_that_was_taken_over(home: Path, name: str) -> None:
    attack, message = TREES[name]
    found = Tree(home).run(attack, f'disk = "64MiB"\n{OUT}', options=("--out", f"{home}/r::/out"))
    if message is None:
        assert found.returncode in (0, 137)
        assert (home / "r").exists() is (found.returncode == 0)
    else:
        assert found.returncode == 137, found.stderr
        assert message in found.stderr, found.stderr
        assert not (home / "r").exists()
    assert list(home.glob(".r.enarx-*")) == []


def test_a_runner_that_was_taken_over_and_makes_an_honest_tree(home: Path) -> None:
    attack = "fd = os.open('/data/0/f', os.O_CREAT | os.O_RDWR)\nos.write(fd, b'content')"
    found = Tree(home).run(attack, OUT, options=("--out", f"{home}/r::/out"))
    assert found.returncode == 0, found.stderr
    assert (home / "r" / "f").read_bytes() == b"content"
