"""What is fuzzed: everything that reads bytes of a host's or a vendor's, each with seeds that the forge signs.

A target takes any bytes and may end in an error of ours, and in nothing else. `Target.seeds` are where mutation starts.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from enarx.delivery.messages import Attach, Attached, Attestation, Challenge, Delivery
from enarx.delivery.session import Status
from enarx.errors import EnarxError
from enarx.formats import bundle, endorsements, plain_json, wire
from enarx.formats.config import Config
from enarx.formats.evidence import simulated
from enarx.formats.evidence.eventlog import EventLog, Table
from enarx.formats.evidence.families import cose
from enarx.formats.evidence.snp import split
from enarx.formats.package import Head, Manifest, decode_index, encode_index
from enarx.verify import Roots, TrustAnchor, attestation_result, examine
from enarx.verify.ear import ear
from enarx.verify.kinds import detect
from enarx.verify.kinds.snp.roots import AMD as AMD_ROOTS
from enarx.verify.policy_file import read_policy, template
from enarx.verify.replay import PCRS, RTMRS, replay
from tests import exchange
from tests.forge import amd, arm, aws, azure, eventlog, intel, tpm
from tests.fuzz.launches import LAUNCHES

ARK, ASK, VCEK, CRL = AMD = (amd.ark(), amd.ask(), amd.vcek(), amd.crl())
ROOTS = Roots(
    amd=(hashlib.sha256(ARK).digest(),),
    intel=(hashlib.sha256(intel.root()).digest(),),
    aws=(hashlib.sha256(aws.root()).digest(),),
    cca=(TrustAnchor(arm.spki("platform")),),
    tpm=(TrustAnchor(tpm.spki(tpm.rsa_key())),),
)
NOW = intel.NOW
FRESH = bytes(64)

REPORT = amd.sign(amd.blank())
SGX, TDX = intel.quote(intel.SGX), intel.quote(intel.TDX)
SGX_COLLATERAL, TDX_COLLATERAL = intel.collateral(intel.SGX), intel.collateral(intel.TDX)
BOUND = hashlib.sha256(azure.runtime()).digest().ljust(64, b"\0")
AZURE_TDX = azure.evidence(
    azure.hcl(azure.runtime(), kind=4),
    td_quote=base64.urlsafe_b64encode(intel.quote(body=intel.domain(report_data=(520, BOUND)))).decode(),
)
TABLE = amd.table(*AMD[:3])
POLICIES = {kind: read_policy(template(kind), kind) for kind in ("snp", "sgx", "tdx", "nitro", "cca", "tpm")}


@dataclass(frozen=True)
class Target:
    """`run` takes any bytes."""

    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def _judged(kind: str, *given: bytes) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        found = attestation_result(kind, data, given, policy=POLICIES[kind], roots=ROOTS, report_data=FRESH, now=NOW)
        return json.dumps(found.to_value()), ear(found, build="fuzz")

    return run


def _examined(kind: str, *given: bytes) -> Callable[[bytes], object]:
    return lambda data: examine(kind, data, given, roots=ROOTS, now=NOW)


def _endorsed(kind: str, evidence: bytes, *given: bytes) -> Callable[[bytes], object]:
    """The bytes are a file of endorsements, and what is in it goes before those given."""

    def run(data: bytes) -> object:
        found = endorsements.read(data)
        return examine(
            kind,
            evidence,
            (*found.endorsements, *given),
            roots=Roots(amd=ROOTS.pins(AMD_ROOTS), cca=tuple(map(TrustAnchor, found.keys))),
            now=NOW,
        )

    return run


def _single(kind: str, evidence: bytes, *given: bytes) -> Callable[[bytes], object]:
    """The bytes are one endorsement as it is."""
    return lambda data: examine(kind, evidence, (data, *given), roots=ROOTS, now=NOW)


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


def _message(data: bytes) -> None:
    for kind in (Challenge, Attestation, Delivery, Attach, Attached):
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
BUNDLE = bundle.Bundle(items=(bundle.Item(what="w", source="s", until=1, data=VCEK),)).to_bytes()
TARGETS = {
    "snp": Target(_judged("snp", *AMD), (REPORT, REPORT + TABLE)),
    "sgx": Target(_judged("sgx", SGX_COLLATERAL), (SGX,)),
    "tdx": Target(_judged("tdx", TDX_COLLATERAL), (TDX, intel.quote(version=5))),
    "nitro": Target(_judged("nitro"), (aws.document(), aws.document(tagged=True))),
    "cca": Target(_judged("cca"), (arm.token(),)),
    "tpm": Target(_judged("tpm"), (tpm.attestation(),)),
    "az-snp": Target(_examined("az-snp-vtpm", *AMD), (azure.evidence(),)),
    "az-tdx": Target(_examined("az-tdx-vtpm", TDX_COLLATERAL), (AZURE_TDX,)),
    "extended": Target(split, (REPORT + TABLE,)),
    "endorsement-file": Target(_endorsed("snp", REPORT, *AMD), (VCEK, SGX_COLLATERAL, BUNDLE, TABLE, *AMD)),
    "amd-endorsement": Target(_single("snp", REPORT, ASK, ARK), AMD),
    "collateral": Target(_single("tdx", TDX), (TDX_COLLATERAL,)),
    "list": Target(_single("tdx", TDX, TDX_COLLATERAL), (intel.der(intel.revoked(intel.PLATFORM)), intel.pck())),
    "trust-anchor": Target(endorsements.read_anchors, (arm.spki("platform"), intel.pem(intel.root()).encode())),
    "event-log": Target(_replayed, (eventlog.pc(), eventlog.td())),
    "ccel": Target(Table.from_bytes, (eventlog.table(),)),
    "policy": Target(
        lambda data: read_policy(data.decode(errors="replace"), "x"), tuple(template(k).encode() for k in POLICIES)
    ),
    "bundle": Target(_bundled, (BUNDLE,)),
    "detect": Target(detect, (REPORT, TDX)),
    **{name: Target(run, seeds) for name, (run, seeds) in LAUNCHES.items()},
    "wire": Target(_one_encoding, (exchange.manifest().raw, exchange.Content().index)),
    "cose": Target(
        lambda data: cose.decode(data, "fuzz", tags=frozenset((18,))), (aws.document(), aws.document(tagged=True))
    ),
    "manifest": Target(Manifest.from_bytes, (exchange.manifest().raw,)),
    "head": Target(lambda data: Head.from_bytes(data, exchange.manifest()), (exchange.Content().plaintext()[4:],)),
    "index": Target(_indexed, (exchange.Content().index,)),
    "messages": Target(_message, (Challenge(nonce=bytes(32), verifier=bytes(32), package=bytes(32)).to_bytes(),)),
    "status": Target(Status.from_bytes, (Status(cause="exit").to_bytes(),)),
    "simulated": Target(
        simulated.Evidence.from_bytes, (simulated.signed(simulated.evidence_body(**SIMULATED), bytes(64)),)
    ),
    "configuration": Target(
        lambda data: Config.from_toml(data.decode(errors="replace")),
        (b'args = ["x"]\n[[dirs]]\nguest = "/d"\nhost = "d"\n',),
    ),
    "json": Target(lambda data: json.dumps(plain_json.decode(data, "fuzz")), (BUNDLE, b'{"keeps": [{"id": "abc"}]}')),
}


def run(name: str, data: bytes) -> None:
    """One target on these bytes. Anything but an error of ours gets out."""
    with contextlib.suppress(EnarxError):
        TARGETS[name].run(data)


SIGNATURES = (
    "kinds.snp.examine.p384_signed",
    "families.amd._pss",
    "families.intel.certificates.signed",
    "kinds.nitro.examine.p384_signed",
    "kinds.cca.examine._signed",
    "kinds.tpm.examine._signed",
    "families.azure._signed",
)


@contextlib.contextmanager
def every_signature_holds() -> Iterator[None]:
    """What lies behind the signatures is reached by any bytes: a mutation nearly never gets there otherwise."""
    with contextlib.ExitStack() as stack:
        for name in SIGNATURES:
            stack.enter_context(mock.patch(f"enarx.verify.{name}", return_value=True))
        yield
