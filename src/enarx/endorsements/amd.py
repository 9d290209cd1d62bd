"""AMD's key distribution service: Versioned Chip Endorsement Key Certificate and KDS Interface Specification (57230), 4."""

from __future__ import annotations

import base64
import re

from enarx.endorsements.cache import Cache
from enarx.endorsements.web import Web
from enarx.errors import UnavailableError
from enarx.verify.families import amd
from enarx.verify.revocation import revocation_list

URL = "https://kdsintf.amd.com"
ISSUERS = {"vcek": "ask", "vlek": "asvk"}
SPL = ("fmcSPL", "blSPL", "teeSPL", "snpSPL", "ucodeSPL")
"""The names of a TCB's parts in a request, in the order of `enarx.verify.families.amd.PARTS`."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class Kds:
    """The service behind a cache. Every answer is checked to be what was asked for."""

    def __init__(self, web: Web, cache: Cache) -> None:
        self._web = web
        self._cache = cache

    def vcek(self, product: str, chip: bytes, parts: tuple[int, ...]) -> bytes:
        """The certificate (DER) of a chip at a TCB. `chip` is as in a report; -1 stands for a part that the product lacks.

        Its signature is verified before it is cached, because it is cached without end. UnavailableError if the service has
        no such certificate or cannot be reached.
        """
        hwid = chip[:8] if product == "turin" else chip
        levels = "&".join(f"{name}={part:02d}" for name, part in zip(SPL, parts, strict=True) if part >= 0)
        path = f"/vcek/v1/{product.capitalize()}/{hwid.hex()}?{levels}"

        def make() -> tuple[bytes, None]:
            der = self._web.get(path).body
            certificates = amd.sort((der,)).certificates
            if [(c.role, c.product, c.hwid, c.parts) for c in certificates] != [("vcek", product, hwid, parts)]:
                raise _wrong(path, "the certificate of this chip at this TCB")
            issuer, root = self.issuers(product, "vcek")
            if not amd.chain_holds(root, issuer, der):
                raise _wrong(path, f"signed by the ASK of {product}")
            return der, None

        return self._cache.get(self._web.base + path, make)

    def issuers(self, product: str, role: str) -> tuple[bytes, bytes]:
        """The certificates (DER) of a VCEK's or VLEK's issuer and of the root. UnavailableError."""
        path = f"/{role}/v1/{product.capitalize()}/cert_chain"

        def make() -> tuple[bytes, int]:
            text = self._web.get(path).body
            certificates = amd.sort(_chain(path, text)).certificates
            if [(c.role, c.product) for c in certificates] != [(ISSUERS[role], product), ("ark", product)]:
                raise _wrong(path, f"{ISSUERS[role].upper()} and ARK of {product}")
            issuer, root = certificates
            if not amd.chain_holds(root.der, root.der, issuer.der):
                raise _wrong(path, "signed by the ARK in it")
            return text, min(c.period.end for c in certificates)

        issuer, root = _chain(path, self._cache.get(self._web.base + path, make))
        return issuer, root

    def crl(self, product: str, role: str) -> bytes:
        """The revocation list (DER) of a product, cached until it expires. UnavailableError."""
        path = f"/{role}/v1/{product.capitalize()}/crl"

        def make() -> tuple[bytes, int]:
            der = self._web.get(path).body
            parsed = revocation_list(der)
            if parsed is None:
                raise _wrong(path, "a revocation list")
            if not amd.list_signed(self.issuers(product, role)[1], der):
                raise _wrong(path, f"signed by the ARK of {product}")
            return der, parsed.end

        return self._cache.get(self._web.base + path, make)


def _chain(path: str, text: bytes) -> tuple[bytes, ...]:
    try:
        return tuple(base64.b64decode(b"".join(block.split())) for block in _PEM.findall(text))
    except ValueError:
        raise _wrong(path, "certificates") from None


def _wrong(path: str, wanted: str) -> UnavailableError:
    return UnavailableError("endorsement-wrong", f"{path}: the answer is not {wanted}")
