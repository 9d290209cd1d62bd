"""A vendor's service on this machine, which answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import Encoding

from tests.forge import amd, intel

Said = tuple[int, dict[str, str], bytes]


@dataclass
class Endless:
    """An answer that begins so, and goes on so."""

    start: bytes
    more: bytes


class Vendor:
    """`answers` by path, `faults` given out before them in turn; `asked` is every path, in order.

    A fault in bytes is sent as it is; `Endless` goes on until nobody listens.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Said] = {}
        self.faults: list[Said | bytes | Endless] = []
        self.asked: list[str] = []
        self.url = ""
        self.hold = threading.Event()
        self.hold.set()
        self.over = threading.Event()

    def says(self, path: str, body: bytes, **headers: str) -> None:
        """200 with this."""
        self.answers[path] = (200, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@contextmanager
def running() -> Iterator[Vendor]:
    """One that listens."""
    vendor = Vendor()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            vendor.asked.append(self.path)
            vendor.hold.wait(10)
            said = vendor.faults.pop(0) if vendor.faults else vendor.answers.get(self.path, (404, {}, b""))
            if isinstance(said, Endless):
                self.wfile.write(said.start)
                while not vendor.over.wait(0.01):
                    self.wfile.write(said.more)
                said = b""
            if isinstance(said, bytes):  # as it is, and then nothing more
                self.wfile.write(said)
                self.close_connection = True
                return
            status, headers, body = said
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            with suppress(ConnectionError):  # the client is gone
                super().handle()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    vendor.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield vendor
    finally:
        vendor.hold.set()
        vendor.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


VCEK, ASK, ARK, CRL = amd.vcek(), amd.ask(), amd.ark(), amd.crl()
VCEK_PATH = "/vcek/v1/Genoa/" + amd.CHIP.hex() + "?blSPL=10&teeSPL=00&snpSPL=25&ucodeSPL=84"
CHAIN_PATH = "/vcek/v1/Genoa/cert_chain"
CRL_PATH = "/vcek/v1/Genoa/crl"


def plays_amd(vendor: Vendor) -> None:
    """All that one chip needs."""
    vendor.says(VCEK_PATH, VCEK)
    vendor.says(CHAIN_PATH, intel.pem(ASK, ARK).encode())
    vendor.says(CRL_PATH, CRL)


def plays_intel(vendor: Vendor, tee: str = "tdx", **info: Any) -> None:
    """Serve everything that a model of machine needs, like a PCCS."""
    kind = intel.TDX if tee == "tdx" else intel.SGX
    text, said = json.dumps(intel.info(kind, **info)), json.dumps(intel.identity(kind))
    chain = quote(intel.pem(intel.signing(), intel.root()))
    for path, name, body, header in (
        (f"/{tee}/certification/v4/tcb?fmspc={intel.FMSPC.hex()}", "tcbInfo", text, "TCB-Info-Issuer-Chain"),
        (f"/{tee}/certification/v4/qe/identity", "enclaveIdentity", said, "SGX-Enclave-Identity-Issuer-Chain"),
    ):
        signature = intel.signed(intel.SIGNING, body.encode()).hex()
        whole = f'{{"{name}": {body}, "signature": "{signature}"}}'.encode()
        vendor.answers[path] = (200, {header: chain}, whole)
    vendor.says(
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        intel.revoked(intel.PLATFORM).public_bytes(Encoding.DER),
    )
    vendor.says("/sgx/certification/v4/rootcacrl", intel.revoked(intel.ROOT).public_bytes(Encoding.DER).hex().encode())
