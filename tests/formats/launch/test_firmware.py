"""OVMF images: the table of GUIDs, the metadata of SEV and of TDX, and every way in which they can be wrong."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.launch import eif, pe
from enarx.formats.launch import firmware as fw
from enarx.formats.launch.firmware import Firmware
from enarx.formats.launch.pe import PeFile
from tests.forge import launch as forge
from tests.forge.launch import entry, u
from tests.formats.launch.test_pe import PLAIN, pieces

BODY = entry(fw.SEV_RESET, u(1))


def code_of(data: bytes, *, what: str = "") -> str:
    with pytest.raises(ParseError) as e:
        read = Firmware.from_bytes(data)
        if what:
            getattr(read, what)()
    assert 0 <= e.value.offset <= max(len(data), 1 << 23)
    return e.value.code


@pytest.mark.parametrize(
    ("data", "code"),
    {
        "empty": (b"", "firmware-size"),
        "no whole pages": (bytes(4097), "firmware-size"),
        "table longer than the file": (forge.firmware(table=BODY, total=0xFFFF), "firmware-table"),
        "table shorter than its footer": (forge.firmware(table=BODY, total=17), "firmware-table"),
        "an entry longer than the table": (forge.firmware(table=entry(fw.SEV_RESET, u(1), size=23)), "firmware-table"),
        "an entry of no length": (forge.firmware(table=entry(fw.SEV_RESET, u(1), size=0)), "firmware-table"),
        "an entry twice": (forge.firmware(table=BODY + BODY), "firmware-table"),
        "bytes before the first entry": (forge.firmware(table=b"x" + BODY), "firmware-table"),
    }.values(),
)
def test_a_table_that_is_wrong(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_a_firmware_without_a_table() -> None:
    read = Firmware.from_bytes(bytes(4096))
    assert (read.table, read.hashes, read.reset) == ({}, 0, 0)
    for what in ("sev", "tdx", "svsm_entry"):
        with pytest.raises(ParseError):
            getattr(read, what)()


PAGE = 0x1000


@pytest.mark.parametrize(
    ("changes", "code"),
    {
        "magic": ({"magic": b"ASEW"}, "firmware-metadata"),
        "version": ({"version": 2}, "firmware-metadata"),
        "count": ({"count": 4}, "firmware-metadata"),
        "no section": ({"sev": ()}, "firmware-metadata"),
        "offset beyond the file": ({"entries": {fw.SEV_METADATA: u(0x4001)}}, "firmware-offset"),
        "offset too short": ({"entries": {fw.SEV_METADATA: b"\1\2\3"}}, "firmware-table"),
        "address too short": ({"entries": {fw.SEV_HASHES: b"\1\2\3"}}, "firmware-table"),
        "type": ({"sev": ((0, PAGE, 9),)}, "firmware-sev-section"),
        "two pages of secrets": ({"sev": ((0, 2 * PAGE, 2),)}, "firmware-sev-section"),
        "address": ({"sev": ((1, PAGE, 1),)}, "firmware-section"),
        "size": ({"sev": ((0, 1, 1),)}, "firmware-section"),
        "no size": ({"sev": ((0, 0, 1),)}, "firmware-section"),
        "overlap": ({"sev": ((0, 2 * PAGE, 1), (PAGE, PAGE, 2))}, "firmware-section"),
        "too many pages": ({"sev": ((0, 0x20000000, 1),)}, "firmware-section"),
    }.values(),
)
def test_sev_metadata_that_is_wrong(changes: dict[str, object], code: str) -> None:
    assert code_of(forge.firmware(**changes), what="sev") == code  # type: ignore[arg-type]  # what the forge takes


def test_addresses_of_more_than_32_bits() -> None:
    for numbers in ({"hashes": 1 << 32, "reset": 0}, {"hashes": 0, "reset": -1}):
        with pytest.raises(ParseError) as e:
            fw.SevMetadata(sections=(), **numbers)
        assert e.value.code == "firmware-sev-address"


def test_files_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, read in ((fw, Firmware), (pe, PeFile), (eif, eif.Eif)):
        monkeypatch.setattr(module, "MAX_SIZE", 4095)
        with pytest.raises(ParseError) as e:
            read.from_bytes(bytes(4096))
        assert e.value.code.endswith("-size")


def test_sections_beyond_the_end() -> None:
    made = bytearray(forge.firmware(entries={fw.SEV_METADATA: u(32)}))
    made[-32:-16] = b"ASEV" + u(16 + 12 * 5) + u(1) + u(5)
    assert code_of(bytes(made), what="sev") == "firmware-metadata"


TD = forge.TDX[0]


@pytest.mark.parametrize(
    ("section", "code"),
    {
        "beyond the end of the file": ((0x3000, 0x2000, *TD[2:]), "firmware-tdx-beyond"),
        "far beyond": ((0xFFFFFFFF, 0x2000, *TD[2:]), "firmware-tdx-beyond"),
        "type": ((*TD[:4], 9, 1), "firmware-tdx-section"),
        "attributes": ((*TD[:4], 0, 4), "firmware-tdx-section"),
        "extended and added later": ((*TD[:4], 0, 3), "firmware-tdx-section"),
        "more in the file than in memory": ((0x2000, 0x2000, TD[2], 0x1000, 0, 1), "firmware-tdx-section"),
        "address": ((0x2000, 0x2000, TD[2] + 1, 0x2000, 0, 1), "firmware-section"),
        "too large": ((0, 0, 0, 1 << 40, 3, 0), "firmware-section"),
    }.values(),
)
def test_tdx_metadata_that_is_wrong(section: tuple[int, ...], code: str) -> None:
    assert code_of(forge.firmware(tdx=(section,)), what="tdx") == code


def test_memory_that_is_added_later_may_be_large() -> None:
    later = (0, 0, 1 << 32, 1 << 40, 4, fw.AUGMENT)
    assert len(Firmware.from_bytes(forge.firmware(tdx=(*forge.TDX, later))).tdx()) == 4


SEEDS = (forge.firmware(), forge.pe(PLAIN, signature=b"s" * 8), forge.kernel())


@given(data=st.data())
def test_changed_bytes_end_in_parse_errors(data: st.DataObject) -> None:
    """Arbitrary numbers in the headers lead to a ParseError or a result, without delay."""
    made = bytearray(data.draw(st.sampled_from(SEEDS)))
    ends = (range(0x400), range(len(made) - 0x800, len(made) - 2))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.sampled_from(data.draw(st.sampled_from(ends))))
        struct.pack_into("<H", made, at, data.draw(st.integers(0, 0xFFFF)))
    for read in (lambda b: Firmware.from_bytes(b).sev(), lambda b: Firmware.from_bytes(b).tdx(), pieces):
        try:
            read(bytes(made))
        except ParseError as e:
            assert e.offset >= 0
