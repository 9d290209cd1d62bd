"""The host side of one `enarx run`: launches one Keep and is its supervisor, for as long as the command lives.

Descriptor 3 is a listening Unix socket made by the command; descriptor 4 brings one line of JSON that says what to
launch, and its end means that the command is gone. `--directory DIR` is a private directory, erased at the end.
"""

from __future__ import annotations

import os
import sys

from enarx.host import cgroups
from enarx.host.backends.process.client import Hardware

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

LISTENER, ORDER = 3, 4
MAX_ORDER = 4096
STORED_OUTPUT = 64 << 20


def main() -> None:
    """Start the hardware before anything more is loaded; then serve one Keep, and leave nothing."""
    paths, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    os.chdir("/")
    place = cgroups.find("run", (os.getpid(), os.getppid()))  # before there are more processes that could be in the way
    hardware = Hardware(paths, state=options["--state"], cache=options["--cache"])
    import json
    import signal

    from enarx.host.state.files import erase_path

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command decides what Ctrl-C means
    try:
        order = _read_order()
        if order:
            place.clear(lambda name: os.path.exists(f"/proc/{name.partition('-')[0]}"))
            _bounded(hardware, place, json.loads(order), options["--directory"])
    finally:
        erase_path(options["--directory"])
        os._exit(0)  # the command waits for this: nothing is left that taking down in order would be for


def _read_order() -> bytes:
    """The line, or nothing if the command ended before it had one."""
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(ORDER, MAX_ORDER)
        if not piece:
            return b""
        data += piece
    return data


def _bounded(hardware: Hardware, place: cgroups.Place, order: dict[str, Any], directory: str) -> None:
    """Serve it in a cgroup of its own."""
    import socket

    from enarx.formats import bounds

    listener = socket.socket(fileno=LISTENER)
    order.setdefault("compile", bounds.COMPILE)
    memory = bounds.keep_memory(memory=order["memory"], compile=order["compile"], disk=order["disk"])
    try:
        name = f"{os.getpid()}-{os.urandom(4).hex()}"
        group = place.make(name, memory=memory, processes=bounds.processes(os.cpu_count() or 1))
    except OSError as e:
        said = f"no cgroup for the Keep: {e.strerror}"
        _refuse(listener, {"ok": False, "code": "cgroup", "message": said, "hint": "try again"})
        return
    try:
        _serve(hardware, order, directory, listener, group.open(), place.info(memory))
    finally:
        group.remove()


def _serve(
    hardware: Hardware,
    order: dict[str, Any],
    directory: str,
    listener: socket.socket,
    groups: list[int],
    bound: dict[str, str | int],
) -> None:
    import socket

    from enarx.host.state.files import open_directory
    from enarx.host.supervisor.supervisor import Supervisor

    ours, theirs = socket.socketpair()
    with theirs:
        answer, pidfd = hardware.launch(theirs, order, groups=groups, until=ORDER)
    for fd in groups:
        os.close(fd)
    if not answer.get("ok"):
        _refuse(listener, answer)
        return
    info = {
        "kind": order["kind"],
        "keep_pid": answer["pid"],
        "layers": answer["layers"],
        "skipped": order["skip_layers"],
        "bound": bound,
    }
    supervisor = Supervisor(
        keep=ours,
        pidfd=pidfd,
        listener=listener,
        directory=open_directory(directory),
        stored_output=STORED_OUTPUT,
        info=info,
        scratch=answer.get("scratch", ""),
        until=ORDER,
    )
    supervisor.serve()


def _refuse(listener: socket.socket, answer: dict[str, Any]) -> None:
    """Give the launch's error to all who ask for anything, until the command is gone."""
    import json
    import select
    import socket

    asking: list[socket.socket] = []
    poll = select.poll()
    for fd in (LISTENER, ORDER):
        poll.register(fd, select.POLLIN)
    while ORDER not in dict(poll.poll()):
        asking.append(listener.accept()[0])
        asking[-1].send(json.dumps(answer).encode() + b"\n", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
