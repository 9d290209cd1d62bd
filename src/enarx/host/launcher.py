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
from typing import Any

from enarx.host.hardware import Hardware
from enarx.host.supervisor import Supervisor

LINK = 3
MAX_MESSAGE = 64 << 10


def main() -> None:
    """Serve launches until the daemon is gone."""
    paths, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are reaped by the kernel
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = socket.socket(fileno=LINK)
    hardware = Hardware(paths, state=options["--hardware"], cache=options["--cache"])
    gc.collect()
    gc.freeze()
    while True:
        order = link.recv(MAX_MESSAGE)
        if not order:
            return
        if _ended(hardware):
            hardware.close()
            hardware = Hardware(paths, state=options["--hardware"], cache=options["--cache"])
        link.send(json.dumps(_launch(link, hardware, json.loads(order))).encode())


def _ended(hardware: Hardware) -> bool:
    """It never speaks unasked: if there is something to read, it is its end."""
    poll = select.poll()
    poll.register(hardware.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _launch(link: socket.socket, hardware: Hardware, order: dict[str, Any]) -> dict[str, Any]:
    listener = socket.socket(socket.AF_UNIX)
    ours, theirs = socket.socketpair()
    with listener, ours:
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
        listener.bind(f"{order['directory']}/sock")
        listener.listen(64)
        if os.fork() == 0:
            try:
                link.close()
                hardware.close()
                os.setsid()
                _supervise(order, answer, ours, pidfd, listener)
            finally:
                os._exit(0)
        os.close(pidfd)
    return {"ok": True, "layers": answer["layers"]}


def _supervise(
    order: dict[str, Any], answer: dict[str, Any], keep: socket.socket, pidfd: int, listener: socket.socket
) -> None:
    gc.disable()
    Supervisor(
        keep=keep,
        pidfd=pidfd,
        listener=listener,
        directory=order["directory"],
        stored_output=order["stored_output"],
        info={"keep_pid": answer["pid"], "layers": answer["layers"]},
        scratch=answer.get("scratch", ""),
    ).serve()
