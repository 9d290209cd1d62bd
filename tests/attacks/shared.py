"""A real Keep with two providers, whose guest writes the rows of both and one provider's secret to stdout."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from typing import Any

import wasmtime

from enarx.delivery.contribution import Contributor, Granted, Part, open_grant
from enarx.delivery.suite import HpkeKey
from enarx.formats.making import head_bytes
from enarx.formats.package import Head
from enarx.formats.wire import FrameType
from enarx.tenant.deploy import Delivered, ReceivedEvidence
from enarx.tenant.package import Package
from enarx.tenant.tree import Tree
from tests.attacks.real import Machine, Wire
from tests.exchange import Content
from tests.parties import CONFIG, NORTH, NORTH_FILE, SOUTH, SOUTH_FILE, chunks_of, part_of, shared

RESULT = NORTH_FILE + SOUTH_FILE + b"canary-pin"

_GUEST = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 32) "rows")
  (data (i32.const 36) "pin")
  (func $copy (param $dir i32) (param $name i32) (param $size i32)
    (if (call $path_open (local.get $dir) (i32.const 0) (local.get $name) (local.get $size) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)) (then (unreachable)))
    (i32.store (i32.const 0) (i32.const 4096))
    (i32.store (i32.const 4) (i32.const 65536))
    (if (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (call $copy (i32.const 3) (i32.const 32) (i32.const 4))
    (call $copy (i32.const 5) (i32.const 32) (i32.const 4))
    (call $copy (i32.const 6) (i32.const 36) (i32.const 3))))"""


@functools.cache
def guest() -> bytes:
    """The module, as a binary."""
    return bytes(wasmtime.wat2wasm(_GUEST))


def package(*recipients: HpkeKey, config: Any = CONFIG) -> Package:
    """A package for both providers, with an empty directory of the owner's."""
    content = Content(wasm=guest(), index=b"\x80", file=b"")
    head = Head(
        salt=content.salt,
        args=content.args,
        env=content.env,
        secrets=content.secrets,
        wasm_size=len(content.wasm),
        index_sizes=(len(content.index),),
    )
    return Package(
        manifest=shared(*recipients, config=config, content=content),
        head=head_bytes(head),
        wasm=content.wasm,
        indexes=(content.index,),
        trees=(Tree(start=".", below=(), nodes=(), identities=()),),
    )


@dataclass
class Ward:
    """A delivered package that waits for its parts. `verified` are the evidences that providers have accepted."""

    machine: Machine
    package: Package
    wire: Wire
    delivered: Delivered
    verified: list[bytes] = field(default_factory=list)

    @classmethod
    def make(cls, machine: Machine, *recipients: HpkeKey, config: Any = CONFIG) -> Ward:
        built, wire = package(*recipients, config=config), machine.keep()
        return cls(machine, built, wire, machine.deliver(wire, built))

    def provider(self, seed: bytes | None) -> Contributor:
        """Joined, with an invitation whose evidence the real verifier has accepted."""
        side = Contributor(package=self.package.manifest.digest, nonce=os.urandom(32), seed=seed)
        before = len(self.wire.of(FrameType.INVITATION))
        self.wire.send([side.join()])
        answer = side.invitation(self.wire.wait(FrameType.INVITATION, before + 1))
        assert answer is not None
        invitation, report_data = answer
        self.machine.verifier(self.package)(
            ReceivedEvidence(
                kind=invitation.kind,
                evidence=invitation.evidence,
                endorsements=invitation.endorsements,
                report_data=report_data,
            )
        )
        self.verified.append(invitation.evidence)
        return side

    def give(self, side: Contributor, part: Part, plaintext: bytes) -> None:
        self.wire.send([side.contribution(entropy=os.urandom(64), part=part), *chunks_of(side, plaintext)])

    def contribute(self, seed: bytes) -> bytes:
        """A whole contribution; returns the digest that the Keep signed."""
        side = self.provider(seed)
        before = len(self.wire.of(FrameType.CONTRIBUTED))
        self.give(side, *part_of(seed))
        digest = side.contributed(self.wire.wait(FrameType.CONTRIBUTED, before + 1))
        assert digest is not None
        return digest

    def both(self) -> dict[bytes, bytes]:
        return {seed: self.contribute(seed) for seed in (NORTH, SOUTH)}

    def granted(self, key: HpkeKey) -> Granted:
        """A recipient's access, whose evidence the real verifier has accepted."""
        granted = open_grant(self.wire.wait(FrameType.GRANT), key, package=self.package.manifest.digest)
        attested = granted.attested
        self.machine.verifier(self.package)(
            ReceivedEvidence(
                kind=attested.kind,
                evidence=attested.evidence,
                endorsements=attested.endorsements,
                report_data=granted.report_data,
            )
        )
        return granted
