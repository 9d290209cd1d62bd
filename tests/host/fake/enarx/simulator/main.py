"""Speaks the simulator's side of its protocol; its Keeps are puppets. A launch's memory tells it what to do: see below."""

import json
import os
import select
import signal
import socket
import sys
import time

from enarx.puppet import Keep

REFUSES, DIES, HANGS, SLOW = 1001, 1002, 1003, 1004
LAYERS = [{"name": "seccomp", "on": True, "detail": "allow-list", "remedy": ""}]


def main() -> None:
    note_signals(dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))["--state"])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    link: socket.socket | None = socket.socket(fileno=3)
    note_surroundings(dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))["--state"])
    keeps: list[int] = []
    while link is not None or keeps:
        poll = select.poll()
        for fd in ([link.fileno()] if link is not None else []) + keeps:
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll():
            if link is not None and fd == link.fileno():
                message, fds, _, _ = socket.recv_fds(link, 65536, 3)
                if message:
                    serve(link, json.loads(message), fds, keeps)
                else:
                    link = link.close()
            else:
                keeps.remove(fd)
                os.close(fd)


def note_signals(state: str) -> None:
    """What this process was made to ignore."""
    with open("/proc/self/status") as status:
        (line,) = (text for text in status if text.startswith("SigIgn"))
    with open(f"{state}/signals.json", "w") as file:
        json.dump({"ignored": int(line.split()[1], 16)}, file)


def note_surroundings(state: str) -> None:
    """What this process was given, for a test to look at."""
    fds = {}
    for fd in range(3, 4096):
        try:
            fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
    found = {"fds": fds, "environment": dict(os.environ), "cwd": os.getcwd()}
    with open(f"{state}/surroundings.json", "w") as file:
        json.dump(found, file)


def serve(link: socket.socket, order: dict, fds: list[int], keeps: list[int]) -> None:
    memory = order["limits"]["memory"]
    if memory == DIES:
        os._exit(1)
    if memory == HANGS:
        time.sleep(600)
    if memory == SLOW:
        time.sleep(1)
    if memory == REFUSES:
        checks = [["seccomp", "not in this kernel", "another kernel"]]
        answer = {"ok": False, "code": "layers-missing", "message": "a layer is missing", "hint": "", "checks": checks}
        link.send(json.dumps(answer).encode())
        close(fds)
        return
    pid = os.fork()
    if pid == 0:
        link.close()
        try:
            Keep(socket.socket(fileno=fds[0])).run()
        finally:
            os._exit(0)
    keeps.append(os.pidfd_open(pid))
    for group in fds[1:]:
        os.write(group, str(pid).encode())  # before the answer: from then on an empty cgroup may be removed
    socket.send_fds(link, [json.dumps({"ok": True, "pid": pid, "layers": LAYERS}).encode()], [keeps[-1]])
    close(fds)


def close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
