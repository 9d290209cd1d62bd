"""The launcher: a small process beside the daemon that starts supervisors, so that they are nobody's children but init's.

It is single-threaded and loads little, so a hundred supervisors forked from it share nearly all of their memory. One
order, one answer, on descriptor 3, JSON in packets. It ends with the daemon; supervisors and Keeps go on.
"""

from __future__ import annotations

import errno
import gc
import hashlib
import json
import os
import select
import signal
import socket
import sys
from functools import partial

from enarx.formats import bounds
from enarx.host import cgroups, events
from enarx.host.backends.process.client import DIED, Hardware
from enarx.host.faults import refusal
from enarx.host.processes import send
from enarx.host.state.files import SOCKET, open_directory
from enarx.host.supervisor.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
    place = cgroups.find(_scope(options["--hardware"]), (os.getpid(), os.getppid()))
    place.clear()
    events.log("bounded", by=place.by, detail=place.detail, remedy=place.remedy)
    start = partial(Hardware, paths, state=options["--hardware"], cache=options["--cache"])
    hardware = start()
    gc.collect()
    gc.freeze()
    while order := _receive(link):
        try:
            if _ended(hardware):
                hardware = _renewed(hardware, start, children)
            place.clear()  # no other launch is under way, so what is empty is left from a Keep whose supervisor was killed
            answer = _launch(link, hardware, place, json.loads(order), children)
            if answer is DIED:  # or it hangs: then it is of no more use either, and closed it ends after its Keeps
                hardware = _renewed(hardware, start, children)
        except OSError as e:
            answer = refusal(e)
        _send(link, answer)


def _renewed(old: Hardware, start: Callable[[], Hardware], children: Children) -> Hardware:
    new = start()
    old.close()
    children.add(old.pid)
    return new


def _scope(state: str) -> str:
    """Begins the names of the cgroups of one daemon's Keeps."""
    return hashlib.sha256(os.path.realpath(state).encode()).hexdigest()[:8]


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
    except ConnectionError:
        return b""  # the daemon ended before it had read an answer


def _send(link: socket.socket, answer: dict[str, Any]) -> None:
    try:
        link.send(json.dumps(answer).encode())
    except ConnectionError:
        return  # the next daemon finds what was launched


def _ended(hardware: Hardware) -> bool:
    """It never speaks unasked: if there is something to read, it is its end."""
    poll = select.poll()
    poll.register(hardware.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _launch(
    link: socket.socket, hardware: Hardware, place: cgroups.Place, order: dict[str, Any], children: Children
) -> dict[str, Any]:
    """One launch: bounded first, then launched, then supervised. What is not wanted any more ends with its control socket."""
    memory = bounds.keep_memory(memory=order["memory"], compile=order["compile"], disk=order["disk"])
    group = place.make(
        os.path.basename(order["directory"]), memory=memory, processes=bounds.processes(os.cpu_count() or 1)
    )
    order["bound"] = place.info(memory)
    answer: dict[str, Any] = {"ok": False}
    try:
        answer = _launch_in(group, link, hardware, order, children)
    finally:
        if not answer["ok"]:
            group.remove()
    return answer


def _launch_in(
    group: cgroups.Group, link: socket.socket, hardware: Hardware, order: dict[str, Any], children: Children
) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            answer, pidfd = _ask(hardware, theirs, order, group)
        if not answer.get("ok"):
            return answer
        if pidfd < 0:  # the Keep ends as its control socket closes
            return refusal(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
        said: dict[str, Any] = {"ok": False}
        try:
            said = _supervise((link, hardware), order, answer, ours, pidfd, group, children)
        finally:
            if not said["ok"]:
                send(pidfd)
            os.close(pidfd)
        return said


def _ask(
    hardware: Hardware, control: socket.socket, order: dict[str, Any], group: cgroups.Group
) -> tuple[dict[str, Any], int]:
    groups = group.open()
    try:
        return hardware.launch(control, order, groups=groups)
    finally:
        for fd in groups:
            os.close(fd)


def _supervise(
    others: tuple[socket.socket, Hardware],
    order: dict[str, Any],
    answer: dict[str, Any],
    keep: socket.socket,
    pidfd: int,
    group: cgroups.Group,
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
                    _be_supervisor(telling, order, answer, keep, pidfd, listener, directory, group)
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
    group: cgroups.Group,
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
            info={
                "keep_pid": answer["pid"],
                "layers": answer["layers"],
                "skipped": order["skip_layers"],
                "bound": order["bound"],
            },
            scratch=answer.get("scratch", ""),
        )
        if _told(telling, {"ok": True, "processes": supervisor.processes}):
            supervisor.serve()
    except OSError as e:
        if telling.closed:
            events.log("supervisor-died", level="error", message=str(e))
        else:
            _told(telling, refusal(e))
    except Exception as e:  # noqa: BLE001  # whatever it is, it is logged once and ends this Keep alone
        events.log("supervisor-died", level="error", message=f"{type(e).__name__}: {e}")
    finally:
        group.remove()
        os._exit(0)


def _told(telling: BinaryIO, answer: dict[str, Any]) -> bool:
    """Tell the launcher. Is it there still? Without it nobody knows of this Keep, which ends with its supervisor."""
    try:
        telling.write(json.dumps(answer).encode())
        telling.close()
    except BrokenPipeError:
        return False
    return True
