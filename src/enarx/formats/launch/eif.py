"""Enclave image files (EIF) of AWS Nitro Enclaves, big-endian.

AWS Nitro Enclaves Image Format (aws-nitro-enclaves-image-format, src/defs): a header of 548 bytes, then sections, each with
a header of 12 bytes. The CRC covers the whole file except itself. The signature section is CBOR: a list of PEM
certificates and COSE_Sign1 messages over PCR0, both as arrays of integers.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any, Self

import cbor2

from enarx.errors import ParseError
from enarx.formats.evidence.families.cose import Sign1, decode, sign1
from enarx.formats.reader import Reader
from enarx.record import record

WHAT = "EIF"
MAX_SIZE = 1 << 30
MAGIC = b".eif"
VERSION = 4
SLOTS = 32
HEADER, SECTION_HEADER, CRC_AT = 548, 12, 544
ARM64 = 1
KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = 1, 2, 3, 4, 5
ORDER = {KERNEL: 0, CMDLINE: 1, RAMDISK: 2}
"""The measured sections, in the order of their measurement."""

MAX_SIGNATURES = 32
ES384 = -35


@record(hidden=("kernel", "cmdline", "ramdisks", "metadata", "signature"))
class Eif:
    """An enclave image. `memory` (bytes) and `cpus` are the defaults of a launch.

    `order` has the types of the sections in file order. `metadata` and `signature` are empty if the file has none.
    """

    arm64: bool
    memory: int
    cpus: int
    order: tuple[int, ...]
    kernel: bytes
    cmdline: bytes
    ramdisks: tuple[bytes, ...]
    metadata: bytes
    signature: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """An image whose sections are in order and without gaps, with a correct CRC; ParseError."""
        if len(data) > MAX_SIZE:
            raise _wrong("size", f"{len(data)} bytes, at most {MAX_SIZE}")
        read = Reader(data, WHAT, code="eif", order="big")
        if read.take(4) != MAGIC or read.number(2) != VERSION:
            raise read.error("version", f"wanted {MAGIC!r} and version {VERSION}")
        flags, memory, cpus, _, count = read.numbers(2, 8, 8, 2, 2)
        if flags & ~ARM64 or not 0 < count <= SLOTS:
            raise read.error("header", f"flags {flags:#x} and {count} sections, wanted 0 or 1 and 1 to {SLOTS}")
        offsets, sizes = (read.numbers(*[8] * SLOTS) for _ in range(2))
        _, crc = read.numbers(4, 4)
        contents = [_section(read, offsets[i], sizes[i]) for i in range(count)]
        read.end()
        if any(offsets[count:]) or any(sizes[count:]):
            raise _wrong("header", "offsets or sizes beyond the number of sections", 28)
        if crc != checksum(data):
            raise _wrong("crc", f"CRC {crc:08x}, wanted {checksum(data):08x}", CRC_AT)
        return cls(arm64=bool(flags), memory=memory, cpus=cpus, **_arranged(contents))

    def to_bytes(self) -> bytes:
        """The image as a file; `from_bytes` and `to_bytes` are inverse."""
        rest = list(self.ramdisks)
        single = {KERNEL: self.kernel, CMDLINE: self.cmdline, METADATA: self.metadata, SIGNATURE: self.signature}
        contents = [(type, rest.pop(0) if type == RAMDISK else single[type]) for type in self.order]
        body, offsets = b"", []
        for type, content in contents:
            offsets.append(HEADER + len(body))
            body += _u(type, 2) + bytes(2) + _u(len(content), 8) + content
        sizes = [len(content) for _, content in contents]
        head = MAGIC + _u(VERSION, 2) + _u(ARM64 if self.arm64 else 0, 2) + _u(self.memory, 8) + _u(self.cpus, 8)
        head += bytes(2) + _u(len(contents), 2)
        head += b"".join(_u(n, 8) for slots in (offsets, sizes) for n in (slots + [0] * SLOTS)[:SLOTS]) + bytes(4)
        return head + _u(checksum(head + bytes(4) + body), 4) + body


def sections(ramdisks: int, *, metadata: bool, signature: bool) -> tuple[int, ...]:
    """The section types of an image in the order of AWS's tool."""
    return (KERNEL, CMDLINE, *[METADATA] * metadata, *[RAMDISK] * ramdisks, *[SIGNATURE] * signature)


def checksum(data: bytes) -> int:
    """The CRC-32 of a file, without the bytes of the CRC field."""
    return binascii.crc32(memoryview(data)[HEADER:], binascii.crc32(data[:CRC_AT]))


def signatures(section: bytes) -> tuple[tuple[bytes, Sign1], ...]:
    """The certificate (PEM, possibly a chain) and the message of each entry of a signature section; ParseError."""
    value = decode(section, "EIF signature section")
    if not isinstance(value, list) or not 0 < len(value) <= MAX_SIGNATURES:
        raise _wrong("signature", f"wanted 1 to {MAX_SIGNATURES} signatures")
    entries = []
    for entry in value:
        if not isinstance(entry, dict) or set(entry) != {"signing_certificate", "signature"}:
            raise _wrong("signature", "wanted a certificate and a signature")
        entries.append((_bytes(entry["signing_certificate"]), sign1(_bytes(entry["signature"]), "EIF signature")))
    return tuple(entries)


def signature_section(entries: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The signature section of PEM certificates and encoded messages."""
    return cbor2.dumps([{"signing_certificate": list(pem), "signature": list(message)} for pem, message in entries])


def sign_message(payload: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """A COSE_Sign1 with ES384 over the payload; `sign` signs the bytes that it is given."""
    unsigned = Sign1(protected=cbor2.dumps({1: ES384}), algorithm="ES384", payload=payload, signature=b"")
    return cbor2.dumps([unsigned.protected, {}, payload, sign(unsigned.signed)])


def signed_register(payload: bytes) -> tuple[int, bytes]:
    """The index and value of the register that a signature covers; ParseError."""
    value = decode(payload, "EIF signature")
    match value:
        case {"register_index": int(index), "register_value": content} if len(value) == 2:
            return index, _bytes(content)
    raise _wrong("signature", "a payload without a register index and value")


def register_payload(index: int, value: bytes) -> bytes:
    """The payload of a signature over a register."""
    return cbor2.dumps({"register_index": index, "register_value": list(value)})


def _section(read: Reader, offset: int, size: int) -> tuple[int, bytes]:
    if offset != read.at:
        raise read.error("section", f"a section at {offset}, wanted it at {read.at}, without a gap")
    type, flags, length = read.numbers(2, 2, 8)
    if type not in (KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA) or flags or length != size:
        raise read.error(
            "section", f"type {type}, flags {flags:#x}, {length} bytes; wanted a known type, flags 0, {size} bytes"
        )
    return type, read.take(size)


def _arranged(contents: list[tuple[int, bytes]]) -> dict[str, Any]:
    types = tuple(type for type, _ in contents)
    ranks = [ORDER[type] for type in types if type in ORDER]
    if ranks != sorted(ranks):
        raise _wrong("order", "wanted the kernel, then the command line, then ramdisks")
    for type in (KERNEL, CMDLINE, METADATA, SIGNATURE):
        if types.count(type) > 1 or (type in (KERNEL, CMDLINE) and type not in types):
            raise _wrong("section", f"{types.count(type)} sections of type {type}")
    single = {type: content for type, content in contents if type != RAMDISK}
    return {
        "order": types,
        "kernel": single[KERNEL],
        "cmdline": single[CMDLINE],
        "ramdisks": tuple(content for type, content in contents if type == RAMDISK),
        "metadata": single.get(METADATA, b""),
        "signature": single.get(SIGNATURE, b""),
    }


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, list) and all(type(item) is int and 0 <= item < 256 for item in value):
        return bytes(value)
    raise _wrong("signature", "wanted bytes")


def _u(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def _wrong(kind: str, message: str, offset: int = 0) -> ParseError:
    return ParseError(f"eif-{kind}", f"{WHAT}: {message}", what=WHAT, offset=offset)
