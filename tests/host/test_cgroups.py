"""Cgroups for Keeps: version 2 in a tree of files that imitates the kernel's, version 1 for real where it is available."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enarx.host import cgroups

from .harness import Daemon, eventually, processes

FILES = ("cgroup.procs", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cgroup.subtree_control")


class Kernel:
    """Version 2 mounted at /sys/fs/cgroup below `root`, this process in `path`."""

    def __init__(self, root: Path, path: str, *, controllers: str = "cpu memory pids", procs: str = "") -> None:
        self.root = root
        self.own = root / "sys/fs/cgroup" / path.strip("/")
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/mountinfo").write_text(
            "22 1 0:5 / /proc rw - proc proc rw\n31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
        )
        (root / "proc/self/cgroup").write_text(f"0::{path}\n")
        for place in (self.own, self.own.parent):
            self.fill(place)
            (place / "cgroup.controllers").write_text(controllers + "\n")
        (self.own / "cgroup.procs").write_text(procs)

    def fill(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (place / name).touch()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """New directories get their files, and lose them, as in the kernel."""
        make, unmake = os.mkdir, os.rmdir

        def mkdir(path: str, mode: int = 0o777) -> None:
            make(path, mode)
            if str(self.root) in str(path):
                self.fill(Path(path))

        def rmdir(path: str) -> None:
            for name in os.listdir(path):
                os.unlink(f"{path}/{name}")
            unmake(path)

        monkeypatch.setattr(os, "mkdir", mkdir)
        monkeypatch.setattr(os, "rmdir", rmdir)

    def find(self, *family: int) -> cgroups.Place:
        return cgroups.find("scope", family, root=str(self.root))


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    found = Kernel(tmp_path, "/system.slice/enarx.service", procs="100\n101\n")
    found.install(monkeypatch)
    return found


def test_v2_what_is_written(kernel: Kernel) -> None:
    place = kernel.find(100, 101)
    assert place.by == cgroups.V2
    assert (kernel.own / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert (kernel.own / "enarx-host" / "cgroup.procs").read_text()[-3:] in ("100", "101")
    group = place.make("k", memory=123 << 20, processes=72)
    made = kernel.own / "enarx-scope-k"
    written = {name: (made / name).read_text() for name in FILES if (made / name).read_text()}
    assert written == {"memory.max": str(123 << 20), "memory.swap.max": "0", "memory.oom.group": "0", "pids.max": "72"}
    (fd,) = group.open()
    os.write(fd, b"0")
    os.close(fd)
    assert (made / "cgroup.procs").read_text() == "0"
    group.remove()
    assert not made.exists()
    assert not [path for path in kernel.own.iterdir() if "trial" in path.name]


def test_v2_a_kernel_that_does_not_count_swap(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.FILES", tuple(name for name in FILES if name != "memory.swap.max"))
    place = kernel.find(100, 101)
    place.make("k", memory=1, processes=1)
    assert not (kernel.own / "enarx-scope-k" / "memory.swap.max").exists()


def test_v2_nobody_else_is_moved(kernel: Kernel) -> None:
    place = kernel.find(100)
    assert place.by == cgroups.RLIMITS
    assert "other processes are in its cgroup" in place.detail
    assert "Delegate=yes" in place.remedy
    assert (kernel.own / "cgroup.procs").read_text() == "100\n101\n"
    assert not (kernel.own / "enarx-host").exists()


def test_v2_a_leaf_of_a_delegated_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As DelegateSubgroup= sets it up, and as a restarted daemon finds it."""
    kernel = Kernel(tmp_path, "/system.slice/enarx.service/enarx-host", procs="100\n")
    kernel.install(monkeypatch)
    (kernel.own.parent / "cgroup.subtree_control").write_text("memory pids\n")
    place = kernel.find()
    assert place.by == cgroups.V2
    place.make("k", memory=1, processes=1)
    assert (kernel.own.parent / "enarx-scope-k").is_dir()


@pytest.mark.parametrize("controllers", ["", "cpu memory", "hugetlb"])
def test_v2_without_its_controllers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controllers: str) -> None:
    kernel = Kernel(tmp_path, "/a", controllers=controllers)
    kernel.install(monkeypatch)
    assert "the controllers memory and pids are missing" in kernel.find().detail


def test_v2_a_bound_that_is_refused_leaves_nothing(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    place = kernel.find(100, 101)
    monkeypatch.setattr(f"{__name__}.FILES", ("cgroup.procs",))
    with pytest.raises(OSError):
        place.make("k", memory=1, processes=1)
    assert not (kernel.own / "enarx-scope-k").exists()


def test_a_cgroup_outside_of_what_is_mounted(kernel: Kernel) -> None:
    (kernel.root / "proc/self/cgroup").write_text("0::/../elsewhere\n")
    (kernel.root / "proc/self/mountinfo").write_text("31 23 0:27 /here /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    assert "no reachable hierarchy of version 2" in kernel.find().detail


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    place = cgroups.find("scope", root=str(tmp_path))
    assert (place.by, bool(place.remedy)) == (cgroups.RLIMITS, True)
    group = place.make("k", memory=1, processes=1)
    assert group.open() == []
    group.remove()
    place.clear()


@pytest.fixture
def place() -> cgroups.Place:
    found = cgroups.find(f"test{os.getpid()}")
    if found.by != cgroups.V1:
        pytest.skip(f"no cgroups of version 1 for this user: {found.detail}")
    return found


@pytest.mark.parametrize(
    ("own", "above", "wanted"),
    [("max\n", "max\n", []), ("max\n", "1024\n", [1024]), ("1024\n", "2048\n", [1024, 2048]), ("", "1024\n", [1024])],
)
def test_v2_bounds_of_this_process_and_of_all_above_it(kernel: Kernel, own: str, above: str, wanted: list[int]) -> None:
    (kernel.own / "memory.max").write_text(own)
    (kernel.own.parent / "memory.max").write_text(above)
    assert cgroups.memory_limits(root=str(kernel.root)) == wanted


def test_no_bounds_without_cgroups(tmp_path: Path) -> None:
    assert cgroups.memory_limits(root=str(tmp_path)) == []


HOG = "import os, sys\nfor fd in sys.argv[1:]: os.write(int(fd), b'0')\nx = bytearray(b'x') * (64 << 20)\nprint(len(x))"


def test_v1_ends_what_takes_more(place: cgroups.Place) -> None:
    for memory, status in ((32 << 20, -9), (128 << 20, 0)):
        group = place.make("k", memory=memory, processes=8)
        fds = group.open()
        assert subprocess.run([sys.executable, "-c", HOG, *map(str, fds)], pass_fds=fds).returncode == status
        for fd in fds:
            os.close(fd)
        group.remove()


SHARE = """
import os, sys
for fd in sys.argv[1:]: os.write(int(fd), b'0')
from enarx.host.keeps.bounds import share_of_memory
print(share_of_memory())
"""


def test_v1_the_share_of_all_keeps_is_of_what_the_daemon_may_have(place: cgroups.Place) -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for memory in (512 << 20, 2 * machine):
        group = place.make("k", memory=memory, processes=8)
        fds = group.open()
        found = subprocess.run(
            [sys.executable, "-c", SHARE, *map(str, fds)], pass_fds=fds, capture_output=True, check=True
        )
        assert int(found.stdout) == min(memory, machine) * 80 // 100
        for fd in fds:
            os.close(fd)
        group.remove()


def test_v1_clears_what_is_left_and_nothing_that_is_used(place: cgroups.Place) -> None:
    used, left = (place.make(name, memory=32 << 20, processes=8) for name in ("used", "left"))
    fds = used.open()
    program = "import os, sys\nfor fd in sys.argv[1:]: os.write(int(fd), b'0')\nprint(flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", program, *map(str, fds)]
    with subprocess.Popen(command, pass_fds=fds, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        place.clear(lambda name: name == "left")
        assert all(os.path.isdir(path) for path in paths(left))
        place.clear()
        assert not any(os.path.isdir(path) for path in paths(left))
        assert all(os.path.isdir(path) for path in paths(used))
    place.clear()
    assert not any(os.path.isdir(path) for path in paths(used))
    for fd in fds:
        os.close(fd)


def test_v1_a_local_run_leaves_the_trial_of_another(place: cgroups.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else that one would take version 1 for unusable, and its Keep would have no bound of its own."""
    other, bound = cgroups.find(cgroups.LOCAL), cgroups._bound_v1

    def meanwhile(*paths: str, memory: int, processes: int) -> None:
        other.clear(cgroups.is_running)
        bound(*paths, memory=memory, processes=processes)

    monkeypatch.setattr(cgroups, "_bound_v1", meanwhile)
    assert cgroups.find(cgroups.LOCAL).by == cgroups.V1


def paths(group: cgroups.Group) -> tuple[str, ...]:
    return group._directories


# What is left where a supervisor was killed


def left(scope: str) -> list[str]:
    """The cgroups of that scope, empty or not."""
    place = cgroups.find(f"look{os.getpid()}")
    return [name for base in place._bases for name in os.listdir(base) if name.startswith(f"enarx-{scope}-")]


def kill_all(*pids: int) -> None:
    """Kill them in this order: first those that would clean up after the others."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def killed(d: Daemon) -> str:
    """Leave the empty cgroup of a Keep whose supervisor was killed; the daemon's scope."""
    scope = cgroups.scope(str(d.state / "hardware"))
    info = d.info(d.launch())
    kill_all(info["pid"], info["keep_pid"])
    eventually(lambda: any(map(is_empty, left(scope))))
    return scope


def is_empty(name: str) -> bool:
    place = cgroups.find(f"look{os.getpid()}")
    files = [Path(base, name, "cgroup.procs") for base in place._bases]
    return not any(file.read_text() for file in files if file.exists())


def test_an_orderly_end_of_the_daemon_leaves_no_cgroup(place: cgroups.Place, daemon: Callable[..., Daemon]) -> None:
    d = daemon()
    scope = killed(d)
    d.close()
    assert left(scope) == []


def test_the_next_start_removes_what_a_killed_host_has_left(
    place: cgroups.Place, daemon: Callable[..., Daemon]
) -> None:
    d = daemon()
    scope = killed(d)
    (launcher,) = [p for p in processes(f"--backends {d.state}") if os.getsid(p) == p]
    kill_all(launcher, d.process.pid)
    d.process.wait()
    assert left(scope)
    d.start()
    eventually(lambda: left(scope) == [])


def test_a_daemon_that_is_killed_takes_along_what_was_left(place: cgroups.Place, daemon: Callable[..., Daemon]) -> None:
    """The launcher notices the end of the daemon, and clears the scope before it ends too."""
    d = daemon()
    scope = killed(d)
    d.kill()
    eventually(lambda: left(scope) == [])


def test_leftovers_go_and_cgroups_in_use_stay(place: cgroups.Place, daemon: Callable[..., Daemon]) -> None:
    """As `enarx reset` does."""
    d = daemon()
    used = d.launch()
    scope = killed(d)
    eventually(lambda: any(used in name for name in left(scope)))
    cgroups.clear_leftovers(str(d.state / "hardware"))
    assert {name.rpartition("-")[2] for name in left(scope)} == {used}


def test_a_local_run_clears_up_after_others(place: cgroups.Place, root: Path) -> None:
    gone, own = f"{1 << 22}-0", f"{os.getpid()}-0"
    made = cgroups.find(cgroups.LOCAL)
    for name in (gone, own):
        made.make(name, memory=32 << 20, processes=8)
    made.clear(cgroups.is_running)
    names = [name for name in left(cgroups.LOCAL) if name.endswith((gone, own))]
    assert {name.partition("run-")[2] for name in names} == {own}
    made.clear(lambda name: name != own)
