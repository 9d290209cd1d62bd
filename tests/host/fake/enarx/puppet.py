"""A Keep of the tests' own: a small process that does what frames tell it.

A frame's first byte after its type is an order: `E` send the frame back; `P` u32 count, u32 size: produce that many frames;
`F` the same with results; `C` answer with how many frames came and the SHA-256 of all of them; `N` nothing; `Z` f64: read
nothing for that many seconds; `X` end; `B` send an invalid length; `H` send half a frame and end.
"""

import hashlib
import os
import socket
import struct
import time


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
        elif order in (b"P", b"F"):
            count, size = struct.unpack(">II", body[2:10])
            kind = b"\x43" if order == b"P" else b"\x47"
            made = bytearray((size + 1).to_bytes(4, "big") + kind + bytes(size))
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
