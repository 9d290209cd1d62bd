"""The launcher: a small process beside the daemon that starts supervisors, so that they are nobody's children but init's.

It is single-threaded and loads little, so a hundred supervisors forked from it share nearly all of their memory. One
order, one answer, on descriptor 3, JSON in packets. It ends with the daemon; supervisors and Keeps go on.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import select
import signal
import socket
import sys
from functools import partial

from enarx.host import events
from enarx.host.faults import refusal
from enarx.host.files import SOCKET, open_directory
from enarx.host.hardware import Hardware
from enarx.host.processes import send
from enarx.host.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, NoReturn

LINK = 3
MAX_MESSAGE = 64 << 10
BACKLOG = 64


def main() -> None:
    """Serve launches until the daemon is gone."""
    paths, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    os.chdir("/")
    os.umask(0o077)
    children = Children()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = socket.socket(fileno=LINK)
    start = partial(Hardware, paths, state=options["--hardware"], cache=options["--cache"])
    hardware = start()
    gc.collect()
    gc.freeze()
    while order := _receive(link):
        try:
            if _ended(hardware):
                hardware, ended = start(), hardware
                ended.close()
                children.add(ended.pid)
            answer = _launch(link, hardware, json.loads(order), children)
        except OSError as e:
            answer = refusal(e)
        _send(link, answer)


class Children:
    """Processes of ours that are reaped as they end: only those, and none that they start is made to inherit this."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        signal.signal(signal.SIGCHLD, lambda *_: self.reap())

    def add(self, pid: int) -> None:
        """Reap this one too, which may have ended already."""
        self._pids.add(pid)
        self.reap()

    def reap(self) -> None:
        """Reap those that have ended."""
        for pid in tuple(self._pids):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    self._pids.discard(pid)
            except ChildProcessError:
                self._pids.discard(pid)


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


def _launch(link: socket.socket, hardware: Hardware, order: dict[str, Any], children: Children) -> dict[str, Any]:
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
        if pidfd < 0:  # the Keep ends as its control socket closes
            return refusal(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
        said: dict[str, Any] = {"ok": False}
        try:
            said = _supervise((link, hardware), order, answer, ours, pidfd, children)
        finally:
            if not said["ok"]:
                send(pidfd)
            os.close(pidfd)
        return said


def _supervise(
    others: tuple[socket.socket, Hardware],
    order: dict[str, Any],
    answer: dict[str, Any],
    keep: socket.socket,
    pidfd: int,
    children: Children,
) -> dict[str, Any]:
    """Fork a supervisor, and wait until it is one; in it this never returns. `others` are not for it."""
    directory = open_directory(order["directory"])
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")  # a socket's own path may only be short
            listener.listen(BACKLOG)
            ready, tell = os.pipe()
            with open(ready, "rb") as answers, open(tell, "wb") as telling:
                pid = os.fork()
                if pid == 0:
                    for other in others:
                        other.close()
                    answers.close()
                    _be_supervisor(telling, order, answer, keep, pidfd, listener, directory)
                children.add(pid)
                telling.close()
                said = answers.read()
    finally:
        os.close(directory)
    died = {"ok": False, "code": "launch", "message": "the supervisor ended as it started", "hint": "try again later"}
    return dict(json.loads(said)) if said else died


def _be_supervisor(
    telling: BinaryIO,
    order: dict[str, Any],
    answer: dict[str, Any],
    keep: socket.socket,
    pidfd: int,
    listener: socket.socket,
    directory: int,
) -> NoReturn:
    """Supervise one Keep to its end, and end. The launcher is told whether it came to that."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        gc.disable()
        supervisor = Supervisor(
            keep=keep,
            pidfd=pidfd,
            listener=listener,
            directory=directory,
            stored_output=order["stored_output"],
            unused=order["unused"],
            info={"keep_pid": answer["pid"], "layers": answer["layers"], "skipped": order["skip_layers"]},
            scratch=answer.get("scratch", ""),
        )
        telling.write(json.dumps({"ok": True, "processes": supervisor.processes}).encode())
        telling.close()
        supervisor.serve()
    except OSError as e:
        events.log("supervisor-died", level="error", message=str(e))
        if not telling.closed:
            telling.write(json.dumps(refusal(e)).encode())
            telling.close()
    except Exception as e:  # noqa: BLE001  # whatever it is, it is logged once and ends this Keep alone
        events.log("supervisor-died", level="error", message=f"{type(e).__name__}: {e}")
    finally:
        os._exit(0)
