"""A backend of the tests' own, in one file: each Keep runs in a box, a process of its own that relays its frames.

It has the shape of a micro-VM: the host's process is the box (a VMM), the control socket ends there, and the Keep is
somewhere inside. The box starts a simulator for its one Keep; when the box dies, both end.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

from enarx.errors import BackendError
from enarx.host.backends.backend import Request, RunningKeep, Site
from enarx.host.backends.process.simulator import Simulator
from enarx.host.processes import Handle
from enarx.spawn import start_python

BOOT = "import sys; sys.path[:0] = sys.argv[1].split(':'); from enarx.host.backends.boxed import main; main()"
CONTROL, LINK, GROUPS = 3, 4, 5
MAX_ANSWER = 64 << 10


class Boxed:
    """The backend; it prepares nothing."""

    kind = "boxed"
    warning = "UNPROTECTED: Keeps of kind boxed are for tests"

    def probe(self) -> dict[str, str | bool]:
        return {"available": True, "detail": "a process that relays, for tests", "remedy": ""}

    def require(self) -> None:
        return

    def trust_anchor(self, site: Site) -> str:
        return f"{site.state}/root.pub"

    def prepare(self, site: Site) -> None:
        return

    def launch(self, request: Request) -> RunningKeep:
        control, theirs = socket.socketpair()
        link, answering = socket.socketpair()
        order = {name: value for name, value in vars(request).items() if name not in ("site", "groups", "until")}
        with theirs, link:
            with answering:
                pid = start_python(
                    BOOT,
                    [request.site.paths, request.site.state, request.site.cache, json.dumps(order)],
                    (theirs.fileno(), answering.fileno(), *request.groups),
                )
            handle = Handle(pid, os.pidfd_open(pid))
            answer = json.loads(link.recv(MAX_ANSWER) or b'{"code": "box", "message": "the box ended"}')
        if "code" in answer:
            handle.kill()
            handle.close()
            control.close()
            raise BackendError(answer["code"], answer["message"])
        return RunningKeep(control, handle, **answer, facts={"box": "relays frames"})


BOXED = Boxed()


def main() -> None:
    """The box: launch one Keep, then carry frames until it or the host is gone."""
    paths, state, cache, order = sys.argv[1:]
    control, link = socket.socket(fileno=CONTROL), socket.socket(fileno=LINK)
    groups = [fd for fd in range(GROUPS, GROUPS + 2) if os.path.exists(f"/proc/self/fd/{fd}")]
    site = Site(paths=paths, state=state, cache=cache)
    inside, theirs = socket.socketpair()
    try:
        with theirs:
            _, launched = Simulator(paths, state=state, cache=cache).launch(
                theirs, Request(site=site, groups=groups, **json.loads(order))
            )
    except BackendError as e:
        link.sendall(json.dumps({"code": e.code, "message": e.message}).encode())
        return
    link.sendall(json.dumps({name: launched[name] for name in ("layers", "scratch") if name in launched}).encode())
    link.close()
    for source, target in ((control, inside), (inside, control)):
        threading.Thread(target=carry, args=(source, target)).start()


def carry(source: socket.socket, target: socket.socket) -> None:
    """Bytes until either end closes; then the box ends."""
    try:
        while piece := source.recv(1 << 18):
            target.sendall(piece)
    finally:
        os._exit(0)
