"""Intel TDX evidence: a quote of version 4 or 5 about a trust domain's report."""

from __future__ import annotations

from typing import Self

from enarx.formats.evidence.families.dcap import TDX, Quote, number, quote_of, u
from enarx.record import record


@record()
class Evidence:
    """A TDX quote and the trust domain's report within it."""

    quote: Quote
    report: TdReport

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a quote of TDX. ParseError."""
        quote = quote_of(data, TDX)
        return cls(quote=quote, report=TdReport.from_bytes(quote.body))

    def to_bytes(self) -> bytes:
        """The bytes that the evidence was parsed from."""
        return self.quote.raw

    @property
    def signed(self) -> bytes:
        """The bytes that the attestation key signed, as received."""
        return self.quote.signed


@record()
class TdReport:
    """A trust domain's report (Intel TDX module, TDREPORT_STRUCT).

    `tee_tcb_svn_2` and `mr_service_td` are empty in reports of TDX 1.0, `extension` in all but extended reports.
    """

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: int
    xfam: int
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmrs: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    tee_tcb_svn_2: bytes
    mr_service_td: bytes
    extension: bytes

    @property
    def current_service_td(self) -> bytes:
        """The hash of the service domain that is bound now; empty in reports that are not extended."""
        return self.extension[181:229]

    @classmethod
    def from_bytes(cls, body: bytes) -> Self:
        """Parse the body of a quote, of 584, 648 or 885 bytes."""
        return cls(
            tee_tcb_svn=body[:16],
            mr_seam=body[16:64],
            mr_signer_seam=body[64:112],
            seam_attributes=body[112:120],
            td_attributes=number(body, 120, 8),
            xfam=number(body, 128, 8),
            mr_td=body[136:184],
            mr_config_id=body[184:232],
            mr_owner=body[232:280],
            mr_owner_config=body[280:328],
            rtmrs=(body[328:376], body[376:424], body[424:472], body[472:520]),
            report_data=body[520:584],
            tee_tcb_svn_2=body[584:600],
            mr_service_td=body[600:648],
            extension=body[648:],
        )

    def to_bytes(self) -> bytes:
        """The bytes of the report, written from its fields."""
        return b"".join(
            (
                self.tee_tcb_svn + self.mr_seam + self.mr_signer_seam + self.seam_attributes,
                u(self.td_attributes, 8) + u(self.xfam, 8) + self.mr_td + self.mr_config_id,
                self.mr_owner + self.mr_owner_config + b"".join(self.rtmrs) + self.report_data,
                self.tee_tcb_svn_2 + self.mr_service_td + self.extension,
            )
        )
