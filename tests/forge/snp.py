"""AMD's firmware as an attester that signs whatever is wanted."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from enarx.record import as_dict, replace
from tests.forge.amd import CHIP, TCB, ec_key

format = pytest.importorskip("enarx.formats.evidence.snp")  # whatever forges reports is skipped without the kind

CPUID = {"genoa": (0x19, 0x11, 1), "milan": (0x19, 0x01, 1), "turin": (0x1A, 0x02, 1)}


def blank(**changes: Any) -> Any:
    """A report of version 5, unsigned."""
    base = bytearray(1184)
    base[0] = 5
    values: dict[str, Any] = {
        "policy": 0x30000,
        "signature_algorithm": 1,
        "platform_info": 0x25,
        "report_data": bytes(range(64)),
        "measurement": b"\1" * 48,
        "chip_id": CHIP,
        "cpuid": CPUID["genoa"],
        **dict.fromkeys(("reported_tcb", "committed_tcb", "launch_tcb", "current_tcb"), TCB["genoa"]),
        "launch_mitigations": 1,
        "current_mitigations": 1,
    }
    return replace(format.Report.from_bytes(bytes(base)), **{**values, **changes})


LAYOUT = struct.Struct("<IIQ16s16sII8sQI4x64s48s32s48s48s32s32s8s3s21x64s8s3sx3sx8sQQ152x72s72s368x")
"""ATTESTATION_REPORT (AMD 56860, 1.58), written down a second time, in another form than the parser's."""


def encode(report: Any) -> bytes:
    """The bytes of a report by its fields: what `Report.from_bytes` reads."""
    fields = as_dict(report) | {
        "cpuid": bytes(report.cpuid or ()),
        "current_version": bytes(reversed(report.current_version)),
        "committed_version": bytes(reversed(report.committed_version)),
        "r": report.r.to_bytes(72, "little"),
        "s": report.s.to_bytes(72, "little"),
    }
    return LAYOUT.pack(*(value for name, value in fields.items() if name != "raw"))


@lru_cache(maxsize=256)
def sign(report: Any, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """Its bytes, signed; kept, so that a report made twice is the same to the byte."""
    signed = encode(report)[: format.SIGNED_SIZE]
    r, s = decode_dss_signature((key or ec_key("chip")).sign(signed, ec.ECDSA(SHA384())))
    return encode(replace(report, r=r, s=s))
