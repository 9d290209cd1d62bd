from __future__ import annotations

import os
from pathlib import Path

import pytest

from enarx.delivery.content import FilePiece
from enarx.errors import BackendError
from enarx.formats.package import FIXED_TIME, Node
from enarx.keep.files import SECRETS_GUEST, Storage
from enarx.keep.sandbox import Isolation

TREE = [Node("d", "d"), Node("d/empty", "f"), Node("d/f", "f", size=6), Node("l", "l", target="d/f")]


@pytest.fixture
def isolation(tmp_path: Path) -> Isolation:
    for name in ("data", "secrets"):
        (tmp_path / name).mkdir()
    data, secrets = f"{tmp_path}/data", f"{tmp_path}/secrets"
    return Isolation(layers=(), data=data, secrets=secrets, scratch=str(tmp_path), resizable=False)


def storage(isolation: Isolation) -> Storage:
    return Storage(isolation, sized=lambda: None)


def put(store: Storage, tree: int, node: Node, content: bytes, size: int) -> None:
    for offset in range(0, len(content), size):
        piece = memoryview(content)[offset : offset + size]
        store.piece(FilePiece(tree=tree, node=node, offset=offset, data=piece))


def test_secrets_are_files_that_only_their_owner_reads(isolation: Isolation) -> None:
    storage(isolation).secrets((("key", b"secret"), ("empty", b"")))
    path = Path(isolation.secrets)
    assert {p.name: (p.read_bytes(), p.stat().st_mode & 0o777) for p in path.iterdir()} == {
        "key": (b"secret", 0o400),
        "empty": (b"", 0o400),
    }


def test_entries_are_created_and_files_filled(isolation: Isolation) -> None:
    store = storage(isolation)
    store.trees([TREE, []], 1 << 20)
    put(store, 0, TREE[2], b"abcdef", 4)
    root = Path(isolation.data) / "0"
    assert (root / "d" / "f").read_bytes() == b"abcdef"
    assert (root / "d" / "empty").read_bytes() == b""
    assert os.readlink(root / "l") == "d/f"
    assert list((Path(isolation.data) / "1").iterdir()) == []
    assert {oct(p.lstat().st_mode & 0o777) for p in (root, root / "d", root / "d" / "f")} == {"0o700", "0o600"}


def test_times_and_executable_bits_are_set(isolation: Isolation) -> None:
    nodes = [
        Node("d", "d", mtime=1_000_000_001),
        Node("d/empty", "f", mtime=2_000_000_002),
        Node("d/f", "f", size=3, mtime=3_000_000_003, executable=True),
        Node("d/inner", "d"),
        Node("d/l", "l", target="/"),
    ]
    store = storage(isolation)
    store.trees([nodes], 1 << 20)
    put(store, 0, nodes[2], b"abc", 2)
    root = Path(isolation.data) / "0"
    paths = (root, root / "d", root / "d/empty", root / "d/f", root / "d/inner")
    wanted = [FIXED_TIME, 1_000_000_001, 2_000_000_002, 3_000_000_003, FIXED_TIME]
    assert [path.stat().st_mtime_ns for path in paths] == wanted
    assert [path.stat().st_mode & 0o100 for path in paths[2:4]] == [0, 0o100]


def test_files_of_several_directories_do_not_mix(isolation: Isolation) -> None:
    store, node = storage(isolation), Node("f", "f", size=3)
    store.trees([[node], [node]], 1 << 20)
    put(store, 0, node, b"one", 1)
    put(store, 1, node, b"two", 3)
    assert [(Path(isolation.data) / str(i) / "f").read_bytes() for i in (0, 1)] == [b"one", b"two"]


def test_each_file_is_closed_at_its_end(isolation: Isolation) -> None:
    store, nodes = storage(isolation), [Node(f"f{i}", "f", size=2) for i in range(20)]
    store.trees([nodes], 1 << 20)
    before = len(os.listdir("/proc/self/fd"))
    for node in nodes:
        put(store, 0, node, b"xy", 1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_room_is_made_and_rights_are_given_up_before_anything_is_created(isolation: Isolation) -> None:
    seen: list[list[str]] = []
    Storage(isolation, sized=lambda: seen.append(os.listdir(isolation.data))).trees([TREE], 1 << 20)
    assert seen == [[]]


def test_what_is_there_already_is_not_written_to(isolation: Isolation) -> None:
    store = storage(isolation)
    (Path(isolation.secrets) / "key").symlink_to("/dev/null")
    with pytest.raises(FileExistsError):
        store.secrets((("key", b"secret"),))
    with pytest.raises(FileExistsError):
        store.trees([[Node("x", "f"), Node("x", "f")]], 1 << 20)


def test_a_disk_that_cannot_be_resized_is_refused(isolation: Isolation) -> None:
    """An isolation that claims to be resizable but has no file system of its own fails before any file is created."""
    from enarx.record import replace

    with pytest.raises(BackendError, check=lambda e: e.code == "data-size"):
        storage(replace(isolation, resizable=True)).trees([TREE], 1 << 20)
    assert os.listdir(isolation.data) == []


def test_what_the_guest_sees(isolation: Isolation) -> None:
    store = storage(isolation)
    dirs = ((0, "/in", False), (1, "/out", True))
    own = [[f"{isolation.data}/0", "/in", False], [f"{isolation.data}/1", "/out", True]]
    assert store.guest_dirs(dirs, secrets=False) == own
    assert store.guest_dirs(dirs, secrets=True) == [*own, [isolation.secrets, SECRETS_GUEST, False]]
