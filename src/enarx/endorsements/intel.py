"""A client of Intel's provisioning certification service, version 4, or of a cache with the same interface (PCCS)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from enarx.endorsements.cache import Cache
from enarx.endorsements.web import Answer, Web
from enarx.errors import ParseError, UnavailableError
from enarx.formats.text import hex_bytes
from enarx.verify.families.intel import collateral as intel
from enarx.verify.families.intel.machine import Machine
from enarx.verify.families.intel.tcb import date
from enarx.verify.revocation import revocation_list

URL = "https://api.trustedservices.intel.com"
ROOT_CRL_URL = "https://certificates.trustedservices.intel.com"
TEES = {0: "sgx", 0x81: "tdx"}
PREFIX = "certification/v4"


class Pcs:
    """The service behind a cache. Intel serves the root's revocation list from another host, `root`; a PCCS serves it itself."""

    def __init__(self, web: Web, cache: Cache, *, root: Web | None = None) -> None:
        self._web = web
        self._root = root
        self._cache = cache

    def collateral(self, tee: int, machine: Machine, authority: str) -> bytes:
        """The collateral for a model of machine, as JSON. `authority` is platform or processor.

        UnavailableError if the service cannot be reached, or its answer is not what was asked for.
        """
        kind, fmspc = TEES[tee], machine.fmspc.hex()
        info = self._texts(f"/{kind}/{PREFIX}/tcb?fmspc={fmspc}", "TCB-Info-Issuer-Chain", "tcbInfo")
        identity = self._texts(f"/{kind}/{PREFIX}/qe/identity", "SGX-Enclave-Identity-Issuer-Chain", "enclaveIdentity")
        machines = self._list(f"/sgx/{PREFIX}/pckcrl?ca={authority}&encoding=der", self._web)
        if self._root is None:
            root = self._list(f"/sgx/{PREFIX}/rootcacrl", self._web)
        else:
            root = self._list("/IntelSGXRootCA.der", self._root)
        data = json.dumps(
            {
                "root_ca_crl": root.hex(),
                "pck_crl": machines.hex(),
                "tcb_info_issuer_chain": info["chain"],
                "tcb_info": info["text"],
                "tcb_info_signature": info["signature"],
                "qe_identity_issuer_chain": identity["chain"],
                "qe_identity": identity["text"],
                "qe_identity_signature": identity["signature"],
            }
        ).encode()
        parsed = _collateral(data)
        if (parsed.info.tee, parsed.info.fmspc, parsed.identity.tee) != (tee, machine.fmspc, tee):
            raise _wrong(self._web.base, f"TCB info and identity for {kind}, FMSPC {fmspc}")
        return data

    def _texts(self, path: str, header: str, name: str) -> dict[str, str]:
        """A signed text as received, its signature, and the signer's certificate chain."""

        def make() -> tuple[bytes, int]:
            answer = self._web.get(path)
            signed = {**_signed(path, answer.body, name), "chain": _header(path, answer, header)}
            end = date(intel.parsed(signed["text"].encode(), name), "nextUpdate")
            return json.dumps(signed).encode(), end

        signed: dict[str, str] = json.loads(self._cache.get(self._web.base + path, _careful(path, make)))
        return signed

    def _list(self, path: str, web: Web) -> bytes:
        def make() -> tuple[bytes, int]:
            body = web.get(path).body
            text = (
                body if body[:1] == b"\x30" else hex_bytes(body.decode("ascii").strip())
            )  # a PCCS returns hexadecimal
            parsed = revocation_list(text)
            if parsed is None:
                raise _wrong(path, "a revocation list")
            return text, parsed.end

        return self._cache.get(web.base + path, _careful(path, make))


def _careful(path: str, make: Callable[[], tuple[bytes, int]]) -> Callable[[], tuple[bytes, int]]:
    def careful() -> tuple[bytes, int]:
        try:
            return make()
        except (ParseError, ValueError):
            raise _wrong(path, "collateral") from None

    return careful


def _signed(path: str, body: bytes, name: str) -> dict[str, str]:
    """The text, byte for byte as received since that is what is signed, and its signature."""
    text = body.decode()
    signature = intel.parsed(body, name).lines("signature")
    at = text.find(f'"{name}":')
    if at < 0:
        raise _wrong(path, f"{name} with its signature")
    start = at + len(name) + 3
    start += len(text[start:]) - len(text[start:].lstrip())
    _, end = json.JSONDecoder().raw_decode(text, start)
    return {"text": text[start:end], "signature": signature}


def _header(path: str, answer: Answer, name: str) -> str:
    value: Any = answer.headers.get(name) or answer.headers.get(f"SGX-{name}")
    if not value:
        raise _wrong(path, f"an answer with {name}")
    return unquote(str(value))


def _collateral(data: bytes) -> intel.Collateral:
    collateral = intel.opened(data).collateral
    if collateral is None:
        raise _wrong("collateral", "complete")
    return collateral


def _wrong(path: str, wanted: str) -> UnavailableError:
    return UnavailableError("endorsement-wrong", f"{path}: the answer is not {wanted}")
