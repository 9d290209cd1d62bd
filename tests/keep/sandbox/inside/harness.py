"""What all scenarios share: children that report, and what is tried in them."""

from __future__ import annotations

import ctypes
import errno
import json
import os
from collections.abc import Callable
from typing import Any

from enarx.errors import BackendError
from enarx.keep import sandbox
from enarx.keep.sandbox.syscalls import NUMBERS

NONE: frozenset[str] = frozenset()
DISK = 1 << 20
FILES, PROCESSES = 64, 128
_ELSEWHERE = {"memfd_create": (319, 279), "sendmsg": (46, 211), "timer_create": (222, 107)}
NEWER = {"clone3": 435, "unknown": 4000}
NEWER |= {name: numbers[os.uname().machine == "aarch64"] for name, numbers in _ELSEWHERE.items()}
"""Calls that no list names, and their numbers on this architecture."""

PAGE, READ, WRITE, EXECUTE, PRIVATE_ANONYMOUS = 4096, 1, 2, 4, 0x22
LIBC = ctypes.CDLL(None, use_errno=True)


def confine(
    profile: sandbox.Profile,
    *,
    skip: frozenset[str] = NONE,
    data: int | None = None,
    read_only: tuple[str, ...] = (),
    read_write: tuple[str, ...] = (),
) -> tuple[sandbox.Layer, ...]:
    """sandbox.confine with limits that are out of the way."""
    return sandbox.confine(
        profile, skip=skip, nofile=FILES, nproc=PROCESSES, data=data, read_only=read_only, read_write=read_write
    )


def begin(work: Callable[[], Any], keep: frozenset[int] | None = None) -> tuple[int, int]:
    """Fork a child that does `work`, with no descriptor but those in `keep`: its id, and where its finding is read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if keep is not None:
            sandbox.close_others(keep | {writer})
        try:
            write_all(writer, json.dumps(found(work)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    return child, reader


def found(work: Callable[[], Any]) -> dict[str, Any]:
    """What came of `work`, as JSON can say it."""
    try:
        return {"result": work()}
    except BackendError as e:
        return {"error": e.code, "message": e.message, "checks": e.checks}
    except BaseException as e:
        return {"error": type(e).__name__, "message": str(e)}


def end(child: int, reader: int) -> dict[str, Any]:
    """What the child found: {"result"}, {"error"} or {"signal"}."""
    text = read_all(reader)
    status = os.waitpid(child, 0)[1]
    outcome: dict[str, Any] = {"signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else json.loads(text)
    return outcome


def in_child(work: Callable[[], Any]) -> dict[str, Any]:
    """Both."""
    return end(*begin(work))


def unwrap(outcome: dict[str, Any]) -> Any:
    """The result, where nothing else will do."""
    if "result" not in outcome:
        raise RuntimeError(f"child: {outcome}")
    return outcome["result"]


def write_all(fd: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.close(fd)


def read_all(fd: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read()


def layers(found: tuple[sandbox.Layer, ...]) -> dict[str, list[Any]]:
    return {layer.name: [layer.on, layer.detail, layer.remedy] for layer in found}


def tried(action: Callable[[], Any]) -> str:
    """The error that `action` fails with; 'done' if it does not."""
    try:
        action()
    except OSError as e:
        return errno.errorcode.get(e.errno or 0, str(e.errno))
    return "done"


def called(name: str, *arguments: int) -> str:
    """The same for a raw system call."""
    if name not in NUMBERS | NEWER:
        return "absent"
    ctypes.set_errno(0)
    words = [ctypes.c_ulong(x & (1 << 64) - 1) for x in arguments]
    result = LIBC.syscall(ctypes.c_long((NUMBERS | NEWER)[name]), *words)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "done"


def executable_page() -> None:
    """Try to make a writable page executable."""
    LIBC.mmap.restype = ctypes.c_void_p
    page = LIBC.mmap(None, ctypes.c_size_t(PAGE), READ | WRITE, PRIVATE_ANONYMOUS, -1, ctypes.c_long(0))
    if LIBC.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), READ | EXECUTE) == -1:
        raise OSError(ctypes.get_errno(), "mprotect")
