"""A cgroup for each Keep: what bounds the memory and the processes of all of it from outside.

Version 2 where this process's cgroup is delegated to it, version 1 where memory and pids are hierarchies that it may
write to, else nothing but the Keep's own limits for each process (RLIMIT_DATA). Nothing here is loaded that a local run
would have to wait for.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

V2, V1, RLIMITS = "cgroup v2", "cgroup v1", "rlimits"
PREFIX = "enarx-"
LEAF = "enarx-host"
"""In version 2, where this host's own processes go: a cgroup with processes cannot give controllers to others below it."""

NEEDED = frozenset(("memory", "pids"))
PATIENCE = 2.0
"""Seconds for the last process of a Keep that was killed to be gone."""

REMEDY = (
    "a cgroup of its own with the controllers memory and pids: as a service Delegate=yes with "
    f"DelegateSubgroup={LEAF}, by hand systemd-run --user --scope -p Delegate=yes enarx ..."
)


class Group:
    """One Keep's. `directories` is one in version 2, and one for each controller in version 1."""

    def __init__(self, directories: tuple[str, ...] = ()) -> None:
        self._directories = directories

    def open(self) -> list[int]:
        """Descriptors by which a process enters it: it writes 0 to each."""
        return [os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for path in self._directories]

    def remove(self) -> None:
        """Remove it once its last process is gone; what is in use for longer stays until `Place.clear`."""
        end = time.monotonic() + PATIENCE
        for path in self._directories:
            while not _removed(path) and time.monotonic() < end:
                time.sleep(0.005)


class Place:
    """Where groups are made. `by` is V2, V1 or RLIMITS; `bases` the directories; `scope` begins the names of groups."""

    def __init__(self, by: str, bases: tuple[str, ...], scope: str, *, detail: str, remedy: str = "") -> None:
        self.by = by
        self.detail = detail
        self.remedy = remedy
        self._bases = bases
        self._prefix = f"{PREFIX}{scope}-"

    def make(self, name: str, *, memory: int, processes: int) -> Group:
        """The group of the Keep `name`, bounded; OSError if it cannot be made."""
        paths = tuple(f"{base}/{self._prefix}{name}" for base in self._bases)
        try:
            for path in paths:
                os.mkdir(path, 0o755)
            if self.by == V2:
                _bound_v2(paths[0], memory, processes)
            elif self.by == V1:
                _bound_v1(*paths, memory=memory, processes=processes)
        except OSError:
            for path in paths:
                _removed(path)
            raise
        return Group(paths)

    def clear(self, is_live: Callable[[str], bool] = lambda _: False) -> None:
        """Remove the groups of this scope in which nothing is left, and that no Keep is about to enter."""
        for base in self._bases:
            for name in os.listdir(base):
                if name.startswith(self._prefix) and not is_live(name.removeprefix(self._prefix)):
                    _removed(f"{base}/{name}")

    def info(self, memory: int) -> dict[str, str | int]:
        """What is told of a Keep."""
        return {"by": self.by, "memory": memory}


def find(scope: str, family: Collection[int] = (), *, root: str = "") -> Place:
    """The best place there is, tried out. `family` are the processes that may be moved to make room in version 2.

    `root` stands before every path of the system, for tests.
    """
    refused = []
    for by, bases_of, told in ((V2, _delegated, "memory.max and pids.max"), (V1, _hierarchies, "memory and pids")):
        try:
            bases = bases_of(family, root)
            place = Place(by, bases, scope, detail=f"{told} below {bases[0].removeprefix(root)}")
            place.make(f"trial-{os.getpid()}", memory=1 << 30, processes=64).remove()
        except OSError as e:
            refused.append(f"{by}: {(e.strerror or '').lower()}")
        else:
            return place
    detail = f"RLIMIT_DATA for each process, none for all together ({'; '.join(refused)})"
    return Place(RLIMITS, (), scope, detail=detail, remedy=REMEDY)


def scope(state: str) -> str:
    """What begins the names of the cgroups of one daemon's Keeps: a digest of its backends' state directory."""
    import hashlib

    return hashlib.sha256(os.path.realpath(state).encode()).hexdigest()[:8]


def memory_limits(*, root: str = "") -> list[int]:
    """The bounds, in bytes, on the memory of this process's cgroup and of all above it, in both versions."""
    found = []
    for kind, controller, name in (("cgroup2", "", "memory.max"), ("cgroup", "memory", "memory.limit_in_bytes")):
        try:
            path = _own(root, kind, controller)
        except OSError:
            continue
        while len(path) > len(root) + 1:
            found += _numbers(f"{path}/{name}")
            path = os.path.dirname(path)
    return found


def _numbers(path: str) -> list[int]:
    """Those in a file; none where it says `max`, or where there is no file, as for the topmost cgroup."""
    try:
        return [int(line) for line in _lines(path) if line.isdigit()]
    except OSError:
        return []


def _removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # a process of it is still there
    return True


def _bound_v2(path: str, memory: int, processes: int) -> None:
    _write(f"{path}/memory.max", memory)
    if os.path.exists(f"{path}/memory.swap.max"):  # not where the kernel does not count swap
        _write(f"{path}/memory.swap.max", 0)
    _write(f"{path}/memory.oom.group", 0)  # the workload dies first, and the keeper tells of it
    _write(f"{path}/pids.max", processes)


def _bound_v1(memory_path: str, pids_path: str, *, memory: int, processes: int) -> None:
    _write(f"{memory_path}/memory.limit_in_bytes", memory)
    if os.path.exists(f"{memory_path}/memory.memsw.limit_in_bytes"):
        _write(f"{memory_path}/memory.memsw.limit_in_bytes", memory)
    _write(f"{memory_path}/memory.swappiness", 0)
    _write(f"{pids_path}/pids.max", processes)


def _write(path: str, value: int | str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def _words(path: str) -> set[str]:
    return set(" ".join(_lines(path)).split())


def _own(root: str, kind: str, controller: str) -> str:
    """The directory of this process's cgroup in the hierarchy of `kind` (cgroup, cgroup2) with `controller`."""
    for line in _lines(f"{root}/proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        system, _, options = rest.split(" ", 2)
        if system == kind and (not controller or controller in options.split(",")):
            top, where = fields.split(" ")[3:5]
            path = _path(root, controller)
            if path == top or path.startswith(top.rstrip("/") + "/"):
                return f"{root}{where}/{path[len(top) :].lstrip('/')}".rstrip("/")
    raise OSError(0, f"no hierarchy {controller or 'of version 2'} in reach")


def _path(root: str, controller: str) -> str:
    """What /proc/self/cgroup calls it."""
    for line in _lines(f"{root}/proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    raise OSError(0, "no cgroup")


def _hierarchies(_: Collection[int], root: str) -> tuple[str, ...]:
    return _own(root, "cgroup", "memory"), _own(root, "cgroup", "pids")


def _delegated(family: Collection[int], root: str) -> tuple[str, ...]:
    """The cgroup below which Keeps go, with both controllers on; `family` moves aside where it is in the way."""
    own = _own(root, "cgroup2", "")
    base = os.path.dirname(own) if os.path.basename(own) == LEAF else own
    if not _words(f"{base}/cgroup.controllers") >= NEEDED:
        raise OSError(0, "no controllers memory and pids")
    if not os.access(f"{base}/cgroup.subtree_control", os.W_OK) or not os.access(f"{base}/cgroup.procs", os.W_OK):
        raise OSError(0, "not delegated to this user")
    if not _words(f"{base}/cgroup.subtree_control") >= NEEDED:
        _make_room(base, family)
        _write(f"{base}/cgroup.subtree_control", "+memory +pids")
    return (base,)


def _make_room(base: str, family: Collection[int]) -> None:
    inside = [int(line) for line in _lines(f"{base}/cgroup.procs")]
    if not set(inside) <= set(family):
        raise OSError(0, "other processes are in its cgroup")
    if inside:
        os.makedirs(f"{base}/{LEAF}", exist_ok=True)
        for pid in inside:
            _write(f"{base}/{LEAF}/cgroup.procs", pid)
