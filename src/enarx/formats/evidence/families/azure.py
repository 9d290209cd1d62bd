"""Evidence of Azure's confidential VMs: the HCL report, in which the paravisor binds the virtual TPM's key to the hardware's
report, and a quote by that key; as JSON in the forms that Confidential Containers' attesters write.

Azure confidential computing, "vTPM attestation report" (header, report, runtime data).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.evidence.families.tpm import MAX_PCRS, Quote
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
    """Whether the bytes begin as evidence on hardware of this type does."""
    if data.lstrip()[:1] != b"{" or not (b'"hcl_report"' in data or b'"report"' in data):
        return False
    return (b'"td_quote"' in data) is (kind == TDX)


@record()
class Hcl:
    """An HCL report: `kind` and bytes of the hardware's `report`, and `runtime`, the JSON bytes whose hash is in that."""

    kind: int
    report: bytes
    runtime: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """ParseError unless it is one of SEV-SNP or TDX, with SHA-256."""
        start = HEADER + REPORT
        if len(data) < start + 20 or data[:4] != MAGIC:
            raise _wrong("hcl_report", "no HCL report")
        size, _, kind, hashed, variable = (_number(data, start + 4 * i) for i in range(5))
        if kind not in (SNP, TDX) or hashed != SHA256:
            raise _wrong("hcl_report", f"report of type {kind} with hash {hashed}, wanted SNP or TDX with SHA-256")
        if variable + 20 != size or start + size > len(data) or any(data[start + size :]):
            raise _wrong("hcl_report", "runtime data of no right length")
        return cls(kind=kind, report=data[HEADER:start], runtime=data[start + 20 : start + size])


@record()
class Evidence:
    """`key` is the RSA key of the virtual TPM as (e, n), `pcrs` the values of all registers of SHA-256; `vcek` (DER) may be
    empty, `td_quote` is there on TDX alone, as its report in the HCL report can be verified on the machine alone. `vm_id` and
    `secure_boot` are what the runtime data says of the VM, None if nothing.
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
        """ParseError for anything but the evidence, in one of its forms."""
        if len(data) > MAX_SIZE:
            raise ParseError("evidence-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
        value = _json(data, "evidence")
        quote = value.get("tpm_quote", value.get("quote"))
        hcl = Hcl.from_bytes(_bytes(value.get("hcl_report", value.get("report")), "hcl_report"))
        if not isinstance(quote, dict):
            raise _wrong("tpm_quote", "wanted an object")
        pcrs = quote.get("pcrs")
        if not isinstance(pcrs, list) or len(pcrs) != MAX_PCRS:
            raise _wrong("pcrs", f"wanted {MAX_PCRS} registers")
        runtime = _json(hcl.runtime, "runtime data")
        vm = runtime.get("vm-configuration")
        vm = vm if isinstance(vm, dict) else {}
        td_quote = _bytes(value["td_quote"], "td_quote") if "td_quote" in value else b""
        if bool(td_quote) is not (hcl.kind == TDX):
            raise _wrong("td_quote", "wanted with an HCL report of TDX, and with no other")
        return cls(
            hcl=hcl,
            key=_key(runtime),
            vm_id=_vm_id(vm.get("vmUniqueId")),
            secure_boot=vm["secure-boot"] if isinstance(vm.get("secure-boot"), bool) else None,
            quote=Quote.from_bytes(_bytes(quote.get("message"), "message", text=bytes.fromhex)),
            signature=_bytes(quote.get("signature"), "signature", text=bytes.fromhex),
            pcrs=tuple(map(_pcr, pcrs)),
            vcek=_vcek(value.get("vcek")),
            td_quote=td_quote,
            raw=data,
        )

    def to_bytes(self) -> bytes:
        """As received."""
        return self.raw

    def require(self, kind: int) -> None:
        """ParseError if the hardware is not of this type."""
        if self.hcl.kind != kind:
            raise ParseError("evidence-kind", f"hardware of type {self.hcl.kind}, wanted {kind}", what=WHAT)

    @property
    def signed(self) -> bytes:
        """What the virtual TPM's key signed, as received."""
        return self.quote.signed


def _wrong(field: str, said: str) -> ParseError:
    return ParseError("evidence-field", f"{field}: {said}", what=WHAT)


def _json(data: bytes, what: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        value = json.loads(data, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise _wrong(what, "not JSON, or a key twice") from None
    if not isinstance(value, dict):
        raise _wrong(what, "wanted an object")
    return value


def _base64(text: str) -> bytes:
    return base64.b64decode(text.translate(_URL) + "=" * (-len(text) % 4), validate=True)


_URL = str.maketrans("-_", "+/")


def _bytes(value: object, field: str, *, text: Any = _base64) -> bytes:
    """Of an array of numbers, or of a text."""
    try:
        if isinstance(value, list):
            return bytes(value)
        if isinstance(value, str):
            found: bytes = text(value)
            return found
    except (ValueError, TypeError, binascii.Error):
        pass  # said below
    raise _wrong(field, "wanted bytes, as an array or a text")


def _vm_id(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and value.isprintable() and len(value) <= 256):
        raise _wrong("vmUniqueId", "wanted a text")
    return value


def _pcr(value: object) -> bytes:
    found = _bytes(value, "pcrs", text=bytes.fromhex)
    if len(found) != PCR_SIZE:  # the digest over them does not say where one ends
        raise _wrong("pcrs", f"a register of {len(found)} bytes, wanted {PCR_SIZE}")
    return found


def _key(runtime: dict[str, Any]) -> tuple[int, int]:
    keys = runtime.get("keys")
    for key in keys if isinstance(keys, list) else ():
        if isinstance(key, dict) and key.get("kid") == KEY and key.get("kty") == "RSA":
            e, n = (int.from_bytes(_bytes(key.get(part), part), "big") for part in ("e", "n"))
            return e, n
    raise _wrong("keys", f"no {KEY}")


def _vcek(value: object) -> bytes:
    """PEM, or DER in base64."""
    if not isinstance(value, str):
        return b""
    lines = [line for line in value.split("\n") if line and not line.startswith("-----")]
    return _bytes("".join(lines), "vcek")


def _number(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")
