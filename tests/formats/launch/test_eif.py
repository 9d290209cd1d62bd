"""Enclave image files of AWS Nitro: every header field, section and checksum that can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from enarx.errors import ParseError
from enarx.formats.launch import eif
from enarx.formats.launch.eif import Eif
from tests.forge import launch as forge

PLAIN = forge.image().to_bytes()


def sealed(data: bytes) -> bytes:
    """The file with a correct CRC."""
    return data[:544] + eif.checksum(data).to_bytes(4, "big") + data[548:]


def other(**changes: Any) -> bytes:
    return forge.image(**changes).to_bytes()


@pytest.mark.parametrize(
    ("data", "code"),
    {
        "empty": (b"", "eif-cut"),
        "magic": (b"x" + PLAIN[1:], "eif-version"),
        "version": (sealed(PLAIN[:5] + b"\3" + PLAIN[6:]), "eif-version"),
        "flags": (sealed(PLAIN[:7] + b"\2" + PLAIN[8:]), "eif-header"),
        "no sections": (sealed(PLAIN[:27] + b"\0" + PLAIN[28:548]), "eif-header"),
        "too many": (sealed(PLAIN[:27] + b"\x21" + PLAIN[28:]), "eif-header"),
        "fewer than there are": (sealed(PLAIN[:27] + b"\1" + PLAIN[28:]), "eif-trailing"),
        "more than there are": (sealed(PLAIN[:27] + b"\6" + PLAIN[28:]), "eif-section"),
        "beyond their number": (sealed(PLAIN[:283] + b"\1" + PLAIN[284:]), "eif-header"),
        "offset": (sealed(PLAIN[:35] + b"\0" + PLAIN[36:]), "eif-section"),
        "length": (sealed(PLAIN[:291] + b"\x05" + PLAIN[292:]), "eif-section"),
        "type": (sealed(PLAIN[:549] + b"\x06" + PLAIN[550:]), "eif-section"),
        "section flags": (sealed(PLAIN[:551] + b"\1" + PLAIN[552:]), "eif-section"),
        "cut": (PLAIN[:-1], "eif-cut"),
        "trailing": (PLAIN + b"x", "eif-trailing"),
        "crc": (PLAIN[:544] + b"\0\0\0\0" + PLAIN[548:], "eif-crc"),
        "content": (PLAIN[:-1] + b"x", "eif-crc"),
        "order": (other(order=(eif.CMDLINE, eif.KERNEL)), "eif-order"),
        "no command line": (other(order=(eif.KERNEL,)), "eif-section"),
        "two kernels": (other(order=(eif.KERNEL, eif.KERNEL, eif.CMDLINE)), "eif-section"),
        "metadata twice": (other(order=(eif.KERNEL, eif.CMDLINE, eif.METADATA, eif.METADATA)), "eif-section"),
    }.values(),
)
def test_an_image_that_is_wrong(data: bytes, code: str) -> None:
    with pytest.raises(ParseError) as e:
        Eif.from_bytes(data)
    assert e.value.code == code
