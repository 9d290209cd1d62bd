"""TPM 2.0 quotes: TPMS_ATTEST of type quote (TCG TPM 2.0 Library, part 2, 10.12.8 to 10.12.12)."""

from __future__ import annotations

from typing import Self

from enarx.errors import ParseError
from enarx.formats.reader import Reader
from enarx.record import record

WHAT = "TPM quote"
MAGIC, QUOTE = 0xFF544347, 0x8018
HASHES = {0x0004: "sha1", 0x000B: "sha256", 0x000C: "sha384", 0x000D: "sha512"}
SIZES = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
MAX_PCRS = 24


@record()
class Quote:
    """A TPM's statement about its registers (PCRs).

    extra       the caller's fresh data
    clock       milliseconds
    bank, selection
                the hash and the indexes of the quoted registers, in order; the bit mask took `selection_size` bytes
    digest      over the values of these registers
    raw         the bytes that the signature covers, as received
    """

    qualified_signer: bytes
    extra: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: bool
    firmware_version: int
    bank: str
    selection: tuple[int, ...]
    selection_size: int
    digest: bytes
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a quote of one bank. ParseError for anything else, and for trailing bytes."""
        read = Reader(data, WHAT, code="tpm", order="big")
        if read.number(4) != MAGIC:  # first of all: without it, the data was signed for another purpose
            raise ParseError("quote-magic", "not made by a TPM", what=WHAT)
        if read.number(2) != QUOTE:
            raise ParseError("quote-type", "an attestation other than a quote", what=WHAT)
        signer, extra = read.sized(2), read.sized(2)
        clock, resets, restarts, safe = read.number(8), read.number(4), read.number(4), read.number(1)
        if safe > 1:
            raise ParseError("quote-clock", "invalid clock state", what=WHAT)
        firmware = read.number(8)
        bank, selection, size = _selection(read)
        digest = read.sized(2)
        read.end()
        return cls(
            qualified_signer=signer,
            extra=extra,
            clock=clock,
            reset_count=resets,
            restart_count=restarts,
            safe=safe == 1,
            firmware_version=firmware,
            bank=bank,
            selection=selection,
            selection_size=size,
            digest=digest,
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """The bytes that the quote was parsed from."""
        return self.raw

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers: all of them."""
        return self.raw


def encode(quote: Quote) -> bytes:
    """The bytes of a quote, written from its fields: the inverse of `Quote.from_bytes`."""

    def u(value: int, size: int) -> bytes:
        return value.to_bytes(size, "big")

    def sized(data: bytes) -> bytes:
        return u(len(data), 2) + data

    bank = next(number for number, name in HASHES.items() if name == quote.bank)
    bits = sum(1 << index for index in quote.selection).to_bytes(quote.selection_size, "little")
    return b"".join(
        (
            u(MAGIC, 4) + u(QUOTE, 2) + sized(quote.qualified_signer) + sized(quote.extra),
            u(quote.clock, 8) + u(quote.reset_count, 4) + u(quote.restart_count, 4) + u(quote.safe, 1),
            u(quote.firmware_version, 8) + u(1, 4) + u(bank, 2) + u(quote.selection_size, 1) + bits,
            sized(quote.digest),
        )
    )


def _selection(read: Reader) -> tuple[str, tuple[int, ...], int]:
    """The bank, the indexes of the registers, and the bytes that their bit mask takes."""
    if read.number(4) != 1:
        raise ParseError("quote-selection", "wanted registers of one bank", what=WHAT)
    bank = HASHES.get(read.number(2))
    size = read.number(1)
    bits = int.from_bytes(read.take(size), "little")
    if bank is None or bits >> MAX_PCRS:
        raise ParseError("quote-selection", "unknown bank or register", what=WHAT)
    selected = tuple(i for i in range(MAX_PCRS) if bits >> i & 1)
    if not selected:
        raise ParseError("quote-selection", "no register is selected", what=WHAT)
    return bank, selected, size
