"""Single rules: calls, signals, limits, and layers that are missing or left out."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import threading
import time
from functools import partial
from typing import Any

from inside.harness import (
    DISK,
    LIBC,
    NONE,
    PAGE,
    PRIVATE_ANONYMOUS,
    READ,
    WRITE,
    called,
    confine,
    executable_page,
    in_child,
    layers,
    tried,
    unwrap,
    write_all,
)

from enarx.cli import sandbox_layers
from enarx.errors import UsageError
from enarx.keep import sandbox
from enarx.keep.sandbox import bpf, kernel, landlock
from enarx.keep.sandbox.syscalls import ARCH, NUMBERS

PROFILES = {
    profile.name: profile
    for profile in (sandbox.KEEPER_BOOT, sandbox.KEEPER, sandbox.ATTESTER, sandbox.COMPILER, sandbox.RUNNER)
}
CALLS = {
    "socket": (1, 1, 0),
    "socketpair": (1, 1, 0, 0),
    "connect": (0, 0, 0),
    "execve": (0, 0, 0),
    "execveat": (0, 0, 0, 0, 0),
    "ptrace": (0, 0, 0, 0),
    "process_vm_readv": (1, 0, 0, 0, 0, 0),
    "bpf": (0, 0, 0),
    "mount": (0, 0, 0, 0, 0),
    "umount2": (0, 0),
    "setns": (0, 0),
    "unshare": (kernel.CLONE_NEWUSER,),
    "clone": (kernel.CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0),
    "fork": (),
    "vfork": (),
    "io_uring_setup": (1, 0),
    "keyctl": (0, 0, 0, 0, 0),
    "userfaultfd": (0,),
    "perf_event_open": (0, 0, 0, 0, 0),
    "open_by_handle_at": (0, 0, 0),
}

F_SETPIPE_SZ = 1031
SHARED_ANONYMOUS, GROWS_DOWN = 0x21, 0x100


def dangerous() -> dict[str, dict[str, Any]]:
    """How each dangerous call ends in each profile."""

    def ends(profile: sandbox.Profile, name: str) -> Any:
        def confined() -> str:
            confine(profile)
            return called(name, *CALLS[name])

        return in_child(confined)

    return {key: {name: ends(profile, name) for name in CALLS} for key, profile in PROFILES.items()}


def gentle() -> dict[str, Any]:
    """Calls that are refused without a kill, and forking, in each profile."""

    return {
        name: {"calls": in_child(partial(refusals, profile)), "fork": in_child(partial(forks, profile))}
        for name, profile in PROFILES.items()
    }


def refusals(profile: sandbox.Profile) -> dict[str, str]:
    confine(profile)
    return {
        "unknown": called("unknown"),
        "terminal": called("ioctl", 0, 0x5412, 0),
        "limits-of-others": called("prlimit64", 1, 7, 0, 0),
        "signal-owner": called("fcntl", 0, fcntl.F_SETOWN, 1),
        "pipe-size": called("fcntl", 0, F_SETPIPE_SZ, 1 << 20),
        "memfd": called("memfd_create", 0, 0),
        "send-descriptors": called("sendmsg", 0, 0, 0),
        "timer": called("timer_create", 0, 0, 0),
        "shared": called("mmap", 0, PAGE, READ | WRITE, SHARED_ANONYMOUS, -1, 0),
        "growing": called("mmap", 0, PAGE, READ | WRITE, PRIVATE_ANONYMOUS | GROWS_DOWN, -1, 0),
        "seccomp-off": tried(lambda: kernel.prctl(22, 0)),
        "clone3": called("clone3", 0, 0),
        "open": tried(lambda: os.open("/etc/passwd", os.O_RDONLY)),
        "code": tried(executable_page),
    }


def forks(profile: sandbox.Profile) -> int:
    confine(profile)
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[1]


def foreign() -> dict[str, Any]:
    """x86_64's x32 twin of getpid, which counts from another table."""

    def twin() -> str:
        confine(sandbox.COMPILER)
        return str(LIBC.syscall(ctypes.c_long(NUMBERS["getpid"] | 0x40000000)))

    return in_child(twin)


def scopes() -> dict[str, Any]:
    """Without a pid namespace and without a filter a runner still cannot signal the keeper, who can signal it."""
    abi = landlock.version()

    def first() -> Any:
        confine(sandbox.KEEPER_BOOT)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            confine(sandbox.RUNNER, skip=frozenset(("seccomp",)))
            os.write(writer, tried(lambda: os.kill(os.getppid(), 0)).encode())
            signal.pause()
        confine(sandbox.KEEPER)
        upwards = os.read(reader, 64).decode()
        downwards = tried(lambda: os.kill(child, signal.SIGKILL))
        os.waitpid(child, 0)
        return {"upwards": upwards, "downwards": downwards, "version": abi}

    return in_child(first)


def without(*names: str) -> dict[str, Any]:
    """Isolation and confinement with the named layers left out."""
    skip = frozenset(names)

    def outer() -> Any:
        isolation = sandbox.isolate(skip=skip, disk=DISK)

        def first() -> Any:
            boot = confine(sandbox.KEEPER_BOOT, skip=skip)
            resized = in_child(lambda: sandbox.resize(isolation, 1 << 16))
            confine(sandbox.KEEPER, skip=skip, read_write=(isolation.data, isolation.secrets))
            write_all(os.open(f"{isolation.data}/f", os.O_CREAT | os.O_WRONLY, 0o600), b"x")
            return {
                "layers": layers(isolation.layers + boot),
                "resized": resized,
                "uid": os.getuid(),
                "data": isolation.data,
                "scratch": isolation.scratch,
                "mode": oct(os.stat(isolation.data).st_mode & 0o777),
                "etc": tried(lambda: os.open("/etc/passwd", os.O_RDONLY)),
            }

        return unwrap(in_child(first))

    return in_child(outer)


def refused() -> dict[str, Any]:
    """What happens where the kernel lacks something: a filter plays that kernel."""
    return {work.__name__: in_child(work) for work in (no_unshare, no_landlock, no_landlock_named, no_mdwe, threaded)}


def play(name: str, check: bpf.Check) -> None:
    """Be a kernel that has the call `name` only as far as `check` lets it; needs no_new_privs."""
    assert ARCH is not None
    kernel.set_filter(bpf.assemble(ARCH, checks={NUMBERS[name]: check}, allowed=(), killed=(), default=bpf.ALLOW))


def forbid(name: str, code: int) -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    play(name, bpf.Check(0, 0, (), bpf.fail(code)))


def no_unshare() -> Any:
    forbid("unshare", errno.EPERM)
    return layers(sandbox.isolate(skip=NONE, disk=DISK).layers)


def no_landlock() -> Any:
    forbid("landlock_create_ruleset", errno.ENOSYS)
    return layers(confine(sandbox.KEEPER))


def no_landlock_named() -> Any:
    forbid("landlock_create_ruleset", errno.ENOSYS)
    return layers(confine(sandbox.KEEPER, skip=frozenset(("landlock",))))


def no_mdwe() -> Any:
    confine(sandbox.RUNNER)
    play("prctl", bpf.Check(0, bpf.WORD, (kernel.PR_SET_NAME,), bpf.fail(errno.EINVAL)))
    return {"layer": layers((sandbox.forbid_new_code(),)), "page": tried(executable_page)}


def threaded() -> Any:
    threading.Thread(target=time.sleep, args=(1,)).start()
    return layers(confine(sandbox.KEEPER))


def misnamed() -> str:
    """The error for a layer that does not exist."""
    try:
        sandbox.isolate(skip=frozenset(("landlok",)), disk=DISK)
    except UsageError as e:
        return e.code
    return "done"


def probed() -> dict[str, Any]:
    """Every layer, the least time of five, and that this process is as it was: not dumpable, as commands are."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    found, times = sandbox_layers.probe(), []
    for _ in range(5):
        start = time.perf_counter()
        found = sandbox_layers.probe()
        times.append(time.perf_counter() - start)
    return {"layers": layers(found), "seconds": min(times), "dumpable": kernel.prctl(kernel.PR_GET_DUMPABLE)}


def crowd() -> dict[str, Any]:
    """How many threads and files a process gets, of 8 and 16."""

    def first() -> Any:
        sandbox.confine(sandbox.KEEPER, skip=NONE, nofile=16, nproc=8)
        count, gate = 1, threading.Event()
        try:
            while True:
                threading.Thread(target=gate.wait, daemon=True).start()
                count += 1
        except RuntimeError:
            pass
        files = tried(lambda: [os.dup(0) for _ in range(17)])
        return {"threads": count, "files": files}

    def outer() -> Any:
        sandbox.isolate(skip=NONE, disk=DISK)
        return unwrap(in_child(first))

    return in_child(outer)


def resized() -> dict[str, Any]:
    """A keeper bounds its data twice; not below what it holds, and not once sealed."""

    def outer() -> Any:
        isolation = sandbox.isolate(skip=NONE, disk=DISK)

        def first() -> Any:
            confine(sandbox.KEEPER_BOOT)
            sandbox.resize(isolation, 1 << 16)
            write_all(os.open("/data/f", os.O_CREAT | os.O_WRONLY), b"x" * (1 << 16))
            full = tried(lambda: write_all(os.open("/data/g", os.O_CREAT | os.O_WRONLY), b"x"))
            small = in_child(lambda: sandbox.resize(isolation, 1 << 13))
            sandbox.resize(isolation, 1 << 17)
            write_all(os.open("/data/g", os.O_CREAT | os.O_WRONLY), b"x")
            other = in_child(lambda: kernel.mount("x", "/data", "tmpfs", 0))
            many = tried(many_directories)
            return {"full": full, "small": small, "other": other, "many": many}

        return unwrap(in_child(first))

    return in_child(outer)


def many_directories() -> None:
    for number in range(100_000):
        os.mkdir(f"/data/{number}")
