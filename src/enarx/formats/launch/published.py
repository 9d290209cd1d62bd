"""Published metadata of a firmware: its digest and SEV metadata, and the hashes of a kernel and an initrd.

JSON, as in SecretVM's registry of artifacts: `ovmf_hash`, `ovmf_sections` (each with `gpa`, `size`, `section_type`),
`sev_hashes_table_gpa`, `sev_es_reset_eip`, and optionally `kernel_hash` and `initrd_hash`. Other keys are ignored.
"""

from __future__ import annotations

import json
from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.checks import Invalid, Path, dotted, text_of, whole
from enarx.formats.launch.firmware import SevMetadata, SevSection
from enarx.formats.tables import each_of, known_keys, needs
from enarx.formats.text import hex_bytes
from enarx.record import record

WHAT = "published firmware"
MAX_SIZE = 1 << 20
HIGHEST = (1 << 32) - 1


@record()
class Published:
    """Metadata and digest of a firmware; SHA-256 of kernel and initrd, empty if not published."""

    metadata: SevMetadata
    firmware: bytes
    kernel: bytes
    initrd: bytes

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """One entry of the registry; ParseError."""
        value: Any = None
        try:
            value = json.loads(text) if len(text) <= MAX_SIZE else None
        except (ValueError, RecursionError):
            value = None  # known_keys reports that it is not a table
        try:
            known_keys(value, (), value if isinstance(value, dict) else ())
            needs(value, (), "entry", "ovmf_hash", "ovmf_sections", "sev_hashes_table_gpa", "sev_es_reset_eip")
            metadata = SevMetadata(
                sections=each_of(value, (), "ovmf_sections", _section),
                hashes=_number(value, (), "sev_hashes_table_gpa"),
                reset=_number(value, (), "sev_es_reset_eip"),
            )
            return cls(
                metadata=metadata,
                firmware=_hex(value, "ovmf_hash", 48),
                kernel=_hex(value, "kernel_hash", 32),
                initrd=_hex(value, "initrd_hash", 32),
            )
        except Invalid as e:
            raise ParseError("published", f"{WHAT}: {dotted(e.path)}: {e.message}", what=WHAT) from e


def _section(item: Any, path: Path) -> SevSection:
    known_keys(item, path, ("gpa", "size", "section_type"))
    needs(item, path, "section", "gpa", "size", "section_type")
    numbers = {name: _number(item, path, name) for name in ("gpa", "size", "section_type")}
    return SevSection(address=numbers["gpa"], size=numbers["size"], type=numbers["section_type"])


def _number(table: dict[str, Any], path: Path, key: str) -> int:
    return whole(table[key], (*path, key), 0, HIGHEST)


def _hex(table: dict[str, Any], key: str, size: int) -> bytes:
    if key not in table:
        return b""
    try:
        return hex_bytes(text_of(table[key], (key,)), size)
    except ValueError as e:
        raise Invalid((key,), str(e)) from None
