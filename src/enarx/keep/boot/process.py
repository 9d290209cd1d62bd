"""The zygote: a process that has loaded the Keep's code, holds no key, and is forked once for each Keep.

It is started from the measured files by the (simulated) hardware, takes its orders on descriptor 3 and answers there,
one packet each: CBOR with the descriptors beside it (docs/spec/host.md, "Hardware"). The host's cgroups for the Keep come
with the order, opened: the first process of a Keep joins them before it does anything else.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
from typing import Any

import cryptography.hazmat.backends.openssl.backend  # noqa: F401  # made use of when there is no file to load it from

from enarx.errors import BackendError, EnarxError, UnavailableError
from enarx.formats import bounds
from enarx.formats.wire import decode, encode
from enarx.keep import attester, sandbox
from enarx.keep.attester.link import AttesterLink
from enarx.keep.attester.process import make_link, spawn
from enarx.keep.children import Score
from enarx.keep.frames import Frames
from enarx.keep.guest import runner
from enarx.keep.keeper import Keeper
from enarx.record import as_dict

LINK = 3
MAX_ORDER = 64 << 10
FIRST_DISK = 16 << 20
"""Bytes of files before a package has said what it needs."""

ATTESTER = attester.load("simulated")
LEAST_FDS, MAX_FDS = 2, 4
"""Beside an order: control socket, report link, and a cgroup's list of processes in at most two hierarchies."""


def main() -> None:
    """Serve launches until the link closes."""
    link = socket.socket(fileno=LINK)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Keeps are reaped by the kernel
    sandbox.adopt_orphans()
    gc.freeze()
    gc.enable()
    while True:
        try:
            order, fds, _, _ = socket.recv_fds(link, MAX_ORDER, MAX_FDS)
            if not order:
                return
            answer, pidfds = _launch(link, _map(order), fds)
            socket.send_fds(link, [encode(answer)], pidfds)
        except ConnectionError:
            return  # the hardware is gone, and with it the other ends of what this Keep was given
        for fd in (*fds, *pidfds):
            os.close(fd)


def _map(packet: bytes) -> dict[str, Any]:
    """The map in a packet of ours."""
    value: Any = decode(packet, "packet")
    return dict(value)


def _launch(link: socket.socket, order: dict[str, Any], fds: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Fork a Keep and gather what its two processes say of it."""
    if len(fds) < LEAST_FDS:
        raise OSError("descriptors are missing beside an order")  # the hardware starts another zygote, and tries again
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            link.close()
            ours.close()
            _outer(theirs, order, *fds)
        except Exception as e:  # noqa: BLE001  # nothing but its class may leave a Keep
            complain(e)
        finally:
            os._exit(0)
    theirs.close()
    answer: dict[str, Any] = {}
    pidfds: list[int] = []
    while True:
        part, more, _, _ = socket.recv_fds(ours, MAX_ORDER, 1)
        if not part:
            break
        answer |= _map(part)
        pidfds += more
    ours.close()
    return answer or {
        "ok": False,
        "code": "keep-died",
        "message": "the Keep ended while it started",
        "hint": "",
    }, pidfds


def _outer(answer: socket.socket, order: dict[str, Any], control: int, report: int, *groups: int) -> None:
    """The process between zygote and Keep: builds the walls, then forks the Keep's first process and goes."""
    try:
        _join(groups)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a child's number is its own until it is waited for
        proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sandbox.close_others(frozenset((0, 1, 2, answer.fileno(), control, report, proc)))
        skip = frozenset(order["skip_layers"])
        isolation = sandbox.isolate(skip=skip, disk=FIRST_DISK)
        pid = os.fork()
        if pid:
            tell(answer, {"pid": pid}, os.pidfd_open(pid))
            return
        score = Score(proc)
        os.close(proc)
        keep(answer, isolation, order["limits"], skip, control=control, report=report, score=score)
    except EnarxError as e:
        tell(answer, _refusal(e))


def keep(
    answer: socket.socket,
    isolation: sandbox.Isolation,
    limits: dict[str, int],
    skip: frozenset[str],
    *,
    control: int,
    report: int,
    score: Score,
) -> None:
    """Be a Keep, from its launch to its end. `limits` are the host's: bytes of `memory`, `compile` and `disk`."""
    ends = make_link()
    layers = isolation.layers + sandbox.confine(
        sandbox.KEEPER_BOOT, skip=skip, nofile=runner.MAX_FILES, nproc=runner.MAX_PROCESSES
    )
    with score:
        handle = runner.spawn(isolation, skip)
    own = bounds.keep_memory(memory=0, compile=limits["compile"], disk=limits["disk"])  # module and indexes are here
    resource.setrlimit(resource.RLIMIT_DATA, (own, own))
    said = {"ok": True, "layers": [as_dict(layer) for layer in layers], "scratch": isolation.scratch}
    tell(answer, said)
    answer.close()
    try:
        link, child = spawn(ATTESTER, report, ends, skip=skip)  # after the answer, while the tenant connects
        frames = Frames(socket.socket(fileno=control))
        Keeper(frames, AttesterLink(link, child), handle, isolation, limits, skip).serve()
    except UnavailableError:
        return  # the host let go, or the hardware did before it had spoken: nobody is left to tell


def tell(answer: socket.socket, value: dict[str, Any], fd: int | None = None) -> None:
    """Tell the zygote of this launch. Without a zygote nobody knows of the Keep, so it ends."""
    try:
        if fd is None:
            answer.send(encode(value))
        else:
            socket.send_fds(answer, [encode(value)], [fd])
    except ConnectionError:
        os._exit(0)


def complain(e: Exception) -> None:
    """A fixed word on stderr for what should not have happened: nothing of the error but its class may leave the Keep."""
    os.write(2, f"keep: {type(e).__name__}\n".encode())


def _join(groups: tuple[int, ...]) -> None:
    """Enter the cgroups that bound this Keep, with all that it is going to fork."""
    try:
        for fd in groups:
            os.write(fd, b"0")
    except OSError as e:
        raise BackendError("cgroup", f"the Keep cannot join its cgroup: {e.strerror}", hint="try again") from e


def _refusal(e: EnarxError) -> dict[str, Any]:
    checks = e.checks if isinstance(e, BackendError) else ()
    return {"ok": False, "code": e.code, "message": e.message, "hint": e.hint, "checks": [list(c) for c in checks]}
