"""Isolates a process from the host: another user id, namespaces of its own, and a root directory in memory."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from enarx.errors import BackendError
from enarx.keep.sandbox import kernel
from enarx.keep.sandbox.layers import Layer, attempt, check_names, require
from enarx.keep.sandbox.profiles import RESIZE_FLAGS
from enarx.record import record

NOBODY = 65534
"""The Keep's user and group id: always inside the user namespace, and also outside if root starts it."""

HOSTNAME = "keep"
SECRETS_SIZE = 8 << 20
"""Bytes that /run/secrets may hold."""

PAGE = 4096
_SPARE_FILES = 4096
_LARGE_PAGES = ",huge=within_size"
"""With huge pages, writing a large file takes a third of the time. `within_size` uses none beyond the end of a file."""

_STAGE = "/proc"
"""Where the new root is mounted first: a directory of every Linux, in a mount namespace that no other process sees."""

_MEMORY_DISKS = "/dev/shm"  # noqa: S108  # the directory made there has a random name and mode 0700
_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


@record()
class Isolation:
    """The isolation of a Keep, and its directories `data` and `secrets`.

    `scratch` is empty, unless the mount namespace was left out: then it is a directory that the host must remove after the
    Keep's end. `resizable` tells whether `resize` works.
    """

    layers: tuple[Layer, ...]
    data: str
    secrets: str
    scratch: str
    resizable: bool


def isolate(*, skip: frozenset[str], disk: int) -> Isolation:
    """Isolate this single-threaded process; its next child is process 1 of the Keep. `disk` limits /data, in bytes.

    BackendError 'layers-missing' if the kernel refuses a layer that `skip` does not name. The process must then exit,
    because it is only partly isolated.
    """
    check_names(skip)
    layers = try_isolate(skip, disk)
    require(layers, skip)
    if "mount-namespace" not in skip:
        resizable = "user-namespace" not in skip
        return Isolation(layers=layers, data="/data", secrets="/run/secrets", scratch="", resizable=resizable)
    scratch = _scratch_directory()
    return Isolation(
        layers=layers, data=f"{scratch}/data", secrets=f"{scratch}/secrets", scratch=scratch, resizable=False
    )


def try_isolate(skip: frozenset[str], disk: int) -> tuple[Layer, ...]:
    """Try each layer that `skip` does not name; return the outcome of each."""
    steps: dict[str, Callable[[], str]] = {
        "unprivileged-uid": _leave_root,
        "user-namespace": _user_namespace,
        "pid-namespace": lambda: _unshare(kernel.CLONE_NEWPID, "the next child is process 1"),
        "mount-namespace": lambda: _mount_namespace(disk),
        "net-namespace": lambda: _unshare(kernel.CLONE_NEWNET, "no interface is up"),
        "ipc-namespace": lambda: _unshare(kernel.CLONE_NEWIPC, "empty"),
        "uts-namespace": _uts_namespace,
    }
    if "user-namespace" in skip:  # only root may create the others then, and has to stay root until it has
        steps["unprivileged-uid"] = steps.pop("unprivileged-uid")
    return tuple(attempt(name, step, skip) for name, step in steps.items())


def resize(isolation: Isolation, disk: int) -> None:
    """Limit /data to `disk` bytes from now on. Needs the capability that KEEPER_BOOT retains.

    BackendError 'data-size' if /data holds more already, or is not a file system of this Keep's own.
    """
    if not isolation.resizable:
        raise BackendError("data-size", "the size of /data cannot be set: a namespace that it needs was left out")
    try:
        _mount("data", isolation.data, RESIZE_FLAGS, _bounds(disk))
    except OSError as e:
        raise BackendError("data-size", f"/data cannot be bounded to {disk} bytes: {e.strerror}") from e


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants, so that the zygote reaps them and no process of the host has to."""
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def close_others(keep: frozenset[int]) -> None:
    """Close every descriptor but those in `keep`."""
    start = 0
    for fd in sorted(keep):
        if start < fd:  # an empty range would close every descriptor
            os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def _leave_root() -> str:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        # the change cleared it, and /proc/self/uid_map would then belong to root
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    return f"user id {os.geteuid()} outside"


def _unshare(flag: int, description: str) -> str:
    kernel.unshare(flag)
    return description


def _user_namespace() -> str:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{NOBODY} {uid} 1")
    _write("/proc/self/gid_map", f"{NOBODY} {gid} 1")
    return f"user id {NOBODY} inside"


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _uts_namespace() -> str:
    kernel.unshare(kernel.CLONE_NEWUTS)
    kernel.set_hostname(HOSTNAME)
    return f"host name {HOSTNAME}"


def _mount_namespace(disk: int) -> str:
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("keep", _STAGE, "tmpfs", _PLAIN, "size=64k,nr_inodes=16,mode=755")
    os.chdir(_STAGE)
    _memory_disk("data", disk)
    os.mkdir("run", 0o755)
    _memory_disk("run/secrets", SECRETS_SIZE)
    kernel.pivot_to_cwd()
    os.chdir("/")
    kernel.mount(None, "/", None, kernel.MS_REMOUNT | kernel.MS_RDONLY | _PLAIN)
    return f"root in memory, /data of at most {disk} bytes"


def _memory_disk(path: str, size: int) -> None:
    os.mkdir(path, 0o700)
    _mount(path, path, _PLAIN, f"{_bounds(size)},mode=700,uid={NOBODY},gid={NOBODY}")


def _mount(source: str, path: str, flags: int, options: str) -> None:
    """Mount a tmpfs, with huge pages if the kernel supports them."""
    try:
        kernel.mount(source, path, "tmpfs", flags, options + _LARGE_PAGES)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
        kernel.mount(source, path, "tmpfs", flags, options)


def _bounds(size: int) -> str:
    """Return tmpfs options. A size of 0 would mean no limit; inodes are limited because empty files take memory too."""
    return f"size={max(size, PAGE)},nr_inodes={size // PAGE + _SPARE_FILES}"


def _scratch_directory() -> str:
    """Create a private directory in memory, for a Keep without a mount namespace. Its size has no limit."""
    scratch = f"{_MEMORY_DISKS}/enarx-keep-{os.urandom(8).hex()}"
    for path in (scratch, f"{scratch}/data", f"{scratch}/secrets"):
        os.mkdir(path, 0o700)
    return scratch
