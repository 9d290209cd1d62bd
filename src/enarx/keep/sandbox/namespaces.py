"""Taking a process out of the host: another user id, namespaces of its own, and a root directory in memory."""

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
"""The Keep's user and group: inside always, outside too if root starts it."""

HOSTNAME = "keep"
SECRETS_SIZE = 8 << 20
"""Bytes that /run/secrets may hold."""

PAGE = 4096
_SPARE_FILES = 4096
_LARGE_PAGES = ",huge=within_size"
"""Writing a large file takes a third of the time with large pages; never more of them than the file has bytes."""

_STAGE = "/proc"
"""Where the new root is first mounted, in a mount namespace that nobody else sees: it is there on every Linux."""

_MEMORY_DISKS = "/dev/shm"  # noqa: S108  # what is made in it has a random name and is private
_PLAIN = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


@record()
class Isolation:
    """The isolation of a Keep and where its files are.

    `scratch` is a directory that the starter must remove after the Keep's end; it is empty unless the mount namespace
    was left out. `resizable` says whether `resize` can bound `data`.
    """

    layers: tuple[Layer, ...]
    data: str
    secrets: str
    scratch: str
    resizable: bool


def isolate(*, skip: frozenset[str], disk: int) -> Isolation:
    """Isolate this single-threaded process; its next child is process 1 of the Keep. `disk` bounds /data in bytes.

    BackendError 'layers-missing' if a layer that is not named in `skip` cannot be had; the process is of no use then.
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
    """Try each layer that is not to be skipped, and say how it went."""
    steps: dict[str, Callable[[], str]] = {
        "unprivileged-uid": _leave_root,
        "user-namespace": _user_namespace,
        "pid-namespace": lambda: _unshare(kernel.CLONE_NEWPID, "the next child is process 1"),
        "mount-namespace": lambda: _mount_namespace(disk),
        "net-namespace": lambda: _unshare(kernel.CLONE_NEWNET, "no interface is up"),
        "ipc-namespace": lambda: _unshare(kernel.CLONE_NEWIPC, "empty"),
        "uts-namespace": _uts_namespace,
    }
    if "user-namespace" in skip:  # then only root may have the others, and must stay root until it has them
        steps["unprivileged-uid"] = steps.pop("unprivileged-uid")
    return tuple(attempt(name, step, skip) for name, step in steps.items())


def resize(isolation: Isolation, disk: int) -> None:
    """Bound /data by `disk` bytes from now on; needs the capability that KEEPER_BOOT keeps.

    BackendError 'data-size' if it already holds more, or if this isolation has no file system of its own to bound.
    """
    if not isolation.resizable:
        raise BackendError("data-size", "the size of /data cannot be set: a namespace that it needs was left out")
    try:
        _mount("data", isolation.data, RESIZE_FLAGS, _bounds(disk))
    except OSError as e:
        raise BackendError("data-size", f"/data cannot be bounded to {disk} bytes: {e.strerror}") from e


def adopt_orphans() -> None:
    """Become the parent of whatever this process's children leave behind, so that no other process has to reap it."""
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def close_others(keep: frozenset[int]) -> None:
    """Close every descriptor but those in `keep`."""
    start = 0
    for fd in sorted(keep):
        if start < fd:  # to os.closerange, from 0 to 0 is everything
            os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def _leave_root() -> str:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # undone by the change; /proc/self/uid_map would be root's
    return f"user id {os.geteuid()} outside"


def _unshare(flag: int, said: str) -> str:
    kernel.unshare(flag)
    return said


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
    """A tmpfs, with large pages where the kernel has them."""
    try:
        kernel.mount(source, path, "tmpfs", flags, options + _LARGE_PAGES)
    except OSError as e:
        if e.errno != errno.EINVAL:
            raise
        kernel.mount(source, path, "tmpfs", flags, options)


def _bounds(size: int) -> str:
    """tmpfs options; a size of 0 would mean no bound, and files without content take kernel memory too."""
    return f"size={max(size, PAGE)},nr_inodes={size // PAGE + _SPARE_FILES}"


def _scratch_directory() -> str:
    """A private directory in memory, for want of a mount namespace; nothing bounds its size."""
    scratch = f"{_MEMORY_DISKS}/enarx-keep-{os.urandom(8).hex()}"
    for path in (scratch, f"{scratch}/data", f"{scratch}/secrets"):
        os.mkdir(path, 0o700)
    return scratch
