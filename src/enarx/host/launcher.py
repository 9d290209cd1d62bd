"""The launcher: a small process beside the daemon that starts supervisors, so that they are nobody's children but init's.

It is single-threaded and loads little, so a hundred supervisors forked from it share nearly all of their memory. One
order, one answer, on descriptor 3, JSON in packets. It ends with the daemon; supervisors and Keeps go on.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys

from enarx.host import events
from enarx.host.hardware import Hardware
from enarx.host.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINK = 3
MAX_MESSAGE = 64 << 10
BACKLOG = 64


def main() -> None:
    """Serve launches until the daemon is gone."""
    paths, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    os.chdir("/")
    os.umask(0o077)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are reaped by the kernel
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = socket.socket(fileno=LINK)
    hardware = Hardware(paths, state=options["--hardware"], cache=options["--cache"])
    gc.collect()
    gc.freeze()
    while order := _receive(link):
        if _ended(hardware):
            hardware.close()
            hardware = Hardware(paths, state=options["--hardware"], cache=options["--cache"])
        _send(link, _launch(link, hardware, json.loads(order)))


def _receive(link: socket.socket) -> bytes:
    try:
        return link.recv(MAX_MESSAGE)
    except ConnectionResetError:
        return b""  # the daemon ended before it had read an answer


def _send(link: socket.socket, answer: dict[str, Any]) -> None:
    try:
        link.send(json.dumps(answer).encode())
    except BrokenPipeError:
        return  # the next daemon finds what was launched


def _ended(hardware: Hardware) -> bool:
    """It never speaks unasked: if there is something to read, it is its end."""
    poll = select.poll()
    poll.register(hardware.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _launch(link: socket.socket, hardware: Hardware, order: dict[str, Any]) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            answer, pidfd = hardware.launch(
                theirs,
                host_data=order["host_data"],
                memory=order["memory"],
                disk=order["disk"],
                skip_layers=order["skip_layers"],
            )
        if not answer.get("ok"):
            return answer
        try:
            return _supervise(link, hardware, order, answer, ours, pidfd)
        except OSError as e:  # the Keep ends as its control socket closes
            return {"ok": False, "code": "launch", "message": f"no supervisor: {e.strerror}", "hint": "try again later"}
        finally:
            os.close(pidfd)


def _supervise(
    link: socket.socket,
    hardware: Hardware,
    order: dict[str, Any],
    answer: dict[str, Any],
    keep: socket.socket,
    pidfd: int,
) -> dict[str, Any]:
    """Fork a supervisor; in it this never returns."""
    with socket.socket(socket.AF_UNIX) as listener:
        _bind(listener, order["directory"])
        if os.fork() == 0:
            try:
                link.close()
                hardware.close()
                os.setsid()
                gc.disable()
                _serve(order, answer, keep, pidfd, listener)
            except Exception as e:  # noqa: BLE001  # whatever it is, it is said once and ends this Keep alone
                events.log("supervisor-died", level="error", message=f"{type(e).__name__}: {e}")
            finally:
                os._exit(0)
    return {"ok": True}


def _bind(listener: socket.socket, directory: str) -> None:
    """By way of the directory's descriptor: a socket's own path may only be short."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{fd}/sock")
    finally:
        os.close(fd)
    listener.listen(BACKLOG)


def _serve(
    order: dict[str, Any], answer: dict[str, Any], keep: socket.socket, pidfd: int, listener: socket.socket
) -> None:
    Supervisor(
        keep=keep,
        pidfd=pidfd,
        listener=listener,
        directory=order["directory"],
        stored_output=order["stored_output"],
        info={"keep_pid": answer["pid"], "layers": answer["layers"], "skipped": order["skip_layers"]},
        scratch=answer.get("scratch", ""),
    ).serve()
