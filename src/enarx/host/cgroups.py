"""A cgroup for each Keep, which bounds the memory and the processes of the whole Keep from outside.

Version 2 is used if this process's cgroup is delegated to it, version 1 if this user may write to the hierarchies of
memory and pids. Otherwise only the Keep's own limits for each process (RLIMIT_DATA) apply.

A Keep's cgroup is named `enarx-SCOPE-NAME` and removed by its supervisor. If the supervisor was killed, the empty cgroup
stays until the scope is cleared: by the launcher at its start and before each launch, by the daemon at its end, by `enarx
run` and by `enarx reset`. This module imports nothing slow, because a local run waits for it.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

V2, V1, RLIMITS = "cgroup v2", "cgroup v1", "rlimits"
PREFIX = "enarx-"
LOCAL = "run"
"""The scope of the Keeps of `enarx run`; their names begin with the pid of the run."""

LEAF = "enarx-host"
"""In version 2, the cgroup of the host's own processes: a cgroup with processes cannot pass controllers to its children."""

NEEDED = frozenset(("memory", "pids"))
PATIENCE = 2.0
"""Seconds for the last process of a killed Keep to be gone."""

REMEDY = (
    "a cgroup of its own with the controllers memory and pids: as a service Delegate=yes with "
    f"DelegateSubgroup={LEAF}, by hand systemd-run --user --scope -p Delegate=yes enarx ..."
)


class Group:
    """A Keep's cgroup. It has one directory in version 2, and one for each controller in version 1."""

    def __init__(self, directories: tuple[str, ...] = ()) -> None:
        self._directories = directories

    def open(self) -> list[int]:
        """Open the files through which a process enters the cgroup: it writes 0 to each."""
        return [os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for path in self._directories]

    def remove(self) -> None:
        """Remove the cgroup once its last process is gone. If that takes too long, it stays until `Place.clear`."""
        end = time.monotonic() + PATIENCE
        for path in self._directories:
            while not _removed(path) and time.monotonic() < end:
                time.sleep(0.005)


class Place:
    """Where cgroups are made: below `bases`, with names that begin with `scope`. `by` is V2, V1 or RLIMITS."""

    def __init__(self, by: str, bases: tuple[str, ...], scope: str, *, detail: str, remedy: str = "") -> None:
        self.by = by
        self.detail = detail
        self.remedy = remedy
        self._bases = bases
        self._prefix = f"{PREFIX}{scope}-"

    def make(self, name: str, *, memory: int, processes: int) -> Group:
        """Make the bounded cgroup of the Keep `name`. OSError."""
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
        """Remove the empty cgroups of this scope, except those that a live Keep is about to enter."""
        for base in self._bases:
            for name in os.listdir(base):
                if name.startswith(self._prefix) and not is_live(name.removeprefix(self._prefix)):
                    _removed(f"{base}/{name}")

    def info(self, memory: int) -> dict[str, str | int]:
        """What `enarx keep inspect` shows of a Keep's bound; bytes of `memory`."""
        return {"by": self.by, "memory": memory}


def find(scope: str, family: Collection[int] = (), *, root: str = "") -> Place:
    """The best place that this process can use, found by trying.

    In version 2 the processes in `family` may be moved to make room. `root` is prepended to the system's paths, for tests.
    """
    refused = []
    for by, bases_of, files in ((V2, _delegated, "memory.max and pids.max"), (V1, _hierarchies, "memory and pids")):
        try:
            bases = bases_of(family, root)
            place = Place(by, bases, scope, detail=f"{files} below {bases[0].removeprefix(root)}")
            place.make(f"{os.getpid()}-trial", memory=1 << 30, processes=64).remove()
        except OSError as e:
            refused.append(f"{by}: {(e.strerror or '').lower()}")
        else:
            return place
    detail = f"RLIMIT_DATA for each process, no bound for all together ({'; '.join(refused)})"
    return Place(RLIMITS, (), scope, detail=detail, remedy=REMEDY)


def scope(state: str) -> str:
    """The scope of one daemon's Keeps, in the names of their cgroups: a digest of its backends' state directory."""
    import hashlib

    return hashlib.sha256(os.path.realpath(state).encode()).hexdigest()[:8]


def clear_leftovers(state: str) -> None:
    """Remove the empty cgroups of ended Keeps: of the daemon whose backends' state is `state`, and of local runs."""
    find(scope(state)).clear()
    find(LOCAL).clear(is_running)


def is_running(name: str) -> bool:
    """Whether the local run that made the cgroup of this name still exists. The name begins with the pid of the run."""
    return os.path.exists(f"/proc/{name.partition('-')[0]}")


def memory_limits(*, root: str = "") -> list[int]:
    """The memory limits of this process's cgroup and of all its ancestors, in bytes, in both versions."""
    limits = []
    for kind, controller, name in (("cgroup2", "", "memory.max"), ("cgroup", "memory", "memory.limit_in_bytes")):
        try:
            path = _own(root, kind, controller)
        except OSError:
            continue
        while len(path) > len(root) + 1:
            limits += _numbers(f"{path}/{name}")
            path = os.path.dirname(path)
    return limits


def _numbers(path: str) -> list[int]:
    """The numbers in a file; none if it says `max` or does not exist, as in the root cgroup."""
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
        return False  # a process is still in it
    return True


def _bound_v2(path: str, memory: int, processes: int) -> None:
    _write(f"{path}/memory.max", memory)
    if os.path.exists(f"{path}/memory.swap.max"):  # missing if the kernel does not account for swap
        _write(f"{path}/memory.swap.max", 0)
    _write(f"{path}/memory.oom.group", 0)  # the workload is killed first, and the keeper reports it
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
    """The directory of this process's cgroup in the hierarchy of `kind` (cgroup, cgroup2) with `controller`. OSError."""
    for line in _lines(f"{root}/proc/self/mountinfo"):
        fields, _, rest = line.partition(" - ")
        system, _, options = rest.split(" ", 2)
        if system == kind and (not controller or controller in options.split(",")):
            top, where = fields.split(" ")[3:5]
            path = _path(root, controller)
            if path == top or path.startswith(top.rstrip("/") + "/"):
                return f"{root}{where}/{path[len(top) :].lstrip('/')}".rstrip("/")
    raise OSError(0, f"no reachable hierarchy {controller or 'of version 2'}")


def _path(root: str, controller: str) -> str:
    """This process's cgroup as /proc/self/cgroup names it. OSError."""
    for line in _lines(f"{root}/proc/self/cgroup"):
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    raise OSError(0, "no cgroup")


def _hierarchies(_: Collection[int], root: str) -> tuple[str, ...]:
    return _own(root, "cgroup", "memory"), _own(root, "cgroup", "pids")


def _delegated(family: Collection[int], root: str) -> tuple[str, ...]:
    """The cgroup to make Keeps' cgroups in, with both controllers enabled; `family` is moved to a leaf if necessary. OSError."""
    own = _own(root, "cgroup2", "")
    base = os.path.dirname(own) if os.path.basename(own) == LEAF else own
    if not _words(f"{base}/cgroup.controllers") >= NEEDED:
        raise OSError(0, "the controllers memory and pids are missing")
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
