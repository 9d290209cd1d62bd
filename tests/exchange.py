"""Both sides of the protocol in memory, from fixed seeds, for tests that stand between them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from enarx.delivery.content import Module, Part, Receiver, Trees
from enarx.delivery.keep import ANY_PACKAGE, KeepProtocol
from enarx.delivery.suite import signing_key
from enarx.delivery.tenant import CHUNK_BUFFER, Admission, Attachment, Session
from enarx.formats.config import Config, Dir
from enarx.formats.package import (
    Head,
    Manifest,
    Node,
    commit_args,
    commit_dir,
    commit_env,
    encode_index,
)
from enarx.formats.wire import CHUNK, HEADER, FrameType, frame_header

OWNER = b"\x11" * 32
OTHER_OWNER = b"\x22" * 32
SALT = b"\x33" * 32
NONCE = b"\x44" * 32
KEYS = bytes(range(64))
KEEP_ENTROPY = bytes(range(128))
KEEP_NONCE = b"\x55" * 32
ATTACH_NONCE = b"\x66" * 32
NOW = 1_800_000_000
WASM = b"\0asm\1\0\0\0"
FILE = b"canary-file-content" * 10
CONFIG = Config.from_toml('args = ["canary-arg"]\n[env]\nE = "canary-env"\n[secrets]\nkey = {}\n')
CANARIES = (b"canary-arg", b"canary-env", b"canary-secret", b"canary-file", b"canary-stdin", b"canary-stdout")


def public(seed: bytes) -> bytes:
    return signing_key(seed).public_key().public_bytes_raw()


@dataclass
class Content:
    """A package's parts; change one, and nothing else, to see it refused."""

    salt: bytes = SALT
    args: tuple[str, ...] = ("main.wasm", *CONFIG.args)
    env: tuple[tuple[str, str], ...] = CONFIG.env
    secrets: tuple[tuple[str, bytes], ...] = (("key", b"canary-secret"),)
    wasm: bytes = WASM
    index: bytes = encode_index(
        [
            Node("d", "d", mtime=NOW * 10**9),
            Node("d/f", "f", size=len(FILE), digest=hashlib.sha256(FILE).digest(), executable=True),
            Node("l", "l", target="d"),
        ]
    )
    file: bytes = FILE

    def plaintext(self) -> bytes:
        head = Head(
            salt=self.salt,
            args=self.args,
            env=self.env,
            secrets=self.secrets,
            wasm_size=len(self.wasm),
            index_sizes=(len(self.index),),
        ).to_bytes()
        return len(head).to_bytes(4, "big") + head + self.wasm + self.index + self.file


def manifest(owners: tuple[bytes, ...] = (OWNER,), content: Content | None = None, config: Config = CONFIG) -> Manifest:
    """The manifest of a package with these parts, and one directory at /data, of the configuration's mode if it has one."""
    content = content or Content()
    mode = config.dirs[0].mode if config.dirs else "ro"
    config = config.replace(dirs=(Dir(guest="/data", host="x", mode=mode),))
    return Manifest.make(
        owners=tuple(public(seed) for seed in owners),
        wasm=hashlib.sha256(content.wasm).digest(),
        config=config,
        args=commit_args(content.salt, content.args),
        env=commit_env(content.salt, content.env),
        dirs=(commit_dir(content.salt, "/data", content.index),),
    )


class Store:
    """Keeps the parts of a package; `got["data"]` is the content of all files."""

    def __init__(self) -> None:
        self.got: dict[str, object] = {"data": b""}

    def take(self, parts: Iterator[Part]) -> None:
        for part in parts:
            if isinstance(part, Head):
                self.got["head"] = part
            elif isinstance(part, Module):
                self.got["wasm"] = part.data
            elif isinstance(part, Trees):
                self.got["trees"] = part.trees
            else:
                self.got["data"] += bytes(part.data)  # type: ignore[operator]


def payload(frame: bytes | memoryview) -> bytes:
    return bytes(frame[HEADER.size :])


def kind(frame: bytes | memoryview) -> FrameType:
    return frame_header(bytes(frame[: HEADER.size]))[0]


@dataclass
class Exchange:
    """An exchange that can be taken step by step. `sent` is everything that went over the host."""

    package: Manifest = field(default_factory=manifest)
    owner: bytes = OWNER
    host_data: bytes = ANY_PACKAGE
    nonce: bytes = NONCE
    entropy: bytes = KEEP_ENTROPY
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tenant = Admission(manifest=self.package, owner_seed=self.owner, nonce=self.nonce)
        self.keep = KeepProtocol(entropy=self.entropy, package=self.host_data)
        self.session: Session | None = None
        self.accepted = b""

    def over(self, frame: bytes | memoryview) -> bytes:
        self.sent.append(bytes(frame))
        return payload(frame)

    def challenge(self) -> bytes:
        return self.keep.challenge(self.over(self.tenant.challenge()))

    def attestation(self) -> bytes:
        return self.over(self.keep.attestation("simulated", b"evidence", (b"endorsement",)))

    def admit(self) -> None:
        report = self.challenge()
        _, wanted = self.tenant.attestation(self.attestation())
        assert report == wanted

    def delivery(self) -> bytes:
        frame, self.session = self.tenant.delivery(entropy=KEYS, now=NOW)
        return self.over(frame)

    def chunks(self, plaintext: bytes) -> list[bytes]:
        pieces = [plaintext[i : i + CHUNK] for i in range(0, len(plaintext), CHUNK)] or [b""]
        buffer = bytearray(CHUNK_BUFFER)
        return [
            self.over(self.tenant.chunk(piece, buffer, final=i == len(pieces) - 1)) for i, piece in enumerate(pieces)
        ]

    def receive(self, chunks: list[bytes]) -> Store:
        store = Store()
        receiver = Receiver(self.package)
        out = memoryview(bytearray(CHUNK))
        for chunk in chunks:
            size = self.keep.chunk(memoryview(chunk), out)
            assert size is not None
            store.take(receiver.feed(out[:size]))
        receiver.finish()
        self.accepted = self.keep.acceptance()
        return store

    def deliver(self, content: Content | None = None) -> Store:
        self.admit()
        self.keep.delivery(self.delivery())
        return self.receive(self.chunks((content or Content()).plaintext()))

    def attach(self, nonce: bytes = ATTACH_NONCE, keep_nonce: bytes = KEEP_NONCE) -> Attachment:
        assert self.session is not None
        attachment = Attachment(self.session, nonce=nonce)
        attachment.receive(FrameType.OUTPUT, payload(self.accepted))
        answer = self.keep.attach(self.over(attachment.attach()), keep_nonce)
        attachment.receive(kind(answer), self.over(answer))
        return attachment


def running() -> tuple[Exchange, Attachment]:
    """Delivered and attached."""
    exchange = Exchange()
    exchange.deliver()
    return exchange, exchange.attach()


def session() -> Session:
    """A session as a tenant keeps it."""
    exchange = Exchange()
    exchange.admit()
    exchange.delivery()
    assert exchange.session is not None
    return exchange.session


def frames(data: bytes) -> list[bytes]:
    """Split frames that follow each other."""
    apart = []
    while data:
        size = HEADER.size + frame_header(data[: HEADER.size])[1]
        apart.append(data[:size])
        data = data[size:]
    return apart
