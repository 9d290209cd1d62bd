"""A backend of the tests' own, without a simulator: each Keep is a puppet, forked by the launcher itself."""

from __future__ import annotations

import os
import socket
import time

from enarx.errors import BackendError
from enarx.host.backends.backend import Request, RunningKeep, Site
from enarx.host.processes import Handle, close_others

REFUSES, HANGS, SLOW = 1001, 1003, 1004
PAUSES = {HANGS: 600.0, SLOW: 1.0}
LAYERS = [{"name": "seccomp", "on": True, "detail": "allow-list", "remedy": ""}]


class Plain:
    """The backend; it prepares nothing."""

    kind = "plain"
    warning = "UNPROTECTED: Keeps of kind plain are for tests"

    def probe(self) -> dict[str, str | bool]:
        return {"available": True, "detail": "a puppet, for tests", "remedy": ""}

    def require(self) -> None:
        return

    def trust_anchor(self, site: Site) -> str:
        return f"{site.state}/root.pub"

    def prepare(self, site: Site) -> None:
        return

    def launch(self, request: Request) -> RunningKeep:
        from enarx.puppet import Keep

        if request.memory == REFUSES:
            checks = (("seccomp", "not in this kernel", "another kernel"),)
            raise BackendError("layers-missing", "a layer is missing", checks=checks)
        time.sleep(PAUSES.get(request.memory, 0.0))
        control, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                close_others((theirs.fileno(),))
                Keep(theirs).run()
            finally:
                os._exit(0)
        theirs.close()
        for group in request.groups:
            os.write(group, str(pid).encode())
        return RunningKeep(control, Handle(pid, os.pidfd_open(pid)), layers=LAYERS)


PLAIN = Plain()
