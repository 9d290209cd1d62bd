"""Endorsements from a vendor: kept for as long as they hold, asked for with patience, and looked at when they come."""

from __future__ import annotations

import json
import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enarx.endorsements import web
from enarx.endorsements.amd import Kds
from enarx.endorsements.cache import Cache
from enarx.endorsements.describe import described
from enarx.endorsements.gather import gather
from enarx.endorsements.intel import Pcs
from enarx.endorsements.web import Web
from enarx.errors import ParseError, UnavailableError, UsageError
from enarx.formats.bundle import Bundle, Item
from enarx.formats.endorsements import read
from enarx.tenant.paths import write_private
from enarx.verify import Roots, examine
from enarx.verify.certificates import pin
from enarx.verify.families.intel.machine import machine
from tests.endorsements.vendor import (
    ARK,
    ASK,
    CHAIN_PATH,
    CRL,
    CRL_PATH,
    VCEK,
    VCEK_PATH,
    Endless,
    Vendor,
    plays_amd,
    plays_intel,
    running,
)
from tests.forge import amd, azure, intel
from tests.forge import snp as forge_snp

PARTS = (-1, 10, 0, 25, 84)
PCCS = "/tdx/certification/v4/"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with running() as found:
        plays_amd(found)
        plays_intel(found)
        plays_intel(found, "sgx")
        yield found


class Patience:
    """What was waited, and said of it."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.said: list[str] = []

    def web(self, vendor: Vendor) -> Web:
        return Web(vendor.url, sleep=self.waited.append, say=self.said.append)


@pytest.fixture
def patience() -> Patience:
    return Patience()


def cache(path: Path, now: float = amd.NOW) -> Cache:
    return Cache(str(path / "cache"), write=write_private, clock=lambda: now)


def kds(path: Path, vendor: Vendor, patience: Patience, now: float = amd.NOW) -> Kds:
    return Kds(patience.web(vendor), cache(path, now))


def pcs(path: Path, vendor: Vendor, patience: Patience, now: float = intel.NOW) -> Pcs:
    return Pcs(patience.web(vendor), cache(path, now))


def model() -> Any:
    return machine(intel.pck())


def test_all_of_amd_once(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    for _ in range(2):
        found = kds(tmp_path, vendor, patience)
        assert found.vcek("genoa", amd.CHIP, PARTS) == VCEK
        assert found.issuers("genoa", "vcek") == (ASK, ARK)
        assert found.crl("genoa", "vcek") == CRL
    assert vendor.asked == [VCEK_PATH, CHAIN_PATH, CRL_PATH]


@pytest.mark.parametrize("path", [VCEK_PATH, CHAIN_PATH])
def test_what_its_issuer_did_not_sign_is_not_kept(
    tmp_path: Path, vendor: Vendor, patience: Patience, path: str
) -> None:
    good = vendor.answers[path][2]
    other = amd.rsa_key("other")
    forged = {VCEK_PATH: amd.vcek(by=other), CHAIN_PATH: intel.pem(amd.ask(by=other), ARK).encode()}
    vendor.says(path, forged[path])
    with pytest.raises(UnavailableError, match="not signed by") as caught:
        kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS)
    assert caught.value.code == "endorsement-wrong"
    vendor.says(path, good)
    assert kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS) == VCEK


def test_turin_has_short_ids(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    chip = bytes(range(8))
    der = amd.vcek("Turin", tcb=amd.TCB["turin"], chip=chip)
    vendor.says("/vcek/v1/Turin/0001020304050607?fmcSPL=01&blSPL=01&teeSPL=00&snpSPL=02&ucodeSPL=71", der)
    vendor.says("/vcek/v1/Turin/cert_chain", intel.pem(amd.ask("Turin"), amd.ark("Turin")).encode())
    assert kds(tmp_path, vendor, patience).vcek("turin", chip.ljust(64, b"\0"), (1, 1, 0, 2, 71)) == der


def test_lists_are_kept_until_their_end_and_certificates_for_ever(
    tmp_path: Path, vendor: Vendor, patience: Patience
) -> None:
    found = described(CRL, "")
    assert found.until is not None
    for now in (found.until - 1, found.until - 1, found.until):
        later = kds(tmp_path, vendor, patience, now)
        later.crl("genoa", "vcek")
        later.vcek("genoa", amd.CHIP, PARTS)
    assert vendor.asked == [
        CRL_PATH,
        CHAIN_PATH,
        VCEK_PATH,
        CRL_PATH,
        CHAIN_PATH,
    ]  # the forge's chain ends with the list


def test_a_list_that_the_root_did_not_sign_is_not_kept(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    good = vendor.answers[CRL_PATH]
    vendor.answers[CRL_PATH] = (*good[:2], amd.crl(by=amd.rsa_key("nobody")))
    with pytest.raises(UnavailableError, match="signed by the ARK"):
        kds(tmp_path, vendor, patience).crl("genoa", "vcek")
    vendor.answers[CRL_PATH] = good
    assert kds(tmp_path, vendor, patience).crl("genoa", "vcek")


def test_nothing_stale_when_the_vendor_is_gone(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    kds(tmp_path, vendor, patience).crl("genoa", "vcek")
    vendor.answers.clear()
    with pytest.raises(UnavailableError):
        kds(tmp_path, vendor, patience, amd.NOW + 10**9).crl("genoa", "vcek")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b[:-1],
        lambda b: b"",
        lambda b: b"{}\n" + b,
        lambda b: b"[]\n",
        lambda b: b.replace(b"null", b"true"),
        lambda b: b.replace(b'"name"', b'"eman"'),
        lambda b: b"[" * 4000 + b"\n" + b,
    ],
    ids=["cut", "empty", "no head", "a list", "no date", "no name", "deep"],
)
def test_a_spoilt_file_is_fetched_anew(
    tmp_path: Path, vendor: Vendor, patience: Patience, spoil: Callable[[bytes], bytes]
) -> None:
    kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS)
    (file,) = [p for p in (tmp_path / "cache").iterdir() if p.read_bytes().endswith(VCEK)]
    file.write_bytes(spoil(file.read_bytes()))
    assert kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS) == VCEK
    assert vendor.asked == [VCEK_PATH, CHAIN_PATH, VCEK_PATH]


@pytest.mark.parametrize(
    ("faults", "waits"),
    [
        ([(429, {"Retry-After": "7"}, b"")], [7]),
        ([(429, {}, b"")] * 3, [10, 10, 10]),
        ([(429, {"Retry-After": "99999"}, b"")], [120]),
        ([(429, {"Retry-After": "tomorrow"}, b"")], [10]),
        ([(500, {}, b"oh"), (503, {}, b"")], [1, 2]),
        ([b""], [1]),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n0\x82"], [1]),
        ([b"nonsense\r\n\r\n"], [1]),
    ],
    ids=["429 for 7 s", "429", "429 for a day", "429 in words", "500", "hangs up", "cut", "not HTTP"],
)
def test_what_passes(tmp_path: Path, vendor: Vendor, patience: Patience, faults: list[Any], waits: list[float]) -> None:
    vendor.faults = list(faults)
    assert kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS) == VCEK
    assert [wait <= waited <= 1.1 * wait for wait, waited in zip(waits, patience.waited, strict=True)] == [True] * len(
        waits
    )
    assert len(patience.said) == len(waits)


@pytest.mark.parametrize(
    ("status", "headers", "code", "times"),
    [
        (429, {}, "endorsement-fetch", 5),
        (500, {}, "endorsement-fetch", 5),
        (404, {}, "endorsement-unknown", 1),
        (403, {}, "endorsement-refused", 1),
        (302, {"Location": "https://elsewhere.example/"}, "endorsement-redirect", 1),
        (301, {"Location": "http://["}, "endorsement-redirect", 1),
        (308, {}, "endorsement-redirect", 1),
    ],
)
def test_what_does_not_pass(
    tmp_path: Path,
    vendor: Vendor,
    patience: Patience,
    status: int,
    headers: dict[str, str],
    code: str,
    times: int,
) -> None:
    vendor.answers[VCEK_PATH] = (status, headers, b"")
    with pytest.raises(UnavailableError) as caught:
        kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS)
    assert (caught.value.code, len(vendor.asked)) == (code, times)


def test_too_much(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    vendor.says(VCEK_PATH, bytes(web.MAX_BODY + 1))
    with pytest.raises(UnavailableError) as caught:
        kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS)
    assert caught.value.code == "endorsement-size"


def test_too_slow(tmp_path: Path, vendor: Vendor, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SILENCE", 0.05)
    vendor.hold.clear()
    with pytest.raises(UnavailableError) as caught:
        kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS)
    assert (caught.value.code, len(patience.waited)) == ("endorsement-fetch", 4)


ENDLESS = {
    "status": Endless(b"", b"H"),
    "100 Continue": Endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a header": Endless(b"HTTP/1.1 200 OK\r\n", b"x"),
    "a body": Endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"),
    "a chunk's size": Endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": Endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"a: b\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_too_slow_in_all(
    tmp_path: Path, vendor: Vendor, patience: Patience, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Never silent, and never whole."""
    monkeypatch.setattr(web, "WHOLE", 0.1)
    monkeypatch.setattr(web, "ATTEMPTS", 2)
    vendor.faults = [ENDLESS[name]] * 2
    with pytest.raises(UnavailableError, match="incomplete after 0 s, 2 times") as caught:
        kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS)
    assert (caught.value.code, len(patience.waited)) == ("endorsement-fetch", 1)


WRONG: dict[str, Callable[[], bytes]] = {
    "another chip": lambda: amd.vcek(chip=bytes(64)),
    "another TCB": lambda: amd.vcek(tcb=bytes(8)),
    "another product": lambda: amd.vcek("Milan"),
    "another certificate": lambda: ASK,
    "a page": lambda: b"<html>who are you?</html>",
    "nothing": bytes,
}


@pytest.mark.parametrize("name", WRONG)
def test_what_was_not_asked_for(tmp_path: Path, vendor: Vendor, patience: Patience, name: str) -> None:
    vendor.says(VCEK_PATH, WRONG[name]())
    with pytest.raises(UnavailableError) as caught:
        kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS)
    assert caught.value.code == "endorsement-wrong"
    vendor.says(VCEK_PATH, VCEK)
    assert kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS) == VCEK  # nothing wrong was kept


@pytest.mark.parametrize("text", ["A", "AAAAA", "MIIB", "A=AA"])
def test_a_chain_that_is_none(tmp_path: Path, vendor: Vendor, patience: Patience, text: str) -> None:
    vendor.says(CHAIN_PATH, f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n".encode())
    with pytest.raises(UnavailableError) as caught:
        kds(tmp_path, vendor, patience).issuers("genoa", "vcek")
    assert caught.value.code == "endorsement-wrong"


def test_another_chain_and_no_list(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    vendor.says(CHAIN_PATH, intel.pem(ARK, ASK).encode())
    vendor.says(CRL_PATH, ARK)
    found = kds(tmp_path, vendor, patience)
    for ask in (found.issuers, found.crl):
        with pytest.raises(UnavailableError) as caught:
            ask("genoa", "vcek")
        assert caught.value.code == "endorsement-wrong"


def test_one_asks_and_all_have_it(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    vendor.hold.clear()
    found: list[bytes] = []

    def ask() -> None:
        found.append(kds(tmp_path, vendor, patience).vcek("genoa", amd.CHIP, PARTS))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    vendor.hold.set()
    for thread in threads:
        thread.join()
    assert (found, vendor.asked) == ([VCEK] * 8, [VCEK_PATH, CHAIN_PATH])


def _in_another_process(path: Path, url: str, sent: Any) -> None:
    found = Kds(Web(url), cache(path)).vcek("genoa", amd.CHIP, PARTS)
    sent.put(len(found))


def test_one_process_asks_and_the_other_has_it(tmp_path: Path, vendor: Vendor) -> None:
    context = multiprocessing.get_context("fork")
    sent = context.Queue()
    both = [context.Process(target=_in_another_process, args=(tmp_path, vendor.url, sent)) for _ in range(2)]
    vendor.hold.clear()
    for process in both:
        process.start()
    vendor.hold.set()
    assert sent.get(timeout=20) == sent.get(timeout=20) == len(VCEK)
    for process in both:
        process.join()
    assert vendor.asked == [VCEK_PATH, CHAIN_PATH]


@pytest.mark.parametrize(
    "url",
    [
        *("", "kds", "ftp://x/", "http://kds.example.com", "https://"),
        *("http://[", "https://[x]", "https://a..b", f"https://{'a' * 300}", "https://h:99999999", "https://h:abc"),
        *("https://h\n", "https://h/ x", "https://h/\x1b", "https://h/\xe9", "https://\xfc", "https://\udcff"),
    ],
)
def test_where_nobody_is_asked(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Web(url)
    assert caught.value.code == "endorsement-url"
    assert caught.value.message.isprintable()


def test_a_name_that_nobody_has(patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any, **__: Any) -> Any:
        raise UnicodeError("label empty or too long")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(UnavailableError):
        Web("https://host", sleep=patience.waited.append).get("/")


@pytest.mark.parametrize(
    ("tee", "kind"),
    [
        pytest.param(intel.SGX, "sgx", marks=pytest.mark.kinds("sgx")),
        pytest.param(intel.TDX, "tdx", marks=pytest.mark.kinds("tdx")),
    ],
)
def test_collateral(tmp_path: Path, vendor: Vendor, patience: Patience, tee: int, kind: str) -> None:
    for _ in range(2):
        data = pcs(tmp_path, vendor, patience).collateral(tee, model(), "platform")
    assert len(vendor.asked) == 4
    roots = Roots(intel=(pin(intel.root()),))
    assert examine(kind, intel.quote(tee), (data,), roots=roots, now=intel.NOW).status == "authentic"
    pcs(tmp_path, vendor, patience, intel.NOW + 1001).collateral(tee, model(), "platform")
    assert len(vendor.asked) == 8


def test_the_roots_list_is_at_another_place(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    vendor.says("/IntelSGXRootCA.der", bytes.fromhex(vendor.answers["/sgx/certification/v4/rootcacrl"][2].decode()))
    found = Pcs(patience.web(vendor), cache(tmp_path), root=patience.web(vendor))
    found.collateral(intel.TDX, model(), "platform")
    assert vendor.asked[-1] == "/IntelSGXRootCA.der"


TCB = f"{PCCS}tcb?fmspc={intel.FMSPC.hex()}"


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (TCB, lambda said: (200, {}, said[2])),
        (TCB, lambda said: (200, said[1], b"<html>")),
        (TCB, lambda said: (200, said[1], b"\xff")),
        (TCB, lambda said: (200, said[1], b"{}")),
        (TCB, lambda said: (200, said[1], said[2].replace(b'"signature": "', b'"signature": 7, "x": "'))),
        (TCB, lambda said: (200, said[1], said[2].replace(b'"nextUpdate"', b'"then"'))),
        (TCB, lambda said: (200, said[1], said[2].replace(intel.FMSPC.hex().encode(), b"00" * 6))),
        (TCB, lambda said: (200, {"TCB-Info-Issuer-Chain": "x"}, said[2])),
        (f"{PCCS}qe/identity", lambda said: (200, said[1], said[2].replace(b"TD_QE", b"QE"))),
        ("/sgx/certification/v4/rootcacrl", lambda said: (200, {}, b"zz")),
        ("/sgx/certification/v4/rootcacrl", lambda said: (200, {}, b"0\x82")),
        ("/sgx/certification/v4/rootcacrl", lambda said: (200, {}, b"\xff")),
    ],
)
def test_what_is_no_collateral(
    tmp_path: Path, vendor: Vendor, patience: Patience, path: str, change: Callable[[Any], Any]
) -> None:
    vendor.answers[path] = change(vendor.answers[path])
    with pytest.raises(UnavailableError) as caught:
        pcs(tmp_path, vendor, patience).collateral(intel.TDX, model(), "platform")
    assert caught.value.code == "endorsement-wrong"


def gathered(kind: str, evidence: bytes, tmp_path: Path, vendor: Vendor, patience: Patience) -> Bundle:
    return gather(
        kind,
        evidence,
        kds=lambda: kds(tmp_path, vendor, patience),
        pcs=lambda: pcs(tmp_path, vendor, patience),
    )


OLD: dict[str, Any] = {"version": 2, "cpuid": None, "launch_mitigations": 0, "current_mitigations": 0}


def snp(**fields: Any) -> bytes:
    return forge_snp.sign(forge_snp.blank(**fields))


@pytest.mark.kinds("sgx", "tdx")
def test_what_evidence_needs(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    roots = Roots(amd=(pin(ARK),), intel=(pin(intel.root()),))
    for kind, evidence in (
        ("snp", snp()),
        ("az-snp-vtpm", azure.evidence()),
        ("sgx", intel.quote(intel.SGX)),
        ("tdx", intel.quote()),
    ):
        found = gathered(kind, evidence, tmp_path, vendor, patience)
        given = read(found.to_bytes()).endorsements
        assert given == tuple(item.data for item in found.items)
        assert examine(kind, evidence, given, roots=roots, now=amd.NOW).status == "authentic"


def test_an_old_report_may_be_of_either_product(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    found = gathered("snp", snp(**OLD), tmp_path, vendor, patience)
    assert [item.what.split(",")[0] for item in found.items[:3]] == ["VCEK genoa", "ASK genoa", "ARK genoa"]
    assert vendor.asked[0].startswith("/vcek/v1/Milan/")
    vendor.faults = [(403, {}, b"")]
    with pytest.raises(UnavailableError):
        gathered(
            "snp",
            snp(**OLD),
            tmp_path / "other",
            vendor,
            patience,
        )


def test_a_vlek_comes_from_the_host(tmp_path: Path, vendor: Vendor, patience: Patience) -> None:
    vendor.says("/vlek/v1/Genoa/cert_chain", intel.pem(amd.ask(vlek=True), ARK).encode())
    vendor.says("/vlek/v1/Genoa/crl", CRL)
    found = gathered("snp", snp(flags=1 << 2), tmp_path, vendor, patience)
    assert [item.what.split(" ")[0] for item in found.items] == ["ASVK", "ARK", "revocation"]


@pytest.mark.parametrize(
    ("kind", "evidence"),
    [
        ("snp", lambda: snp(flags=7 << 2)),
        ("snp", lambda: snp(chip_id=bytes(64))),
        ("nitro", bytes),
        ("other", bytes),
        ("tdx", lambda: intel.quote(chain=(intel.pck(),))),
        ("tdx", lambda: intel.quote(chain=(intel.pck(), intel.root(), intel.root()))),
    ],
)
def test_what_nothing_is_fetched_for(
    tmp_path: Path, vendor: Vendor, patience: Patience, kind: str, evidence: Callable[[], bytes]
) -> None:
    with pytest.raises(UsageError):
        gathered(kind, evidence(), tmp_path, vendor, patience)
    assert vendor.asked == []


def test_what_each_is() -> None:
    said = {
        "VCEK genoa": VCEK,
        "VLEK genoa": amd.vcek(csp="cloud"),
        "ARK genoa": ARK,
        "revocation list of": CRL,
        "collateral TDX": intel.collateral(),
        "certificate CN=Intel SGX PCK Platform CA": intel.platform(),
        "malformed": b"{}",
        "unknown": b"what?",
    }
    for what, data in said.items():
        assert described(data, "").what.startswith(what)


MALFORMED = "malformed: a name or a date"


@pytest.mark.parametrize(("data", "what"), [(ARK, MALFORMED), (intel.platform(), MALFORMED), (CRL, "unknown")])
def test_a_name_that_is_malformed(data: bytes, what: str) -> None:
    """`cryptography` reads the names of certificates late."""
    for name in (b"ARK-Genoa", b"Intel SGX PCK Platform CA"):
        while (at := data.find(b"\x0c" + bytes([len(name)]) + name)) >= 0:
            data = data[:at] + b"\x07" + data[at + 1 :]  # a type of text that no name has
    assert described(data, "").what == what


def test_a_bundle_comes_back() -> None:
    found = Bundle(
        items=(Item(what="a", source="b", until=None, data=b"c"), Item(what="", source="", until=7, data=b""))
    )
    value = json.loads(found.to_bytes())
    assert Bundle.from_value(value) == found


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"version": 2, "items": []},
        {"version": 1, "items": {}},
        {"version": 1, "items": [7]},
        {"version": 1, "items": [{}] * 5000},
        {"version": 1, "items": [{"what": "", "source": "", "until": "x", "data": ""}]},
        {"version": 1, "items": [{"what": "", "source": "", "until": None, "data": "*"}]},
        {"version": 1, "items": [{"what": "", "source": "", "until": None, "data": "\xe9"}]},
    ],
)
def test_what_is_no_bundle(value: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        Bundle.from_value(value)
    with pytest.raises(ParseError):
        read(json.dumps({"enarx": "endorsements"} | value).encode())
