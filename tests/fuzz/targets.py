"""What is fuzzed: everything that reads bytes of a host's or a vendor's, each with seeds that the forge signs.

`Target` says what a target is. Those of each kind stand in its test folder.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from unittest import mock

from enarx.delivery.answers import Contributed, Declined, Grant, Invitation
from enarx.delivery.contribution import open_grant
from enarx.delivery.messages import Attach, Attached, Attestation, Challenge, Delivery
from enarx.delivery.reading import Final
from enarx.delivery.sharing import Contribution, Join, PartReceiver
from enarx.errors import EnarxError
from enarx.formats import bundle, endorsements, plain_json, wire
from enarx.formats.config import Config
from enarx.formats.evidence import simulated
from enarx.formats.evidence.eventlog import EventLog, Table
from enarx.formats.evidence.families import cose
from enarx.formats.package import Head, Manifest, decode_index, encode_index
from enarx.tenant import invitations
from enarx.tenant.module import require
from enarx.verify.kinds import HARDWARE, detect
from enarx.verify.policy_file import read_policy, template
from enarx.verify.replay import PCRS, RTMRS, replay
from tests import exchange, parties
from tests.forge import eventlog, intel, tpm
from tests.fuzz.launches import LAUNCHES
from tests.fuzz.target import Target
from tests.programs import module
from tests.wasm import custom, limits, program

INVITATION = invitations.Invitation(url="unix:///s", keep="k", secret="5a" * 32, package=bytes(32), session=bytes(32))


def _replayed(data: bytes) -> object:
    log = EventLog.from_bytes(data)
    assert log.to_bytes() == data
    return [replay(log, layout, bank) for layout in (PCRS, RTMRS) for bank in log.banks]


def _bundled(data: bytes) -> object:
    return bundle.Bundle.from_value(json.loads(data)) if data[:1] == b"{" and _is_json(data) else None


def _is_json(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _one_encoding(data: bytes) -> object:
    value = wire.decode(data, "fuzz")
    assert wire.encode(value) == data
    return value


def _indexed(data: bytes) -> object:
    nodes = decode_index(data)
    assert encode_index(nodes) == data
    return nodes


def _part(data: bytes) -> None:
    manifest = parties.shared()
    for provider in manifest.providers:
        receiver = PartReceiver(manifest, provider)
        with contextlib.suppress(EnarxError):
            for _ in receiver.feed(memoryview(data)):
                assert receiver.digest
            receiver.finish()


def _gathered(data: bytes) -> None:
    """Frames of a host to a Keep that waits for parts: none of them ends the job."""
    pair = parties.accepted(parties.READER)
    for kind in (wire.FrameType.JOIN, wire.FrameType.CONTRIBUTION, wire.FrameType.PART):
        if len(data) <= wire.LARGEST[kind]:
            pair.keep.receive(wire.frame(kind, data))
    assert pair.state == "session"
    assert not pair.keep.over


MESSAGES = (
    Challenge,
    Attestation,
    Delivery,
    Attach,
    Attached,
    Join,
    Contribution,
    Invitation,
    Contributed,
    Declined,
    Grant,
)


def _message(data: bytes) -> None:
    for kind in MESSAGES:
        with contextlib.suppress(EnarxError):
            assert kind.from_bytes(data).to_bytes() == data


SIMULATED: dict[str, Any] = {
    "chip_id": bytes(32),
    "measurement": bytes(48),
    "host_data": bytes(32),
    "report_data": bytes(64),
    "svn": 1,
    "debug": False,
}
BUNDLE = bundle.Bundle(items=(bundle.Item(what="w", source="s", until=1, data=intel.root()),)).to_bytes()
OWN = [import_module(f"tests.verify.kinds.{kind.replace('-', '_')}.fuzz") for kind in HARDWARE]
OF_KINDS: dict[str, Target] = {name: target for own in OWN for name, target in own.TARGETS.items()}
SIGNATURES = tuple(dict.fromkeys(name for own in OWN for name in own.SIGNATURES))
"""Functions that verify a signature, below `enarx.verify`."""

TARGETS = {
    **OF_KINDS,
    "trust-anchor": Target(endorsements.read_anchors, (tpm.spki(tpm.rsa_key()), intel.pem(intel.root()).encode())),
    "event-log": Target(_replayed, (eventlog.pc(), eventlog.td())),
    "ccel": Target(Table.from_bytes, (eventlog.table(),)),
    "policy": Target(
        lambda data: read_policy(data.decode(errors="replace"), "x"),
        tuple(template(kind).encode() for kind in HARDWARE),
    ),
    "bundle": Target(_bundled, (BUNDLE,)),
    "detect": Target(detect, tuple(OF_KINDS[name].seeds[0] for name in OF_KINDS)),
    "endorsements": Target(endorsements.read, (BUNDLE, intel.collateral(), intel.pem(intel.root()).encode())),
    **{name: Target(run, seeds) for name, (run, seeds) in LAUNCHES.items()},
    "wire": Target(_one_encoding, (exchange.manifest().raw, exchange.Content().index)),
    "cose": Target(
        lambda data: cose.decode(data, "fuzz", tags=frozenset((18,))),
        (wire.encode([b"\xa1\x01\x26", {}, b"payload", bytes(64)]),),
    ),
    "manifest": Target(Manifest.from_bytes, (exchange.manifest().raw, parties.shared(parties.READER).raw)),
    "part": Target(_part, tuple(parties.part_of(seed)[1] for seed in (parties.NORTH, parties.SOUTH))),
    "gathering": Target(_gathered, parties.frames_of_a_provider()),
    "grant": Target(lambda data: open_grant(data, parties.READER), (parties.grant(),)),
    "head": Target(lambda data: Head.from_bytes(data, exchange.manifest()), (exchange.Content().plaintext()[4:],)),
    "index": Target(_indexed, (exchange.Content().index,)),
    "messages": Target(
        _message,
        (Challenge(nonce=bytes(32), verifier=bytes(32), package=bytes(32)).to_bytes(), *parties.frames_of_a_provider()),
    ),
    "final record": Target(lambda data: Final.from_parts(data, bytes(64)), (exchange.final_body(),)),
    "simulated": Target(
        simulated.Evidence.from_bytes, (simulated.signed(simulated.evidence_body(**SIMULATED), bytes(64)),)
    ),
    "configuration": Target(
        lambda data: Config.from_toml(data.decode(errors="replace")),
        (
            b'args = ["x"]\n[[dirs]]\nguest = "/d"\nhost = "d"\n',
            b'[[dirs]]\nguest = "/d"\n[[providers]]\nname = "n"\nkey = "k"\ndirs = ["/d"]\n[[recipients]]\nname = "r"\nkey = "k"\n',
        ),
    ),
    "invitation": Target(
        lambda data: invitations.Invitation.from_bytes(data, "fuzz"), (INVITATION.to_json().encode(),)
    ),
    "module": Target(
        lambda data: require(data, "fuzz", memory=1 << 30),
        (module("cat"), program(memories=[limits(1)], extra=custom("name"))),
    ),
    "json": Target(lambda data: json.dumps(plain_json.decode(data, "fuzz")), (BUNDLE, b'{"keeps": [{"id": "abc"}]}')),
}


def run(name: str, data: bytes) -> None:
    """One target on these bytes. Any exception but an `EnarxError` escapes."""
    with contextlib.suppress(EnarxError):
        TARGETS[name].run(data)


@contextlib.contextmanager
def every_signature_holds() -> Iterator[None]:
    """What lies behind the signatures is reached by any bytes: a mutation nearly never gets there otherwise."""
    with contextlib.ExitStack() as stack:
        for name in SIGNATURES:
            stack.enter_context(mock.patch(f"enarx.verify.{name}", return_value=True))
        yield
