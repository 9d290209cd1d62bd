"""The host side of one `enarx run`: launches one Keep and supervises it for as long as the command lives.

Descriptor 3 is a listening Unix socket made by the command. Descriptor 4 brings one line of JSON that says what to launch;
its end means that the command is gone. `--kind` names the backend, which is prepared before that line comes; empty means
the simulated one. `--directory DIR` is a private directory, erased at the end.
"""

from __future__ import annotations

import os
import sys

from enarx.host import backends, cgroups
from enarx.host.backends.backend import Site

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

    from enarx.host.backends.backend import Backend

LISTENER, ORDER = 3, 4
MAX_ORDER = 4096
STORED_OUTPUT = 64 << 20
"""Bytes of output, and of results, that are stored in memory. The command reads them, and no other client can ask for them."""


def main() -> None:
    """Prepare the backend before anything else is loaded; then serve one Keep, and clean up."""
    paths, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    os.chdir("/")
    place = cgroups.find(
        cgroups.LOCAL, (os.getpid(), os.getppid())
    )  # first: processes started later could be in its way
    site = Site(paths=paths, state=options["--state"], cache=options["--cache"])
    backend: Backend | Exception
    try:
        backend = backends.find(options["--kind"]) if options["--kind"] else backends.simulated()
        backend.prepare(site)
    except Exception as e:  # noqa: BLE001  # it is the answer to the order, if the command sends one
        backend = e
    import json
    import signal
    import socket

    from enarx.host.state.files import erase_path

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command decides what Ctrl-C means
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # undoes a launch that is under way
    try:
        line = _read_order()
        if line and isinstance(backend, Exception):
            _refuse(socket.socket(fileno=LISTENER), backend)
        elif line and not isinstance(backend, Exception):
            place.clear(cgroups.is_running)
            _serve({**json.loads(line), "kind": backend.kind}, place, site, options["--directory"])
            place.clear(cgroups.is_running)
    finally:
        erase_path(options["--directory"])
        os._exit(0)  # the command waits for this, and an orderly shutdown would free nothing more


def _read_order() -> bytes:
    """The line that says what to launch; empty if the command ended before it sent one."""
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(ORDER, MAX_ORDER)
        if not piece:
            return b""
        data += piece
    return data


def _serve(order: dict[str, Any], place: cgroups.Place, site: Site, directory: str) -> None:
    import socket

    from enarx.errors import EnarxError
    from enarx.formats.bounds import COMPILE
    from enarx.host.launcher.launch import launch
    from enarx.host.state.files import open_directory

    listener = socket.socket(fileno=LISTENER)
    order.setdefault("compile", COMPILE)
    name = f"{os.getpid()}-{os.urandom(4).hex()}"
    try:
        launched = launch(order, name=name, place=place, site=site, until=ORDER)
        try:
            supervisor = launched.supervisor(
                listener=listener,
                directory=open_directory(directory),
                stored_output=STORED_OUTPUT,
                stored_results=STORED_OUTPUT,
                until=ORDER,
            )
        except BaseException:
            launched.abandon()
            raise
    except (OSError, EnarxError) as e:
        _refuse(listener, e)
    else:
        try:
            supervisor.serve()
        finally:
            launched.group.remove()


def _refuse(listener: socket.socket, fault: Exception) -> None:
    """Answer every client with the reason why there is no Keep, until the command is gone. Raises a fault of our own."""
    import json
    import select
    import socket

    from enarx.errors import EnarxError
    from enarx.host.faults import refusal

    if not isinstance(fault, (OSError, EnarxError)):
        raise fault
    answer = refusal(fault)

    clients: list[socket.socket] = []
    poll = select.poll()
    for fd in (LISTENER, ORDER):
        poll.register(fd, select.POLLIN)
    while ORDER not in dict(poll.poll()):
        clients.append(listener.accept()[0])
        clients[-1].send(json.dumps(answer).encode() + b"\n", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
