"""Evidence of Azure's confidential VMs, as JSON in the forms that the attesters of Confidential Containers write.

Its parts are the HCL report, in which the paravisor binds the virtual TPM's key to the hardware's report, and a quote by
that key.

Azure confidential computing, "vTPM attestation report" (header, report, runtime data).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Self

from enarx.errors import ParseError
from enarx.formats.evidence.families.tpm import MAX_PCRS, Quote
from enarx.formats.fields import Fields, json_object
from enarx.formats.text import hex_bytes
from enarx.record import record

WHAT = "Azure evidence"
MAX_SIZE = 1 << 20
HEADER, REPORT = 32, 1184
MAGIC = b"HCLA"
SNP, TDX = 2, 4
SHA256 = 1
PCR_SIZE = 32
KEY = "HCLAkPub"


def begins(data: bytes, kind: int) -> bool:
    """Whether the bytes look like evidence on this type of hardware (SNP or TDX)."""
    if data.lstrip()[:1] != b"{" or not (b'"hcl_report"' in data or b'"report"' in data):
        return False
    return (b'"td_quote"' in data) is (kind == TDX)


@record()
class Hcl:
    """An HCL report: the type (SNP or TDX) and bytes of the hardware's report, and the JSON whose hash that report contains."""

    kind: int
    report: bytes
    runtime: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """ParseError unless it is one of SEV-SNP or TDX, with SHA-256."""
        start = HEADER + REPORT
        if len(data) < start + 20 or data[:4] != MAGIC:
            raise _wrong("hcl_report", "not an HCL report")
        size, _, kind, hashed, variable = (_number(data, start + 4 * i) for i in range(5))
        if kind not in (SNP, TDX) or hashed != SHA256:
            raise _wrong("hcl_report", f"report of type {kind} with hash {hashed}, wanted SNP or TDX with SHA-256")
        if variable + 20 != size or start + size > len(data) or any(data[start + size :]):
            raise _wrong("hcl_report", "invalid length of the runtime data")
        return cls(kind=kind, report=data[HEADER:start], runtime=data[start + 20 : start + size])


@record()
class Evidence:
    """Evidence of a VM.

    key          the RSA key of the virtual TPM, as (e, n)
    vm_id, secure_boot
                 from the runtime data; None if it leaves them out
    pcrs         the values of all SHA-256 registers
    vcek         a VCEK in DER; may be empty
    td_quote     a TDX quote, on TDX alone: the report within the HCL report has a MAC that only the machine can verify
    """

    hcl: Hcl
    key: tuple[int, int]
    vm_id: str | None
    secure_boot: bool | None
    quote: Quote
    signature: bytes
    pcrs: tuple[bytes, ...]
    vcek: bytes
    td_quote: bytes
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse evidence in any of its forms. ParseError."""
        value = _json(data, "evidence")
        quote = value.inner("tpm_quote" if "tpm_quote" in value else "quote")
        hcl = Hcl.from_bytes(_octets(value, "hcl_report" if "hcl_report" in value else "report"))
        runtime = _json(hcl.runtime, "runtime data")
        vm_id, secure_boot = _vm(runtime)
        td_quote = _octets(value, "td_quote") if "td_quote" in value else b""
        if bool(td_quote) is not (hcl.kind == TDX):
            raise _wrong("td_quote", "has to accompany an HCL report of TDX, and no other")
        return cls(
            hcl=hcl,
            key=_key(runtime),
            vm_id=vm_id,
            secure_boot=secure_boot,
            quote=Quote.from_bytes(_octets(quote, "message", text=hex_bytes)),
            signature=_octets(quote, "signature", text=hex_bytes),
            pcrs=_pcrs(quote),
            vcek=_vcek(value),
            td_quote=td_quote,
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """The bytes that the evidence was parsed from."""
        return self.raw

    def require(self, kind: int) -> None:
        """ParseError unless the hardware is of this type."""
        if self.hcl.kind != kind:
            raise ParseError("evidence-kind", f"hardware of type {self.hcl.kind}, wanted {kind}", what=WHAT)

    @property
    def signed(self) -> bytes:
        """The bytes that the virtual TPM's key signed, as received."""
        return self.quote.signed


def _wrong(field: str, message: str) -> ParseError:
    return ParseError("evidence-field", f"{field}: {message}", what=WHAT)


def _json(data: bytes, name: str) -> Fields:
    return json_object(data, WHAT, code="evidence", path=name, unique=True, limit=MAX_SIZE)


def _base64(text: str) -> bytes:
    return base64.b64decode(text.translate(_URL) + "=" * (-len(text) % 4), validate=True)


_URL = str.maketrans("-_", "+/")


def _octets(fields: Fields, name: str, *, text: Callable[[str], bytes] = _base64) -> bytes:
    """Bytes, which attesters write as an array of numbers or as a text."""
    return _read_octets(fields.get(name), fields, name, text)


def _read_octets(value: object, fields: Fields, name: str, text: Callable[[str], bytes]) -> bytes:
    try:
        if isinstance(value, list):
            return bytes(value)
        if isinstance(value, str):
            return text(value)
    except (ValueError, TypeError, binascii.Error):
        pass  # the error below covers every form
    raise fields.error(name, "bytes, as an array of numbers or a text")


def _pcrs(quote: Fields) -> tuple[bytes, ...]:
    """The values of all registers. Each has its size checked: the digest over them does not say where one ends."""
    values = tuple([_read_octets(value, quote, "pcrs", hex_bytes) for value in quote.array("pcrs")])
    if len(values) != MAX_PCRS or any(len(value) != PCR_SIZE for value in values):
        raise quote.error("pcrs", f"{MAX_PCRS} registers of {PCR_SIZE} bytes")
    return values


def _vm(runtime: Fields) -> tuple[str | None, bool | None]:
    """The VM's id, and whether it booted securely; None for what the runtime data leaves out."""
    if not isinstance(runtime.get("vm-configuration"), dict):
        return None, None
    vm = runtime.inner("vm-configuration")
    id = None if vm.get("vmUniqueId") is None else vm.text("vmUniqueId", longest=256)
    secure_boot = vm.get("secure-boot")
    return id, secure_boot if isinstance(secure_boot, bool) else None


def _key(runtime: Fields) -> tuple[int, int]:
    """The virtual TPM's RSA key as (e, n)."""
    for value in runtime.array("keys"):
        key = Fields(value, WHAT, code="evidence", path="runtime data.keys")
        if (key.get("kid"), key.get("kty")) == (KEY, "RSA"):
            e, n = (int.from_bytes(_octets(key, part), "big") for part in ("e", "n"))
            return e, n
    raise runtime.error("keys", f"{KEY} among them")


def _vcek(value: Fields) -> bytes:
    """A VCEK as PEM, or as DER in base64; empty if there is none."""
    text = value.get("vcek")
    if not isinstance(text, str):
        return b""
    lines = [line for line in text.split("\n") if line and not line.startswith("-----")]
    return _read_octets("".join(lines), value, "vcek", _base64)


def _number(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")
