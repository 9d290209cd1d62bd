"""Verifying evidence, against the unavoidable signature checks alone, on one core."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dcap_qvl
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from bench.run import Finding, paired, timed
from enarx.formats.evidence.nitro import Evidence
from enarx.formats.evidence.snp import Report
from enarx.record import replace
from enarx.verify import Roots, attestation_result, certificates, examine
from enarx.verify.families import amd
from enarx.verify.families.intel import collateral as intel
from enarx.verify.kinds.nitro import examine as nitro
from enarx.verify.policy import Exactly
from enarx.verify.policy_file import read_policy, template

EVIDENCE = Path(__file__).resolve().parent.parent.parent / "shared" / "evidence"
EACH = 100
CLI = "enarx.cli.main, enarx.cli.parser, enarx.cli.evidence"
"""The modules that `enarx evidence verify` loads before it knows the kind."""

ROOTS = Roots()


def run(runs: int, _: Path) -> list[Finding]:
    found = [
        _import("enarx.verify"),
        *(_import(f"{CLI}, enarx.verify.kinds.{kind}.examine") for kind in ("snp", "tdx")),
    ]
    if not EVIDENCE.is_dir():
        print(f"no real evidence at {EVIDENCE}, so its benchmarks are skipped", file=sys.stderr)
        return found
    return [
        *_snp(runs),
        *_dcap(runs, "sgx/dcap-qvl", "own-sgx_dcap-qvl"),
        *_dcap(runs, "tdx/dcap-qvl", "own-tdx_dcap-qvl"),
        _nitro(runs),
        *found,
    ]


def _rate(
    runs: int, name: str, ours: Callable[[], object], peer: Callable[[], object], wanted: str, against: str
) -> Finding:
    def many(work: Callable[[], object]) -> Callable[[int], float]:
        return lambda _: timed(lambda: [work() for _ in range(EACH)])

    mine, theirs = (EACH / took for took in paired(runs, many(ours), many(peer)))
    return Finding(name, mine, theirs, "per s", mine / theirs, wanted, against)


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _snp(runs: int) -> list[Finding]:
    report = (EVIDENCE / "snp/oak-genoa_oc/report.bin").read_bytes()
    given = tuple(
        (EVIDENCE / name).read_bytes()
        for name in ("snp/oak-genoa_oc/vcek.der", "roots/amd/genoa-ark.der", "roots/amd/genoa-ask.der")
    )
    parsed = Report.from_bytes(report)
    policy = replace(read_policy(template("snp"), "snp"), measurement=Exactly(parsed.measurement))

    def ours() -> None:
        attestation_result("snp", report, given, policy=policy, roots=ROOTS, report_data=parsed.report_data, now=_NOW)

    def whole() -> None:
        amd.chain_holds.clear()
        ours()

    key = certificates.p384_key(given[0])
    assert key is not None
    signature = encode_dss_signature(parsed.r, parsed.s)

    def bare() -> None:
        key.verify(signature, parsed.signed, ec.ECDSA(SHA384()))

    return [
        _rate(runs, "SNP, chain known", ours, bare, "at least 0.75", "a P-384 verification"),
        _rate(runs, "SNP, whole chain", whole, bare, "at least 0.5", "a P-384 verification"),
    ]


_NOW = _at("2026-06-01")


def _dcap(runs: int, vector: str, collateral: str) -> list[Finding]:
    quote = (EVIDENCE / vector / "quote.bin").read_bytes()
    text = (EVIDENCE / f"collateral/assembled/{collateral}.json").read_bytes()
    parsed = dcap_qvl.QuoteCollateralV3.from_json(text.decode())
    now, kind = _at("2025-07-01"), vector[:3]

    def ours() -> None:
        examine(kind, quote, (text,), roots=ROOTS, now=now).verified()

    def from_json() -> None:
        intel.opened.clear()
        ours()

    def bare() -> None:
        dcap_qvl.verify(quote, parsed, now)

    return [
        _rate(runs, f"{kind}, collateral parsed", ours, bare, "at least 0.9", "dcap_qvl.verify"),
        _rate(runs, f"{kind}, from JSON", from_json, bare, "at least 0.8", "dcap_qvl.verify"),
    ]


def _nitro(runs: int) -> Finding:
    data = (EVIDENCE / "nitro/anjuna-sample-prod-doc/doc.cbor").read_bytes()
    document = Evidence.from_bytes(data)
    chain = (*document.cabundle, document.certificate)
    loaded = [certificates.load(der) for der in chain]
    keys = [certificates.p384_key(der) for der in chain]
    signature = document.message.signature
    whole = encode_dss_signature(int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big"))

    def ours() -> None:
        nitro._signed.clear()
        examine("nitro", data, (), roots=ROOTS, now=document.time).verified()

    def bare() -> None:
        algorithm = ec.ECDSA(SHA384())
        for key, of in zip(keys, loaded[1:], strict=False):
            assert key is not None and of is not None  # noqa: PT018  # the document is authentic
            key.verify(of.signature, of.tbs_certificate_bytes, algorithm)
        assert keys[-1] is not None
        keys[-1].verify(whole, document.signed, algorithm)

    return _rate(runs, "Nitro, whole chain", ours, bare, "at least 0.5", "its signature checks")


def _import(module: str) -> Finding:
    """Milliseconds of an import in a fresh process."""

    def load(name: str) -> float:
        code = f"import time; s = time.perf_counter(); import {name}; print(time.perf_counter() - s)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)

    mine, peer = paired(15, lambda _: load(module), lambda _: load("cryptography.x509"))
    return Finding(
        f"import {module.replace(CLI, 'evidence verify')}",
        1000 * mine,
        1000 * peer,
        "ms",
        mine / peer,
        "at most 2",
        "cryptography.x509",
    )
