"""The sealing layer against raw AES-GCM, and a delivery through the daemon against SHA-256 and a loopback copy."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.run import HELLO, Finding, paired, timed
from bench.tenant import Tenant, daemon
from enarx.delivery.sealing import Sealer
from enarx.delivery.stream import TAG, Opener
from enarx.formats.config import Config, Dir
from enarx.formats.wire import CHUNK

CHUNKS = 512
MIB = CHUNKS * CHUNK >> 20
DATA_MIB = 1024


def run(runs: int, directory: Path) -> list[Finding]:
    return [_sealing(runs), _delivery(max(3, runs // 4), directory)]


def _sealing(runs: int) -> Finding:
    """Seal and open chunk by chunk, both sides together."""
    plain, sealed, out = os.urandom(CHUNK), memoryview(bytearray(CHUNK + TAG)), memoryview(bytearray(CHUNK))

    def layer(_: int) -> float:
        sealer, opener = Sealer(bytes(32)), Opener(bytes(32))

        def work() -> None:
            for i in range(CHUNKS):
                sealer.seal_into(plain, sealed, final=i == CHUNKS - 1)
                opener.open_into(sealed, out)

        return timed(work)

    def raw(_: int) -> float:
        aead = AESGCM(bytes(32))

        def work() -> None:
            for i in range(CHUNKS):
                nonce = i.to_bytes(12, "big")
                aead.encrypt_into(nonce, plain, None, sealed)
                aead.decrypt_into(nonce, sealed, None, out)

        return timed(work)

    mine, theirs = paired(runs, layer, raw)
    ours, peer = MIB / mine, MIB / theirs
    return Finding("sealing layer", ours, peer, "MiB/s", ours / peer, "at least 0.50", "AES-256-GCM")


def _delivery(runs: int, directory: Path) -> Finding:
    (directory / "data").mkdir()
    with (directory / "data" / "file").open("wb") as file:
        for _ in range(DATA_MIB):
            file.write(os.urandom(1 << 20))
    config = Config().replace(dirs=(Dir(guest="/data", host="data"),))
    with daemon(directory) as host:
        tenant = Tenant(host)
        built = tenant.package(HELLO, config, base=str(directory))

        def deliver() -> float:
            def work() -> None:
                _, run = tenant.deploy(built, lambda *_: None)
                found.append(run)
                run.serve()

            found: list[object] = []
            took = timed(work)
            for keep in tenant.client.keeps():
                tenant.remove(keep["id"])
            return took

        deliver()
        each = [(deliver(), timed(_hash), timed(_copy)) for _ in range(runs)]
    ours = DATA_MIB / median(took for took, _, _ in each)
    hashing, copying = MIB / median(took for _, took, _ in each), MIB / median(took for _, _, took in each)
    slowest = min(hashing, copying)
    name = "SHA-256" if slowest == hashing else "loopback copy"
    return Finding("delivery through the daemon", ours, slowest, "MiB/s", ours / slowest, "at least 0.50", name)


def _hash() -> None:
    piece, sha = bytes(CHUNK), hashlib.sha256()
    for _ in range(CHUNKS):
        sha.update(piece)


def _copy() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(listener.getsockname())
    receiver, _ = listener.accept()

    def send() -> None:
        piece = bytes(CHUNK)
        for _ in range(CHUNKS):
            sender.sendall(piece)
        sender.close()

    thread = threading.Thread(target=send)
    thread.start()
    buffer = bytearray(CHUNK)
    while receiver.recv_into(buffer):
        continue
    thread.join()
    receiver.close()
    listener.close()
