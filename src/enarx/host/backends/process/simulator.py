"""The host's client for the simulator: starts it, and has it launch Keeps (docs/spec/host.md, "Simulator").

It imports almost nothing, because `enarx run` starts the simulator before anything else.
"""

from __future__ import annotations

import _socket
import os
import select

from enarx.spawn import start_python

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

    from enarx.host.backends.backend import Request
    from enarx.host.processes import Handle

MAX_MESSAGE = 64 << 10
PATIENCE = 50.0
"""Seconds for a launch: two tries of the simulator, and less than the daemon waits for its launcher."""

SIGCHLD = 17
"""Its number on x86_64 and aarch64. Importing `signal` takes longer than this whole module."""

BOOT = (
    "import gc; gc.disable(); import sys; sys.path[:0] = sys.argv[1].split(':'); "
    "from enarx.simulator.main import main; main()"
)


class Simulator:
    """The link to one simulator process, which ends once this link is closed and its Keeps are gone."""

    DIED = "hardware-died"

    def __init__(self, paths: str, *, state: str, cache: str) -> None:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0)
        arguments = [paths, "--state", state, "--cache", cache]
        defaults = (SIGCHLD,)  # it waits for its zygote, so it must not inherit that children are ignored
        try:
            self.pid = start_python(BOOT, arguments, (theirs.fileno(),), new_session=True, default_signals=defaults)
        finally:
            theirs.close()
        self._fd = ours.detach()

    def launch(self, control: socket.socket, request: Request) -> tuple[Handle, dict[str, Any]]:
        """Launch a Keep that gets `control`; its first process, and the answer (`layers`, `scratch`). BackendError."""
        import json
        import socket

        from enarx.errors import BackendError
        from enarx.host.processes import Handle

        order = {
            "op": "launch",
            "host_data": request.host_data,
            "limits": {"memory": request.memory, "compile": request.compile, "disk": request.disk},
            "skip_layers": request.skip_layers,
        }
        link = socket.socket(fileno=os.dup(self._fd))
        try:
            link.settimeout(PATIENCE)
            socket.send_fds(link, [json.dumps(order).encode()], [control.fileno(), *request.groups])
            if request.until >= 0 and self._ends_first(request.until):
                raise BackendError("given-up", "the launch was abandoned by its caller")
            message, fds, _, _ = socket.recv_fds(link, MAX_MESSAGE, 1)
        except OSError:
            message, fds = b"", []
        finally:
            link.close()
        answer = _parse(message)
        if answer is None or answer["ok"] != bool(fds):
            for fd in fds:
                os.close(fd)
            raise BackendError(self.DIED, "the simulator ended", hint="try again")
        if not answer["ok"]:
            checks = tuple(map(tuple, answer.get("checks", ())))
            raise BackendError(answer["code"], answer["message"], hint=answer["hint"], checks=checks)
        return Handle(answer["pid"], fds[0]), answer

    def _ends_first(self, until: int) -> bool:
        """Wait for an answer; True if `until` is closed before it arrives."""
        poll = select.poll()
        for fd in (self._fd, until):
            poll.register(fd, select.POLLIN)
        return until in dict(poll.poll(PATIENCE * 1000)) and not self.is_over()

    def fileno(self) -> int:
        """The descriptor of the link, for poll."""
        return self._fd

    def is_over(self) -> bool:
        """Whether the simulator has ended. It only answers requests, so between launches readable means ended."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the link; Keeps that it launched go on."""
        os.close(self._fd)


def _parse(message: bytes) -> dict[str, Any] | None:
    """The answer in a packet; None if it is malformed, or empty because the simulator has ended."""
    import json

    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return None
    required = {True: ("pid", "layers"), False: ("code", "message", "hint")}
    if not isinstance(value, dict) or not isinstance(value.get("ok"), bool):
        return None
    return value if all(name in value for name in required[value["ok"]]) else None
