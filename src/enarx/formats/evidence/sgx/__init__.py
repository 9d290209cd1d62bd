"""Intel SGX evidence: a quote of version 3 about an enclave's report."""

from __future__ import annotations

from typing import Self

from enarx.formats.evidence.families.dcap import SGX, Quote, SgxReport, quote_of
from enarx.record import record


@record()
class Evidence:
    """An SGX quote and the enclave's report within it."""

    quote: Quote
    report: SgxReport

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a quote of SGX. ParseError."""
        quote = quote_of(data, SGX)
        return cls(quote=quote, report=SgxReport.from_bytes(quote.body))

    def to_bytes(self) -> bytes:
        """The bytes that the evidence was parsed from."""
        return self.quote.raw

    @property
    def signed(self) -> bytes:
        """The bytes that the attestation key signed, as received."""
        return self.quote.signed
