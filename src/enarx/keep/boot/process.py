"""The zygote: a process that has loaded the Keep's code, holds no key, and is forked for each Keep.

The simulator starts it from the measured files, so a launch costs a fork instead of the imports. Orders arrive on
descriptor 3 and answers leave there: one packet each, in CBOR, with descriptors beside it (docs/spec/host.md has the
fields). One launch goes through these processes:

    zygote  `main`    forks for each order, and relays what the two processes below report
    outer   `_outer`  joins the host's cgroups, enters namespaces of its own, forks the keeper, exits
    keeper  `keep`    process 1 of the Keep: confines itself, forks compiler and runner, reports, forks the attester,
                      and only then creates keys

After `_outer` has isolated the process, nothing can be imported: the files are out of reach. So everything is imported
here, including modules that a library would import on first use.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
from typing import Any

import cryptography.hazmat.backends.openssl.backend  # noqa: F401  # cryptography imports it on first use

from enarx.delivery.keep import ANY_PACKAGE, ENTROPY_SIZE, KeepProtocol
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
"""Size of /data in bytes until the package states its own."""

ATTESTER = attester.load("simulated")
"""Sandboxed processes have no hardware of their own to ask."""

LEAST_FDS, MAX_FDS = 2, 4
"""Descriptors beside an order: control socket, report link, and `cgroup.procs` in up to two hierarchies."""


def main() -> None:
    """Serve one launch after another until the simulator closes the link."""
    link = socket.socket(fileno=LINK)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps Keeps
    sandbox.adopt_orphans()
    _prepare()
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
            return  # the simulator is gone, and with it the other ends of this Keep's sockets
        for fd in (*fds, *pidfds):
            os.close(fd)


def _prepare() -> None:
    """Have the sandbox and OpenSSL build their tables here, once: every Keep shares them. No key of a Keep is among them.

    OpenSSL loads its algorithms, 0.7 MiB, with the first key. That key has a seed of zeros, and is dropped.
    """
    sandbox.prepare()
    KeepProtocol(entropy=bytes(ENTROPY_SIZE), package=ANY_PACKAGE)


def _map(packet: bytes) -> dict[str, Any]:
    """Decode a packet from the simulator or from a process of this module."""
    value: Any = decode(packet, "packet")
    return dict(value)


def _launch(link: socket.socket, order: dict[str, Any], fds: list[int]) -> tuple[dict[str, Any], list[int]]:
    """Fork a Keep; return the answer and its pidfd. `_outer` and `keep` report one part each, then close their socket."""
    if len(fds) < LEAST_FDS:
        # ends the zygote; the simulator starts another and retries
        raise OSError("descriptors are missing beside an order")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            link.close()
            ours.close()
            _outer(theirs, order, *fds)
        except Exception as e:  # noqa: BLE001  # only the error's class may leave a Keep
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
    """Isolate this process, fork the keeper as process 1 of the new namespaces, report its pidfd, and return."""
    try:
        _join(groups)
        # undo the zygote's SIG_IGN: a child's number must not be reused before wait
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    """Run a Keep from its launch to its end. `limits` are the host's, in bytes: `memory`, `compile` and `disk`."""
    ends = make_link()
    layers = isolation.layers + sandbox.confine(
        sandbox.KEEPER_BOOT, skip=skip, nofile=runner.MAX_FILES, nproc=runner.MAX_PROCESSES
    )
    with score:
        handle = runner.spawn(isolation, skip)
    # the keeper holds module and indexes
    own = bounds.keep_memory(memory=0, compile=limits["compile"], disk=limits["disk"])
    resource.setrlimit(resource.RLIMIT_DATA, (own, own))
    tell(answer, {"ok": True, "layers": [as_dict(layer) for layer in layers], "scratch": isolation.scratch})
    answer.close()
    try:
        link, child = spawn(ATTESTER, report, ends, skip=skip)  # after the answer, while the tenant connects
        attester_link = AttesterLink(link, child, control=control)
        Keeper(Frames(socket.socket(fileno=control)), attester_link, handle, isolation, limits, skip).serve()
    except UnavailableError:
        return  # the host closed the control socket, or the simulator the report link: no peer is left to report to


def tell(answer: socket.socket, value: dict[str, Any], fd: int | None = None) -> None:
    """Send the zygote a part of the answer. If the zygote is gone, no host knows this Keep, so the process exits."""
    try:
        if fd is None:
            answer.send(encode(value))
        else:
            socket.send_fds(answer, [encode(value)], [fd])
    except ConnectionError:
        os._exit(0)


def complain(e: Exception) -> None:
    """Write the class of an unexpected error to stderr. Its text stays inside, as it may hold secrets."""
    os.write(2, f"keep: {type(e).__name__}\n".encode())


def _join(groups: tuple[int, ...]) -> None:
    """Enter the host's cgroups, before any fork, so that they bound every process of the Keep."""
    try:
        for fd in groups:
            os.write(fd, b"0")
    except OSError as e:
        raise BackendError("cgroup", f"the Keep cannot join its cgroup: {e.strerror}", hint="try again") from e


def _refusal(e: EnarxError) -> dict[str, Any]:
    checks = e.checks if isinstance(e, BackendError) else ()
    return {"ok": False, "code": e.code, "message": e.message, "hint": e.hint, "checks": [list(c) for c in checks]}
