"""AMD's table of certificates, which follows extended reports and occurs among endorsements.

GHCB Specification (AMD 56421, 2.03), 4.1.8.1.
"""

from __future__ import annotations

from enarx.errors import ParseError

TABLE = "AMD certificate table"
MAX_ENTRIES = 32
MAX_TABLE = 1 << 20
ENTRY = 24

GUIDS = frozenset(
    bytes.fromhex(guid.replace("-", ""))
    for guid in (
        "63da758d-e664-4564-adc5-f4b93be8accd",  # VCEK
        "a8074bc2-a25a-483e-aae6-39c045a0b8a1",  # VLEK
        "4ab7b379-bbac-4fe4-a02f-05aef327c782",  # ASK, or ASVK
        "c0b406a4-a803-4952-9743-3fb6014cd0ae",  # ARK
        "92f81bc3-5811-4d3d-97ff-d19f88dc67ea",  # CRL
    )
)


def certificate_table(data: bytes) -> tuple[bytes, ...]:
    """The certificates of a table, in DER. Entries with an unknown GUID are left out. ParseError.

    GUIDs may be in the byte order of RFC 4122 or of EFI: both occur in practice.
    """
    if len(data) > MAX_TABLE:
        raise ParseError("table-size", f"{len(data)} bytes, at most {MAX_TABLE}", what=TABLE)
    certificates: list[bytes] = []
    total = 0
    for i in range(MAX_ENTRIES):
        entry = data[i * ENTRY : (i + 1) * ENTRY]
        if len(entry) < ENTRY:
            raise ParseError("table-end", "no empty entry at the end", what=TABLE, offset=len(data))
        if not any(entry):
            return tuple(certificates)
        start, size = _number(entry, 16, 4), _number(entry, 20, 4)
        if not size:
            continue  # the host has no such certificate
        if start + size > len(data) or start < (i + 1) * ENTRY:
            raise ParseError("table-entry", f"entry {i} lies outside the table", what=TABLE, offset=i * ENTRY)
        total += size
        if total > len(data):
            raise ParseError("table-entry", f"entry {i} overlaps another entry", what=TABLE, offset=i * ENTRY)
        guid = entry[:16]
        if guid in GUIDS or guid[3::-1] + guid[5:3:-1] + guid[7:5:-1] + guid[8:] in GUIDS:
            certificates.append(data[start : start + size])
    raise ParseError("table-size", f"over {MAX_ENTRIES} entries", what=TABLE)


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
