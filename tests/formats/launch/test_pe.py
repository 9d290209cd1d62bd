"""PE files: headers, sections, and the bytes that an Authenticode digest covers."""

from __future__ import annotations

import pytest

from enarx.errors import ParseError
from enarx.formats.launch.pe import PeFile
from tests.forge import launch as forge
from tests.forge.launch import u

PLAIN = {".text": b"code", ".data": b"data" * 200}


@pytest.mark.parametrize(
    ("data", "code"),
    {
        "empty": (b"", "pe-cut"),
        "no MZ": (forge.pe(PLAIN, head=b"ZM"), "pe-magic"),
        "header elsewhere": (forge.pe(PLAIN)[:0x3C] + u(1 << 31) + forge.pe(PLAIN)[0x40:], "pe-offset"),
        "no PE": (forge.pe(PLAIN).replace(b"PE\0\0", b"PF\0\0"), "pe-magic"),
        "optional header": (forge.pe(PLAIN, magic=0x107), "pe-magic"),
        "too many sections": (forge.pe(PLAIN, count=97), "pe-sections"),
        "sections beyond the headers": (forge.pe(PLAIN, headers=0x40), "pe-headers"),
        "headers beyond the file": (forge.pe(PLAIN, headers=1 << 20), "pe-headers"),
        "name": (forge.pe({"\u00e4": b"x"}), "pe-section"),
        "overlap": (forge.pe(PLAIN, raw_at=512), "pe-section"),
        "section within the headers": (forge.pe(PLAIN, raw_at=0), "pe-section"),
        "section beyond the file": (forge.pe({".text": b"x"}, raw_at=1 << 20), "pe-section"),
        "signatures not at the end": (forge.pe(PLAIN, signature=b"s" * 8) + b"x", "pe-signatures"),
        "signatures within a section": (forge.pe(PLAIN, signature=b"s" * 8, signature_at=512), "pe-signatures"),
        "cut": (forge.pe(PLAIN)[:100], "pe-cut"),
        "no room for the directory": (forge.pe(PLAIN, directories=5)[:0x40] + b"", "pe-cut"),
    }.values(),
)
def test_a_pe_file_that_is_wrong(data: bytes, code: str) -> None:
    with pytest.raises(ParseError) as e:
        PeFile.from_bytes(data)
    assert e.value.code == code


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("directories", [4, 16])
def test_what_authenticode_covers(plus: bool, directories: int) -> None:
    """Everything except the checksum, the directory entry and the signatures."""
    signature = b"s" * 16 if directories > 4 else b""
    data = forge.pe(PLAIN, plus=plus, directories=directories, signature=signature, tail=b"tail")
    read = PeFile.from_bytes(data)
    covered = b"".join(read.measured())
    gap = 4 + (8 + len(signature) if directories > 4 else 0)
    assert len(covered) == len(data) - gap
    assert u(0xC0FFEE) not in covered
    assert covered.endswith(b"tail")


def test_sections_by_name() -> None:
    read = PeFile.from_bytes(forge.pe(PLAIN))
    assert read.section(".text") == b"code"
    assert read.section(".none") is None
    twice = forge.pe({".text": b"a", ".texu": b"b"}).replace(b".texu", b".text")
    for data in (twice, forge.pe(PLAIN, virtual=1 << 20)):
        with pytest.raises(ParseError):
            PeFile.from_bytes(data).section(".text")


def pieces(data: bytes) -> None:
    assert sum(map(len, PeFile.from_bytes(data).measured())) <= len(data)
