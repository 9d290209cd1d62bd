"""The launcher: a small process beside the daemon that starts supervisors, so that they are nobody's children but init's.

It is single-threaded and loads little, so a hundred supervisors forked from it share nearly all of their memory. One
order, one answer, on descriptor 3, JSON in packets. It ends with the daemon; supervisors and Keeps go on.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import select
import signal
import socket
import sys

from enarx.formats import bounds
from enarx.host import cgroups, events
from enarx.host.hardware import DIED, Hardware
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
    place = cgroups.find(_scope(options["--hardware"]), (os.getpid(), os.getppid()))
    place.clear()
    events.log("bounded", by=place.by, detail=place.detail, remedy=place.remedy)
    hardware = Hardware(paths, state=options["--hardware"], cache=options["--cache"])
    gc.collect()
    gc.freeze()
    while order := _receive(link):
        if _ended(hardware):
            hardware.close()
            hardware = Hardware(paths, state=options["--hardware"], cache=options["--cache"])
        place.clear()  # no other launch is under way, so what is empty is left from a Keep whose supervisor was killed
        answer = _launch(link, hardware, place, json.loads(order))
        if answer is DIED:  # or it hangs: then it is of no more use either, and closed it ends after its Keeps
            hardware.close()
            hardware = Hardware(paths, state=options["--hardware"], cache=options["--cache"])
        _send(link, answer)


def _scope(state: str) -> str:
    """Begins the names of the cgroups of one daemon's Keeps."""
    return hashlib.sha256(os.path.realpath(state).encode()).hexdigest()[:8]


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


def _launch(link: socket.socket, hardware: Hardware, place: cgroups.Place, order: dict[str, Any]) -> dict[str, Any]:
    """One launch: bounded first, then launched, then supervised. What is not wanted any more ends with its control socket."""
    order.setdefault("compile", bounds.COMPILE)
    memory = bounds.keep_memory(memory=order["memory"], compile=order["compile"], disk=order["disk"])
    try:
        group = place.make(
            os.path.basename(order["directory"]), memory=memory, processes=bounds.processes(os.cpu_count() or 1)
        )
    except OSError as e:
        return {"ok": False, "code": "cgroup", "message": f"no cgroup for the Keep: {e.strerror}", "hint": "try again"}
    try:
        answer = _launch_in(group, link, hardware, order, place.info(memory))
    except OSError as e:  # this process is out of descriptors, or of memory for sockets
        answer = {"ok": False, "code": "launch", "message": f"no sockets: {e.strerror}", "hint": "try again later"}
    if not answer.get("ok"):
        group.remove()
    return answer


def _launch_in(
    group: cgroups.Group, link: socket.socket, hardware: Hardware, order: dict[str, Any], bound: dict[str, str | int]
) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            answer, pidfd = _ask(hardware, theirs, order, group)
        if not answer.get("ok"):
            return answer
        try:
            return _supervise(link, hardware, order, {**answer, "bound": bound}, ours, pidfd, group)
        except OSError as e:  # the Keep ends as its control socket closes
            return {"ok": False, "code": "launch", "message": f"no supervisor: {e.strerror}", "hint": "try again later"}
        finally:
            os.close(pidfd)


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
    link: socket.socket,
    hardware: Hardware,
    order: dict[str, Any],
    answer: dict[str, Any],
    keep: socket.socket,
    pidfd: int,
    group: cgroups.Group,
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
                group.remove()
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
        info={
            "keep_pid": answer["pid"],
            "layers": answer["layers"],
            "skipped": order["skip_layers"],
            "bound": answer["bound"],
        },
        scratch=answer.get("scratch", ""),
    ).serve()
