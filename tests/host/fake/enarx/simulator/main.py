"""Speaks the hardware's side of its protocol; its Keeps are small processes that do what frames tell them.

A frame's first byte after its type is an order: `E` send the frame back; `P` u32 count, u32 size: produce that many frames;
`C` answer with how many frames came and the SHA-256 of all of them; `N` nothing; `Z` f64: read nothing for so many
seconds; `X` end; `B` send a length that no frame has; `H` send half a frame and end. A launch's memory tells this process
what to do itself: see the constants.
"""

import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time

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
                message, fds, _, _ = socket.recv_fds(link, 65536, 1)
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
        os.close(fds[0])
        return
    pid = os.fork()
    if pid == 0:
        link.close()
        try:
            Keep(socket.socket(fileno=fds[0])).run()
        finally:
            os._exit(0)
    keeps.append(os.pidfd_open(pid))
    socket.send_fds(link, [json.dumps({"ok": True, "pid": pid, "layers": LAYERS}).encode()], [keeps[-1]])
    os.close(fds[0])


class Keep:
    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.count, self.hash = 0, hashlib.sha256()
        self.buffer = memoryview(bytearray(2 << 20))

    def exactly(self, size: int) -> memoryview:
        view = self.buffer[:size]
        while view:
            count = self.control.recv_into(view)
            if not count:
                os._exit(0)
            view = view[count:]
        return self.buffer[:size]

    def run(self) -> None:
        while True:
            head = bytes(self.exactly(4))
            body = self.exactly(int.from_bytes(head, "big"))
            order = bytes(body[1:2])
            if order != b"N":
                self.hash.update(body)
            self.count += 1
            self.obey(order, head, body)

    def obey(self, order: bytes, head: bytes, body: memoryview) -> None:
        if order == b"E":
            self.control.sendall(head + body)
        elif order == b"P":
            count, size = struct.unpack(">II", body[2:10])
            made = bytearray((size + 1).to_bytes(4, "big") + b"\x43" + bytes(size))
            for i in range(count):
                made[5:9] = i.to_bytes(4, "big")
                self.control.sendall(made)
        elif order == b"C":
            answer = struct.pack(">I", self.count) + self.hash.digest()
            self.control.sendall((len(answer) + 1).to_bytes(4, "big") + b"\x43" + answer)
        elif order == b"Z":
            time.sleep(struct.unpack(">d", body[2:10])[0])
        elif order == b"X":
            os._exit(0)
        elif order == b"B":
            self.control.sendall(b"\xff\xff\xff\xff" + bytes(100))
        elif order == b"H":
            self.control.sendall((100).to_bytes(4, "big") + b"half")
            os._exit(0)
