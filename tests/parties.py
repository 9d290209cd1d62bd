"""Several owners of data in memory: a package that two hospitals provide for, and each side's steps, from fixed seeds."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from enarx.delivery.contribution import PART_BUFFER, Contributor, Granted, Part, open_grant
from enarx.delivery.suite import HpkeKey
from enarx.formats.config import Config, Dir
from enarx.formats.making import make_manifest
from enarx.formats.package import Manifest, Node, commit_args, commit_dir, commit_env, encode_index
from enarx.formats.sharing import Provider, Recipient
from enarx.formats.wire import CHUNK, HEADER, FrameType
from tests.exchange import OWNER, Content, public
from tests.keep.core.driver import MemoryKeep
from tests.keep.core.pair import Pair

NORTH, SOUTH, STRANGER = b"\x71" * 32, b"\x72" * 32, b"\x73" * 32
READER, OTHER_READER = HpkeKey(bytes(range(96))), HpkeKey(bytes(range(1, 97)))
PART_SALT = b"\x74" * 32
JOIN_NONCE = b"\x75" * 32
PART_KEYS = bytes(range(64, 128))
NORTH_FILE, SOUTH_FILE = b"canary-north" * 3, b"canary-south" * 5
PART_CANARIES = (b"canary-north", b"canary-south", b"canary-pin")
CONFIG = Config.from_toml(
    'args = ["canary-arg"]\n[env]\nE = "canary-env"\n[secrets]\nkey = {}\npin = {env = "PIN"}\n[limits]\ndisk = "4 MiB"\n'
)
NAMES = {NORTH: "North Hospital", SOUTH: "South Hospital"}
DIRS = {NORTH: "/north", SOUTH: "/south"}
FILES = {NORTH: NORTH_FILE, SOUTH: SOUTH_FILE}
SECRETS: dict[bytes, dict[str, bytes]] = {NORTH: {"pin": b"canary-pin"}, SOUTH: {}}


def providers(*seeds: bytes) -> tuple[Provider, ...]:
    return tuple(
        Provider(key=public(seed), name=NAMES[seed], dirs=(DIRS[seed],), secrets=tuple(SECRETS[seed])) for seed in seeds
    )


def shared(
    *recipients: HpkeKey,
    seeds: tuple[bytes, ...] = (NORTH, SOUTH),
    config: Config = CONFIG,
    content: Content | None = None,
) -> Manifest:
    """A package with a directory of the owner's and one of each provider's."""
    content = content or Content()
    dirs = (Dir(guest="/north", host="x"), Dir(guest="/data", host="x"), Dir(guest="/south", host="x"))
    if NORTH not in seeds:
        config = config.replace(secrets=config.secrets[:1])
    return make_manifest(
        owners=(public(OWNER),),
        wasm=hashlib.sha256(content.wasm).digest(),
        config=config.replace(dirs=tuple(d for d in dirs if d.guest == "/data" or d.guest in {DIRS[s] for s in seeds})),
        args=commit_args(content.salt, content.args),
        env=commit_env(content.salt, content.env),
        dirs=(commit_dir(content.salt, "/data", content.index),),
        providers=providers(*seeds),
        recipients=tuple(Recipient(key=key.public, name=f"Reader {i}") for i, key in enumerate(recipients)),
    )


def index_of(files: dict[str, bytes]) -> bytes:
    return encode_index(
        [Node(n, "f", size=len(data), digest=hashlib.sha256(data).digest()) for n, data in files.items()]
    )


def part_of(
    seed: bytes, content: bytes | None = None, *, salt: bytes = PART_SALT, **secrets: bytes
) -> tuple[Part, bytes]:
    """A provider's part and its plaintext: one file, named `rows`."""
    data = FILES[seed] if content is None else content
    part = Part.make(salt=salt, secrets={**SECRETS[seed], **secrets}, indexes=(index_of({"rows": data}),))
    return part, part.prefix + data


def chunks_of(side: Contributor, plaintext: bytes) -> list[bytes]:
    """The frames of a part, from the next chunk on."""
    pieces = [plaintext[i : i + CHUNK] for i in range(0, len(plaintext), CHUNK)] or [b""]
    buffer = bytearray(PART_BUFFER)
    return [bytes(side.chunk(piece, buffer, final=i == len(pieces) - 1)) for i, piece in enumerate(pieces)]


class Party:
    """A provider, with the test in place of its host. `seen` are the Keep's frames since it began."""

    def __init__(
        self, keep: MemoryKeep, package: bytes, seed: bytes | None, *, nonce: bytes | None = None, **more: Any
    ) -> None:
        self.keep, self.seed = keep, seed
        self.side = Contributor(package=package, nonce=nonce or os.urandom(32), seed=seed, **more)
        self.seen: list[tuple[FrameType, bytes]] = []
        self.sent: list[bytes] = []

    def send(self, *frames: bytes | memoryview) -> list[tuple[FrameType, bytes]]:
        """Give the Keep frames; returns those that it has sent since."""
        for frame in frames:
            self.sent.append(bytes(frame))
            self.keep.receive(bytes(frame))
        news = []
        while not self.keep.out.empty():
            frame_of_keep = self.keep.out.get()
            news += [frame_of_keep] if frame_of_keep is not None else []
        self.seen += news
        return news

    def join(self) -> bytes:
        """Join; returns the report data that the invitation's evidence must carry."""
        answers = [self.side.invitation(p) for k, p in self.send(self.side.join()) if k is FrameType.INVITATION]
        ((_, report_data),) = [answer for answer in answers if answer is not None]
        return report_data

    def frames(self, part: Part, plaintext: bytes, *, entropy: bytes | None = None) -> list[bytes]:
        """The Contribution's frame, then those of the part."""
        first = self.side.contribution(entropy=entropy or os.urandom(64), part=part)
        return [first, *chunks_of(self.side, plaintext)]

    def contribute(self, part: Part | None = None, plaintext: bytes = b"") -> bytes | None:
        """Join and contribute; returns the digest that the Keep signed, None if it did not."""
        self.join()
        assert self.seed is not None
        if part is None:
            part, plaintext = part_of(self.seed)
        self.send(*self.frames(part, plaintext))
        return self.confirmed()

    def confirmed(self) -> bytes | None:
        digests = [self.side.contributed(p) for k, p in self.seen if k is FrameType.CONTRIBUTED]
        return next((digest for digest in digests if digest is not None), None)

    def codes(self) -> list[str]:
        """The codes with which this attempt was declined."""
        codes = [self.side.declined(p) for k, p in self.seen if k is FrameType.DECLINED]
        return [code for code in codes if code is not None]


def accepted(*recipients: HpkeKey, seeds: tuple[bytes, ...] = (NORTH, SOUTH), **options: Any) -> Pair:
    """A Keep that has accepted the owner's package and waits for the parts."""
    pair = Pair(package=shared(*recipients, seeds=seeds, config=options.pop("config", CONFIG)), **options)
    for chunk in pair.begin():
        pair.keep.receive(chunk)
    assert pair.state == "session"
    return pair


def party(pair: Pair, seed: bytes | None, **more: Any) -> Party:
    return Party(pair.keep, pair.package.digest, seed, **more)


def granted(pair: Pair, key: HpkeKey = READER, **pins: Any) -> Granted:
    (payload,) = [p for k, p in pair.frames if k is FrameType.GRANT]
    return open_grant(payload, key, **pins)


def frames_of_a_provider() -> tuple[bytes, ...]:
    """The payloads of one provider's frames and of the Keep's answers."""
    pair = accepted()
    side = party(pair, NORTH)
    assert side.contribute()
    return (*(frame[HEADER.size :] for frame in side.sent), *(payload for _, payload in side.seen))


def grant() -> bytes:
    """A grant for READER."""
    pair = accepted(READER, seeds=())
    return next(payload for kind, payload in pair.sent() if kind is FrameType.GRANT)
