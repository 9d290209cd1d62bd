"""TPM 2.0 part 2, 10.12: fields of a quote, by their offsets."""

from __future__ import annotations

from typing import Any

from tests.forge import tpm
from tests.verify.vectors import Rows, Varies, be

EXTRA, RESETS, RESTARTS, SAFE, FIRMWARE = 16, 56, 60, 64, 65
"""Where these stand in the quote, whose signer is named in 6 bytes and whose extra data are 32."""

REGISTERS = tuple(f"{i}:{bytes([i]).hex() * 32}" for i in range(24))
OTHER_PCRS = (b"\x77" * 32, *tpm.PCRS[1:])


def in_quote(offset: int, value: bytes, said: Any) -> Varies:
    return Varies(said, {"quote": {offset: value}})


OF_QUOTE: Rows = {
    "report_data": in_quote(EXTRA, b"\7" * 32, bytes(range(32))),
    "reset_count": in_quote(RESETS, be(9), 2),
    "restart_count": in_quote(RESTARTS, be(9), 3),
}
