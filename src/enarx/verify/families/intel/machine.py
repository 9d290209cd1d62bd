"""The description of a machine in its PCK certificate: model, security versions, configuration.

Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, revision 1.5, 1.3.5: the extension and its OIDs.
"""

from __future__ import annotations

from cryptography import x509

from enarx.record import record
from enarx.verify.certificates import UNREADABLE, load
from enarx.verify.memo import memo

EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")


@record()
class Machine:
    """A machine. `components` are the 16 security versions of CPUSVN; flags are None if the certificate leaves them out."""

    ppid: bytes
    components: tuple[int, ...]
    pce_svn: int
    pce_id: bytes
    fmspc: bytes
    instance: bytes = b""
    dynamic: bool | None = None
    cached_keys: bool | None = None
    smt: bool | None = None


@memo(max_bytes=1 << 19)
def machine(der: bytes) -> Machine | None:
    """The machine of a PCK certificate; None if the extension is missing or malformed."""
    certificate = load(der)
    try:
        extension = certificate.extensions.get_extension_for_oid(EXTENSION).value if certificate else None
        return _machine(extension.value) if isinstance(extension, x509.UnrecognizedExtension) else None
    except (*UNREADABLE, x509.ExtensionNotFound, KeyError, IndexError):
        return None


ARC = bytes.fromhex("2a864886f84d010d01")
"""`EXTENSION` in DER: every OID within the extension begins with it."""

TCB, CONFIGURATION = b"\2", b"\7"


def _machine(der: bytes) -> Machine:
    fields = _fields(_inside(der, 0x30), b"")
    tcb = _fields(_inside(fields[2], 0x30), TCB)
    flags = _fields(_inside(fields[7], 0x30), CONFIGURATION) if 7 in fields else {}
    return Machine(
        ppid=_inside(fields[1], 0x04, 16),
        components=tuple(_number(tcb[i], 1) for i in range(1, 17)),
        pce_svn=_number(tcb[17], 2),
        pce_id=_inside(fields[3], 0x04, 2),
        fmspc=_inside(fields[4], 0x04, 6),
        instance=_inside(fields[6], 0x04, 16) if 6 in fields else b"",
        dynamic=_flag(flags, 1),
        cached_keys=_flag(flags, 2),
        smt=_flag(flags, 3),
    )


def _fields(der: bytes, arcs: bytes) -> dict[int, bytes]:
    """The values (DER) of SEQUENCEs of an OID and a value, by the last arc of the OID. ValueError."""
    fields = {}
    for of, _, pair in _elements(der):
        (tag, _, oid), (_, value, _) = _elements(pair)
        if (of, tag) != (0x30, 0x06) or oid[:-1] != ARC + arcs or oid[-1] >= 0x80 or oid[-1] in fields:
            raise ValueError("wanted distinct OIDs of this extension")
        fields[oid[-1]] = value
    return fields


def _elements(der: bytes) -> list[tuple[int, bytes, bytes]]:
    """The consecutive elements of DER: tag, whole element, content; at most 64 KiB each. Lengths are minimal (X.690, 10.1)."""
    elements, at = [], 0
    while at < len(der):
        tag, size, start = der[at], der[at + 1], at + 2
        if size >= 0x80:
            start += size - 0x80
            length = der[at + 2 : start]
            size = int.from_bytes(length, "big")
            if size < 0x80 or not length[0]:
                raise ValueError("indefinite or overlong length")
        if start - at > 4 or start + size > len(der):
            raise ValueError("not DER")
        elements.append((tag, der[at : start + size], der[start : start + size]))
        at = start + size
    return elements


def _inside(der: bytes, wanted: int, size: int | None = None) -> bytes:
    ((tag, _, inside),) = _elements(der)
    if tag != wanted or size not in (None, len(inside)):
        raise ValueError("wrong type or size")
    return inside


def _number(der: bytes, size: int) -> int:
    """An unsigned INTEGER of at most `size` bytes, minimally encoded (X.690, 8.3.2)."""
    inside = _inside(der, 0x02)
    value = int.from_bytes(inside, "big", signed=True)
    if not 0 <= value < 1 << 8 * size or len(inside) != value.bit_length() // 8 + 1:
        raise ValueError("out of range, or overlong")
    return value


def _flag(flags: dict[int, bytes], number: int) -> bool | None:
    """A BOOLEAN, encoded as 0 or 255 (X.690, 11.1); None if it is missing."""
    return {b"\0": False, b"\xff": True}[_inside(flags[number], 0x01)] if number in flags else None
