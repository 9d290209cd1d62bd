"""A maker of what is launched: firmware, kernels, enclave images and signature structures, right or wrong."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from enarx.formats.launch import eif
from enarx.formats.launch import firmware as fw
from enarx.formats.launch.sigstruct import HEADER, HEADER2

GPA = 0x810000
SEV = ((0x800000, 0x9000, 1), (0x80D000, 0x1000, 2), (0x80E000, 0x1000, 3), (0x80F000, 0x1000, 4), (GPA, 0x1000, 0x10))
TDX = (
    (0x2000, 0x2000, 0xFFFFE000, 0x2000, 0, 1),
    (0, 0x2000, 0xFFFFC000, 0x2000, 1, 0),
    (0, 0, 0x809000, 0x2000, 2, 0),
)
RESET, HASHES = 0x80B004, GPA + 0xC00


def u(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def entry(guid: UUID, data: bytes, *, size: int | None = None) -> bytes:
    return data + u(18 + len(data) if size is None else size, 2) + guid.bytes_le


def firmware(
    *,
    size: int = 0x4000,
    sev: Sequence[tuple[int, int, int]] = SEV,
    tdx: Sequence[tuple[int, ...]] = TDX,
    entries: Mapping[UUID, bytes] | None = None,
    table: bytes | None = None,
    magic: bytes = b"ASEV",
    version: int = 1,
    count: int | None = None,
    total: int | None = None,
) -> bytes:
    """A firmware of `size` bytes with metadata at 0x100 and 0x800 before its end; `entries` add to its table or change it."""
    made = bytearray(b"\xf4" * size)
    described = magic + u(16 + 12 * len(sev)) + u(version) + u(len(sev) if count is None else count)
    described += b"".join(struct.pack("<III", *section) for section in sev)
    made[size - 0x800 : size - 0x800 + len(described)] = described
    virtual = b"TDVF" + u(16 + 32 * len(tdx)) + u(1) + u(len(tdx))
    virtual += b"".join(struct.pack("<IIQQII", *section) for section in tdx)
    made[size - 0x400 : size - 0x400 + len(virtual)] = virtual
    guids = {fw.SEV_RESET: u(RESET), fw.SEV_HASHES: u(HASHES) + u(0x400)}
    guids |= {fw.SEV_METADATA: u(0x800), fw.TDX_METADATA: u(0x400)} | dict(entries or {})
    body = b"".join(entry(guid, data) for guid, data in guids.items() if data) if table is None else table
    body += u(len(body) + 18 if total is None else total, 2) + fw.FOOTER.bytes_le
    made[size - 32 - len(body) : size - 32] = body
    return bytes(made)


def pe(
    sections: Mapping[str, bytes],
    *,
    head: bytes = b"MZ",
    plus: bool = True,
    directories: int = 16,
    signature: bytes = b"",
    tail: bytes = b"",
    **fields: int,
) -> bytes:
    """A PE file with these sections, aligned to 512 bytes; `fields` overrule what is written of it."""
    lfanew, base = fields.get("lfanew", 0x40), 112 if plus else 96
    optional = base + 8 * directories
    headers = -(-(lfanew + 24 + optional + 40 * len(sections)) // 512) * 512
    at, rows, body = headers, [], b""
    for name, content in sections.items():
        size = -(-len(content) // 512) * 512
        virtual = fields.get("virtual", len(content))
        rows.append(struct.pack("<8sIIII16x", name.encode(), virtual, at, size, fields.get("raw_at", at)))
        body += content.ljust(size, b"\0")
        at += size
    made = bytearray(headers)
    made[: len(head)] = head
    made[0x3C:0x40] = u(lfanew)
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, fields.get("count", len(rows)), 0, 0, 0, optional, 0x22)
    header = bytearray(optional)
    header[:2] = u(fields.get("magic", 0x20B if plus else 0x10B), 2)
    header[60:64] = u(fields.get("headers", headers))
    header[64:68] = u(0xC0FFEE)
    header[base - 4 : base] = u(directories)
    if directories > 4 and signature:
        where = fields.get("signature_at", headers + len(body) + len(tail))
        header[base + 32 : base + 40] = u(where) + u(len(signature))
    block = coff + bytes(header) + b"".join(rows)
    made[lfanew : lfanew + len(block)] = block
    return bytes(made) + body + tail + signature


def kernel(
    *, protocol: int = 0x20F, flags: int = 1, initrd_max: int = 0x7FFFFFFF, xload: int = 0x3F, size: int = 8000
) -> bytes:
    """A kernel that is a bzImage and a PE file at once, as those with an EFI stub are."""
    made = bytearray(pe({".text": b"\x90" * size}, lfanew=0x400))
    made[0x202:0x208] = b"HdrS" + u(protocol, 2)
    made[0x211] = flags
    made[0x22C:0x230] = u(initrd_max)
    made[0x236:0x238] = u(xload, 2)
    return bytes(made)


UKI = {".cmdline": b"quiet\0", ".linux": kernel(), ".initrd": b"initrd", ".osrel": b"ID=x\n", ".pcrsig": b"{}"}


def image(**changes: Any) -> eif.Eif:
    """An enclave image of two ramdisks."""
    fields = {
        "arm64": False,
        "memory": 1 << 28,
        "cpus": 2,
        "order": eif.sections(2, metadata=True, signature=False),
        "kernel": b"kernel",
        "cmdline": b"quiet",
        "ramdisks": (b"first", b"second"),
        "metadata": b"{}",
        "signature": b"",
    }
    return eif.Eif(**fields | changes)


@lru_cache
def _signing_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def signing_key(name: str = "signer") -> ec.EllipticCurvePrivateKey:
    """One for each name."""
    return _signing_key(name)


@lru_cache
def certificate(name: str = "signer") -> bytes:
    """A certificate of that key, PEM."""
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(who).issuer_name(who).serial_number(1)
    made = made.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
    key = signing_key(name)
    return made.public_key(key.public_key()).sign(key, hashes.SHA384()).public_bytes(Encoding.PEM)


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@lru_cache
def enclave_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(3, 3072)


def sigstruct(mr_enclave: bytes = bytes(32), **changes: tuple[int, bytes]) -> bytes:
    """A signed SIGSTRUCT; `changes` are offsets and bytes that are put there after it was signed."""
    key = enclave_key()
    modulus = key.public_key().public_numbers().n
    made = bytearray(1808)
    made[0:44] = HEADER + u(0) + bytes.fromhex("26112620") + HEADER2 + u(7)
    made[128:516] = u(modulus, 384) + u(3)
    made[928:944] = u(4, 8) + u(3, 8)
    made[960:992] = mr_enclave
    made[1024:1028] = u(5, 2) + u(6, 2)
    signed = bytes(made[:128] + made[900:1028])
    value = int.from_bytes(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()), "big")
    q1 = value * value // modulus
    q2 = value * (value * value - q1 * modulus) // modulus
    made[516:900] = u(value, 384)
    made[1040:1808] = u(q1, 384) + u(q2, 384)
    for at, data in changes.values():
        made[at : at + len(data)] = data
    return bytes(made)
