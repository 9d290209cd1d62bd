"""Intel SGX evidence: a quote of version 3 about an enclave's report."""

from __future__ import annotations

from typing import Self

from enarx.formats.evidence.families.dcap import SGX, Quote, SgxReport, quote_of
from enarx.record import record


@record()
class Evidence:
    """The quote, and the report in it."""

    quote: Quote
    report: SgxReport

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """ParseError for anything but a quote of SGX."""
        quote = quote_of(data, SGX)
        return cls(quote=quote, report=SgxReport.from_bytes(quote.body))

    def to_bytes(self) -> bytes:
        """As received."""
        return self.quote.raw

    @property
    def signed(self) -> bytes:
        """What the attestation key signed, as received."""
        return self.quote.signed
