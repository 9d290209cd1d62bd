"""T42: native code in the runner takes memory, threads, processes, or rights that the guest does not need."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enarx.formats import bounds
from enarx.host import cgroups
from tests.attacks.escaped import Peak, Tree, memory_base
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import Daemon, enarx, until
from tests.programs import module

SMALL = 'memory = "64MiB"\ncompile = "64MiB"\ndisk = "1MiB"'
HOG = "held = []\nwhile True: held.append(b'x' * (1 << 24))"
UNLIMITED = ("keep/guest/runner.py", "    resource.setrlimit(resource.RLIMIT_DATA, (data, data))\n", "")


def test_t42_it_is_refused_more_memory(home: Path) -> None:
    found = Tree(home).run(HOG, SMALL)
    assert (found.returncode, b"refused more memory" in found.stderr) == (137, True)


def test_t42_the_cgroup_ends_a_runner_that_takes_it_all_the_same(home: Path) -> None:
    """2.4 GiB and more: the keeper survives, and names the bound."""
    with Peak(home) as peak:
        found = Tree(home, UNLIMITED).run(HOG, SMALL)
    assert found.returncode == 137
    assert f"most likely at the Keep's bound of {peak.bound >> 20} MiB: raise limits.memory".encode() in found.stderr
    assert peak.bound * 0.9 < peak.memory <= peak.bound < 256 << 20


def test_t42_files_count_too(home: Path) -> None:
    attack = "import os\nfd = os.open('/data/0/f', os.O_CREAT | os.O_WRONLY)\nwhile True: os.write(fd, bytes(1 << 20))"
    with Peak(home) as peak:
        found = Tree(home).run(attack, SMALL)
    assert found.returncode == 126
    assert peak.memory <= peak.bound


def test_t42_threads_end_at_the_bound(home: Path) -> None:
    attack = """
count = 0
try:
    while True:
        threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        count += 1
except RuntimeError:
    os.write(1, str(count).encode())
"""
    found = Tree(home).run(attack)
    assert found.returncode == 0
    assert 0 < int(found.stdout) < bounds.processes(64)


def test_t42_the_stack_does_not_grow_beyond_its_limit(home: Path) -> None:
    """RLIMIT_DATA does not count the stack, and gigabytes of address space below it are free to anyone who can raise its limit."""
    attack = """
libc = ctypes.CDLL(None)
pair = (ctypes.c_uint64 * 2)()
libc.getrlimit(3, pair)
pair[0] = pair[1]
assert libc.setrlimit(3, pair) == 0
top = ctypes.c_void_p.in_dll(libc, "environ").value & ~4095
for size in range(2, 32):
    os.write(1, b".")
    ctypes.memset(top - (size << 20), 1, 1 << 20)
"""
    found = Tree(home).run(attack, SMALL)
    assert (found.returncode, b"SIGSEGV" in found.stderr) == (126, True)
    assert 6 <= len(found.stdout) <= 8


HELD = """
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
SIZE = 1 << 24
for _ in range(64):
    at = libc.mmap(None, SIZE, 3, 0x22, -1, 0)
    if at == ctypes.c_void_p(-1).value:
        break
    ctypes.memset(at, 1, SIZE)
    os.write(1, b".")
    libc.mprotect(at, SIZE, PROTECTION)
"""


@pytest.mark.parametrize("protection", ["0", "1"])
def test_t42_memory_that_is_not_written_to_any_more_counts(home: Path, protection: str) -> None:
    """RLIMIT_DATA only counts writable memory: an attack once held a gigabyte that it had made read-only."""
    found = Tree(home).run(HELD.replace("PROTECTION", protection), SMALL)
    assert found.returncode == 0
    assert 0 < len(found.stdout) * (1 << 24) <= bounds.process_memory(memory=64 << 20, compile=64 << 20)


def test_t42_address_space_is_bounded_and_so_are_its_tables(home: Path) -> None:
    attack = """
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
while libc.mmap(None, 1 << 30, 1, 0x4022, -1, 0) != ctypes.c_void_p(-1).value:
    os.write(1, b".")
"""
    found = Tree(home).run(attack, SMALL)
    assert found.returncode == 0
    assert 0 < len(found.stdout) < 64


@pytest.mark.parametrize("attack", ["os.fork()", "os.execv('/bin/sh', ['sh'])", "socket.socketpair()"])
def test_t42_processes_end_it(home: Path, attack: str) -> None:
    found = Tree(home).run(attack)
    assert (found.returncode, b"SIGSYS" in found.stderr) == (126, True)


def test_t42_memory_that_no_limit_counts_cannot_be_had(home: Path) -> None:
    """RLIMIT_DATA does not count shared and growing mappings, and a moved stack grows without end."""
    attack = """
libc = ctypes.CDLL(None, use_errno=True)
def called(name, number, *words):
    ctypes.set_errno(0)
    libc.syscall(number, *[ctypes.c_long(x) for x in words])
    found[name] = errno.errorcode.get(ctypes.get_errno(), "done")
found = {}
called("shared", 9, 0, 1 << 20, 3, 0x21, -1, 0)
called("growing", 9, 0, 1 << 20, 3, 0x122, -1, 0)
called("private", 9, 0, 1 << 20, 3, 0x22, -1, 0)
called("code", 9, 0, 1 << 20, 7, 0x22, -1, 0)
called("mremap", 25, 0, 4096, 8192, 1)
called("memfd_create", 319, 0, 0)
called("pipe2", 293, 0, 0)
called("seccomp", 317, 0, 0, 0)
called("sendmsg", 46, 1, 0, 0)
called("setitimer", 38, 0, 0, 0)
called("timer_create", 222, 0, 0, 0)
called("mlock", 149, 0, 4096)
called("F_GETFL", 72, 1, 3)
for name, command in (("F_SETOWN", 8), ("F_SETSIG", 10), ("F_SETOWN_EX", 15), ("F_SETLEASE", 1024), ("F_NOTIFY", 1026),
                      ("F_SETPIPE_SZ", 1031), ("F_SETLK", 6)):
    called(name, 72, 1, command, 0)
called("prlimit64", 302, 1, 7, 0, 0)
os.write(1, repr(found).replace("'", '"').encode())
"""
    found = json.loads(Tree(home).run(attack, SMALL).stdout)
    denied = {"shared": "EPERM", "growing": "EPERM", "code": "EACCES", "prlimit64": "EPERM"}
    denied |= {name: "EINVAL" for name in found if name.startswith("F_") and name != "F_GETFL"}
    assert found == {name: denied.get(name, "ENOSYS") for name in found} | {"private": "done", "F_GETFL": "done"}


@contextlib.contextmanager
def asleep(home: Path) -> Iterator[tuple[Daemon, str, dict[str, Any]]]:
    """A daemon, one of its Keeps whose job sleeps, and the daemon's description of that Keep."""
    path = home / "sleep.wasm"
    path.write_bytes(module("sleep"))
    daemon = Daemon(home).start()
    try:
        keep = daemon.deploy("--detach", path).stdout.decode().strip()
        yield daemon, keep, json.loads(daemon.keep("inspect", keep).stdout)
    finally:
        daemon.clean()


def test_t42_a_hosts_keep_is_bounded_and_its_cgroup_goes_with_it(home: Path) -> None:
    base = memory_base()
    with asleep(home) as (daemon, keep, info):
        (group,) = base.glob(f"enarx-*-{keep}")
        limit = int((group / "memory.limit_in_bytes").read_text())
        assert info["bound"] == {"by": "cgroup v1", "memory": limit}
        assert limit > bounds.keep_memory(memory=1 << 30, compile=0, disk=0)
        assert len((group / "cgroup.procs").read_text().split()) >= 2
        daemon.keep("rm", keep, "--force")
        until(lambda: not list(base.glob(f"enarx-*-{keep}")), "the cgroup to be gone")


def test_t42_what_a_killed_supervisor_leaves_is_removed_at_the_next_start(home: Path) -> None:
    base = memory_base()
    with asleep(home) as (daemon, keep, info):
        os.kill(info["pid"], signal.SIGKILL)
        until(lambda: not Path(f"/proc/{info['keep_pid']}").exists(), "the Keep to end")
        assert list(base.glob(f"enarx-*-{keep}"))
        daemon.end()
        daemon.start()
        until(lambda: not list(base.glob(f"enarx-*-{keep}")), "the cgroup to be gone")


def test_t42_the_platform_says_what_bounds_a_keep(home: Path) -> None:
    found = json.loads(enarx(home, "platform", "--json").stdout)["bound"]
    assert found["by"] in (cgroups.V2, cgroups.V1, cgroups.RLIMITS)
    assert bool(found["remedy"]) is (found["by"] == cgroups.RLIMITS)
    assert f"memory of a Keep is bounded by: {found['by']}" in enarx(home, "platform").stdout.decode()
