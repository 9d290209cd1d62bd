"""In place of the zygote in tests of the hardware: does what the order's skip_layers say, and forks nothing but puppets."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

import cbor2

LINK = 3


def main() -> None:
    link = socket.socket(fileno=LINK)
    while True:
        packet, fds, _, _ = socket.recv_fds(link, 65536, 4)
        if not packet:
            return
        order = cbor2.loads(packet)
        match order["skip_layers"]:
            case ["die"]:
                os._exit(1)
            case ["die-once", path] if not os.path.exists(path):
                os.close(os.open(path, os.O_CREAT))
                os._exit(1)
            case ["sleep"]:
                time.sleep(1000)
            case ["garbage"]:
                link.send(b"\xff\xff")
            case ["half"]:
                link.send(cbor2.dumps({"pid": 1}, canonical=True))
            case ["refuse"]:
                answer(
                    link,
                    {"ok": False, "code": "layers-missing", "message": "m", "hint": "h", "checks": [["a", "b", "c"]]},
                )
            case ["look"]:
                answer(link, {"ok": False, "code": "seen", "message": json.dumps(surroundings()), "hint": ""})
            case _:
                launch(link, order, fds)
        for fd in fds:
            os.close(fd)


def answer(link: socket.socket, value: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
    socket.send_fds(link, [cbor2.dumps(value, canonical=True)], list(fds))


def surroundings() -> dict[str, Any]:
    described = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            described[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
    return {"environ": dict(os.environ), "fds": described, "cwd": os.getcwd(), "pid": os.getpid()}


def launch(link: socket.socket, order: dict[str, Any], fds: list[int]) -> None:
    control, report = (socket.socket(fileno=os.dup(fd)) for fd in fds[:2])
    pid = os.fork()
    if pid == 0:
        link.close()
        for fd in fds:
            os.close(fd)
        try:
            puppet(control, report)
        finally:
            os._exit(0)
    control.close()
    report.close()
    pidfd = os.pidfd_open(pid)
    answer(link, {"ok": True, "pid": pid, "layers": [], "order": order}, (pidfd,))
    os.close(pidfd)


def puppet(control: socket.socket, report: socket.socket) -> None:
    """What the test says goes to the hardware, byte for byte, and what the hardware says to the test."""
    control.sendall(len(told := report.recv(65536)).to_bytes(4, "big") + told)
    while size := control.recv(4, socket.MSG_WAITALL):
        message = control.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
        if message.startswith(b"flood"):
            flood(report, message.removeprefix(b"flood"))
            said = b"flooded"
        else:
            report.send(message)
            said = report.recv(65536)
        control.sendall(len(said).to_bytes(4, "big") + said)


def flood(report: socket.socket, message: bytes) -> None:
    """Ask until nothing more goes in, or the hardware has had enough; read nothing."""
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            report.send(message, socket.MSG_DONTWAIT)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return
