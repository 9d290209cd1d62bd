"""Nitro images read, written, signed and measured; SGX measurements by Intel's manual, and signature structures."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import EnarxError, ParseError, UsageError, VerificationError
from enarx.formats.launch import eif
from enarx.formats.launch.eif import Eif
from enarx.formats.launch.enclave import Enclave
from enarx.formats.launch.sigstruct import SigStruct
from enarx.image.launch import nitro, sgx
from enarx.record import replace
from tests.forge import launch as forge
from tests.image.launch.conftest import Run

IMAGES = (0, 1, 2)


@pytest.mark.parametrize("i", IMAGES)
def test_images_and_their_registers(vectors: Path, measured: Run, i: int) -> None:
    folder = vectors / "nitro" / "synthetic"
    row = json.loads((folder / "expected.json").read_text())[i]
    data = (folder / row["file"]).read_bytes()
    read = Eif.from_bytes(data)
    assert read.to_bytes() == data
    assert eif.checksum(data) == int(row["crc"], 16)
    found = measured("--kind", "nitro", "--eif", folder / row["file"])
    expected = {name.lower(): value for name, value in row.items() if name.startswith("PCR")}
    assert {name: value for name, value in found.items() if name.startswith("pcr")} == expected
    assert found.get("signature") == ("verified" if "PCR8" in row else None)


def test_an_image_of_its_parts(vectors: Path, tmp_path: Path, measured: Run) -> None:
    folder = vectors / "nitro" / "synthetic"
    row = json.loads((folder / "expected.json").read_text())[2]
    line = (folder / "cmdline.txt").read_bytes().decode()
    options = [
        "--kind",
        "nitro",
        "--kernel",
        folder / "kernel.bin",
        "--append",
        line,
        "--certificate",
        folder / "signer.pem",
    ]
    options += ["--initrd", folder / "ramdisk0.bin", "--initrd", folder / "ramdisk1.bin"]
    found = measured(*options, "-o", tmp_path / "made.eif")
    assert {f"pcr{n}": row[f"PCR{n}"] for n in (0, 1, 2, 8)}.items() <= found.items()
    again = measured("--kind", "nitro", "--eif", tmp_path / "made.eif")
    assert (again["pcr0"], again.get("pcr8")) == (row["PCR0"], None)


def test_command_lines_of_aws(vectors: Path) -> None:
    """A command line goes in as it stands in the file, without a NUL."""
    for name in ("x86_64_cmdline", "aarch64_cmdline"):
        line = (vectors / "nitro" / "aws-blobs" / name).read_bytes()
        inner = hashlib.sha384(b"kernel" + line + b"ram").digest()
        assert nitro.whole(b"kernel", line, (b"ram",)) == hashlib.sha384(bytes(48) + inner).digest()


def test_a_signed_image_is_written_and_read(tmp_path: Path, measured: Run, refused: Any) -> None:
    (tmp_path / "plain.eif").write_bytes(forge.image().to_bytes())
    (tmp_path / "cert.pem").write_bytes(forge.certificate())
    (tmp_path / "key.pem").write_bytes(forge.pem(forge.signing_key()))
    keys = ["--certificate", tmp_path / "cert.pem", "--signing-key", tmp_path / "key.pem"]
    found = measured("--kind", "nitro", "--eif", tmp_path / "plain.eif", *keys, "-o", tmp_path / "signed.eif")
    assert found["signature"] == "verified"
    assert measured("--kind", "nitro", "--eif", tmp_path / "signed.eif") == found
    words = ["measure", "--kind", "nitro", "--eif", tmp_path / "plain.eif"]
    assert refused(*words, *keys, "-o", tmp_path / "signed.eif") == (125, "file")
    assert refused(*words, "--signing-key", tmp_path / "key.pem") == (125, "image-option")
    assert refused(*words, *words[3:]) == (125, "image-option")
    assert refused("measure", "--kind", "nitro") == (125, "image-option")
    assert refused("measure", "--kind", "nitro", "--kernel", tmp_path / "key.pem") == (125, "image-option")


SIGNED = nitro.sign(forge.image(), forge.certificate(), forge.signing_key())


@pytest.mark.parametrize("field", ["kernel", "cmdline", "ramdisks"])
def test_a_signed_image_that_was_changed(field: str) -> None:
    nitro.verify(SIGNED)
    value = (b"other",) if field == "ramdisks" else b"other"
    order = eif.sections(1, metadata=True, signature=True) if field == "ramdisks" else SIGNED.order
    with pytest.raises(VerificationError) as e:
        nitro.verify(replace(SIGNED, **{field: value, "order": order}))
    assert e.value.code == "eif-signature"


def test_a_signature_section_of_byte_strings() -> None:
    """As some write it, in place of arrays of integers."""
    pem, message = forge.certificate(), cbor2.loads(SIGNED.signature)[0]["signature"]
    section = cbor2.dumps([{"signing_certificate": pem, "signature": bytes(message)}])
    nitro.verify(replace(SIGNED, signature=section))


def test_signing_again_replaces_the_signature() -> None:
    again = nitro.sign(SIGNED, forge.certificate("other"), forge.signing_key("other"))
    nitro.verify(Eif.from_bytes(again.to_bytes()))
    assert again.order == SIGNED.order
    assert nitro.pcrs(again)[8] != nitro.pcrs(SIGNED)[8]


def test_signatures_that_do_not_hold() -> None:
    pem, message = eif.signatures(SIGNED.signature)[0]
    with pytest.raises(VerificationError):
        nitro.verify(forge.image())
    for entry in (
        (forge.certificate("other"), message_bytes(message.payload, message.signature)),
        (pem, message_bytes(message.payload, bytes(96))),
        (pem, message_bytes(eif.register_payload(1, nitro.pcrs(SIGNED)[0]), message.signature)),
        (pem, message_bytes(message.payload, message.signature, algorithm=-7)),
    ):
        with pytest.raises(VerificationError):
            nitro.verify(replace(SIGNED, signature=eif.signature_section((entry,))))
    with pytest.raises(UsageError):
        nitro.sign(SIGNED, pem, forge.signing_key("other"))
    with pytest.raises(UsageError):
        nitro.sign(SIGNED, pem, ec.generate_private_key(ec.SECP256R1()))


def message_bytes(payload: bytes, signature: bytes, *, algorithm: int = -35) -> bytes:
    return cbor2.dumps([cbor2.dumps({1: algorithm}), {}, payload, signature])


def unknown_key() -> bytes:
    """A certificate whose key is on no curve that is known."""
    der = base64.b64decode("".join(forge.certificate().decode().splitlines()[1:-1]))
    curve = bytes.fromhex("06052b81040022")  # secp384r1, in signature algorithm and key
    at = der.rindex(curve)
    text = base64.encodebytes(der[:at] + bytes.fromhex("06052b8104007f") + der[at + 7 :]).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()


GOOD = message_bytes(eif.register_payload(0, bytes(48)), bytes(96))


@pytest.mark.parametrize(
    "section",
    [
        cbor2.dumps([]),
        cbor2.dumps({}),
        cbor2.dumps([{"signature": []}]),
        cbor2.dumps([{"signing_certificate": [], "signature": [256]}]),
        cbor2.dumps([{"signing_certificate": [True], "signature": list(GOOD)}]),
        cbor2.dumps([{"signing_certificate": 1, "signature": list(GOOD)}]),
        eif.signature_section(((b"no certificate", GOOD),)),
        eif.signature_section(((unknown_key(), message_bytes(eif.register_payload(0, nitro.pcrs(SIGNED)[0]), b"")),)),
        eif.signature_section(((forge.certificate(), message_bytes(b"", b"")),)),
        eif.signature_section(((forge.certificate(), message_bytes(cbor2.dumps({"register_index": 0}), b"")),)),
        eif.signature_section(((forge.certificate(), message_bytes(cbor2.dumps([1]), b"")),)),
        b"\x9f",
    ],
)
def test_a_signature_section_that_is_none(section: bytes) -> None:
    with pytest.raises(ParseError):
        nitro.verify(replace(SIGNED, signature=section))


PLAIN = forge.image().to_bytes()


def sealed(data: bytes) -> bytes:
    """With a CRC that holds."""
    return data[:544] + eif.checksum(data).to_bytes(4, "big") + data[548:]


def other(**changes: Any) -> bytes:
    return forge.image(**changes).to_bytes()


@pytest.mark.parametrize(
    ("data", "code"),
    {
        "empty": (b"", "eif-cut"),
        "magic": (b"x" + PLAIN[1:], "eif-version"),
        "version": (sealed(PLAIN[:5] + b"\3" + PLAIN[6:]), "eif-version"),
        "flags": (sealed(PLAIN[:7] + b"\2" + PLAIN[8:]), "eif-header"),
        "no sections": (sealed(PLAIN[:27] + b"\0" + PLAIN[28:548]), "eif-header"),
        "too many": (sealed(PLAIN[:27] + b"\x21" + PLAIN[28:]), "eif-header"),
        "fewer than there are": (sealed(PLAIN[:27] + b"\1" + PLAIN[28:]), "eif-trailing"),
        "more than there are": (sealed(PLAIN[:27] + b"\6" + PLAIN[28:]), "eif-section"),
        "beyond their number": (sealed(PLAIN[:283] + b"\1" + PLAIN[284:]), "eif-header"),
        "offset": (sealed(PLAIN[:35] + b"\0" + PLAIN[36:]), "eif-section"),
        "length": (sealed(PLAIN[:291] + b"\x05" + PLAIN[292:]), "eif-section"),
        "type": (sealed(PLAIN[:549] + b"\x06" + PLAIN[550:]), "eif-section"),
        "section flags": (sealed(PLAIN[:551] + b"\1" + PLAIN[552:]), "eif-section"),
        "cut": (PLAIN[:-1], "eif-cut"),
        "trailing": (PLAIN + b"x", "eif-trailing"),
        "crc": (PLAIN[:544] + b"\0\0\0\0" + PLAIN[548:], "eif-crc"),
        "content": (PLAIN[:-1] + b"x", "eif-crc"),
        "order": (other(order=(eif.CMDLINE, eif.KERNEL)), "eif-order"),
        "no command line": (other(order=(eif.KERNEL,)), "eif-section"),
        "two kernels": (other(order=(eif.KERNEL, eif.KERNEL, eif.CMDLINE)), "eif-section"),
        "metadata twice": (other(order=(eif.KERNEL, eif.CMDLINE, eif.METADATA, eif.METADATA)), "eif-section"),
    }.values(),
)
def test_an_image_that_is_wrong(data: bytes, code: str) -> None:
    with pytest.raises(ParseError) as e:
        Eif.from_bytes(data)
    assert e.value.code == code


@given(st.data())
def test_changed_images_end_in_errors_of_ours(data: st.DataObject) -> None:
    made = bytearray(data.draw(st.sampled_from((PLAIN, SIGNED.to_bytes()))))
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    try:
        nitro.verify(Eif.from_bytes(sealed(bytes(made))))
    except EnarxError:
        return


def test_records_worked_out_by_hand() -> None:
    """Intel SDM 3D: the 64 bytes of ECREATE, EADD and EEXTEND, byte by byte."""
    create = bytes.fromhex("45435245415445 00 01000000 0000010000000000" + "00" * 44)
    assert sgx.ecreate(1, 0x10000) == create
    add = bytes.fromhex("45414444 00000000 0010000000000000 0502000000000000" + "00" * 40)
    assert sgx.eadd(0x1000, 0x205) == add
    extend = bytes.fromhex("45455854454e44 00 0011000000000000" + "00" * 48)
    assert sgx.eextend(0x1100, bytes(range(256))) == extend + bytes(range(256))
    with pytest.raises(UsageError):
        sgx.eextend(0, b"")


LAYOUT = {
    "size": 65536,
    "ssa_frame_size": 1,
    "pages": [
        {"offset": 0, "type": "tcs", "content": "tcs"},
        {"offset": 4096, "type": "reg", "permissions": "rx", "content": "code"},
        {"offset": 16384, "type": "reg", "permissions": "rw", "count": 2, "measured": False},
    ],
}
CONTENT = {"tcs": b"\1" * 72, "code": b"\x90" * 5000}


def layout(**changes: Any) -> Enclave:
    return Enclave.from_json(json.dumps(LAYOUT | changes).encode(), CONTENT.__getitem__)


def test_an_enclave_by_its_records() -> None:
    sha = hashlib.sha256(sgx.ecreate(1, 65536))
    tcs, code = CONTENT["tcs"].ljust(4096, b"\0"), CONTENT["code"].ljust(8192, b"\0")
    for offset, flags, content in ((0, 0x100, tcs), (4096, 0x205, code[:4096]), (8192, 0x205, code[4096:])):
        sha.update(sgx.eadd(offset, flags))
        for at in range(0, 4096, 256):
            sha.update(sgx.eextend(offset + at, content[at : at + 256]))
    for offset in (16384, 20480):
        sha.update(sgx.eadd(offset, 0x203))
    assert sgx.mr_enclave(layout()) == sha.digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 65537},
        {"size": 0},
        {"size": True},
        {"ssa_frame_size": 0},
        {"pages": {}},
        {"pages": [{"offset": 0, "type": "va"}]},
        {"pages": [{"offset": 0, "type": "reg"}]},
        {"pages": [{"offset": 0, "type": "tcs", "permissions": "rw"}]},
        {"pages": [{"offset": 1, "type": "tcs"}]},
        {"pages": [{"offset": 65536, "type": "tcs"}]},
        {"pages": [{"offset": 0, "type": "tcs"}] * 2},
        {"pages": [{"offset": 0, "type": "tcs", "count": 1 << 40}]},
        {"pages": [{"offset": 4096, "type": "reg", "permissions": "r", "content": "code", "count": 1}]},
        {"pages": [{"offset": 0, "type": "tcs", "measured": 1}]},
        {"pages": [{"offset": 0, "type": "tcs", "more": 1}]},
        {"size": 1 << 40, "pages": [{"offset": i << 30, "type": "tcs", "count": 1 << 18} for i in range(2)]},
        {"more": 1},
    ],
)
def test_a_layout_that_is_wrong(changes: dict[str, Any]) -> None:
    with pytest.raises(ParseError) as e:
        layout(**changes)
    assert e.value.code == "enclave-layout"


@pytest.mark.parametrize("text", [b"", b"x", b"[]", b"[" * 100_000, b'{"size": 1, "size": 1}', b" " * (1 << 21)])
def test_a_layout_that_is_none(text: bytes) -> None:
    with pytest.raises(ParseError):
        Enclave.from_json(text, CONTENT.__getitem__)


def test_a_sigstruct_that_was_signed_elsewhere(vectors: Path, measured: Run) -> None:
    """Its own fields; the signature holds, and so do Q1 and Q2."""
    folder = vectors / "sgx" / "auditee"
    config = (folder / "Enclave.config.xml").read_text()
    found = measured("--kind", "sgx", "--sigstruct", folder / "sigstruct")
    assert f"<ProdID>{found['isv_prod_id']}</ProdID>" in config
    assert f"<ISVSVN>{found['isv_svn']}</ISVSVN>" in config
    read = SigStruct.from_bytes((folder / "sigstruct").read_bytes())
    assert (found["mr_enclave"], found["signature"]) == (read.mr_enclave.hex(), "verified")
    assert found["mr_signer"] == hashlib.sha256((folder / "sigstruct").read_bytes()[128:512]).hexdigest()
    assert (read.misc_select, read.misc_mask) == (0, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("change", "code"),
    {
        "header": ((0, b"\7"), "sigstruct-header"),
        "vendor": ((16, b"\1"), "sigstruct-header"),
        "date": ((20, b"\xaa"), "sigstruct-header"),
        "second header": ((24, b"\2"), "sigstruct-header"),
        "reserved": ((44, b"\1"), "sigstruct-reserved"),
        "exponent": ((512, b"\5"), "sigstruct-exponent"),
        "reserved behind CET": ((910, b"\1"), "sigstruct-reserved"),
        "reserved behind the measurement": ((992, b"\1"), "sigstruct-reserved"),
        "reserved at the end": ((1028, b"\1"), "sigstruct-reserved"),
    }.values(),
)
def test_a_sigstruct_that_is_none(change: tuple[int, bytes], code: str) -> None:
    with pytest.raises(ParseError) as e:
        SigStruct.from_bytes(forge.sigstruct(change=change))
    assert e.value.code == code


@pytest.mark.parametrize("size", [0, 1807, 1809])
def test_a_sigstruct_of_another_size(size: int) -> None:
    with pytest.raises(ParseError):
        SigStruct.from_bytes(forge.sigstruct()[:size].ljust(size, b"\0"))


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (40, "signature"),
        (128, "signature"),
        (511, "signature"),
        (516, "signature"),
        (960, "signature"),
        (1040, "q"),
        (1424, "q"),
    ],
)
def test_a_sigstruct_that_was_changed(at: int, code: str) -> None:
    good = forge.sigstruct()
    sgx.verify(SigStruct.from_bytes(good))
    with pytest.raises(VerificationError) as e:
        sgx.verify(SigStruct.from_bytes(forge.sigstruct(change=(at, bytes([good[at] ^ 0x80])))))
    assert e.value.code == f"sigstruct-{code}"


def test_a_layout_and_its_signature(tmp_path: Path, measured: Run, refused: Any) -> None:
    (tmp_path / "layout.json").write_text(json.dumps(LAYOUT))
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "sig").write_bytes(forge.sigstruct(sgx.mr_enclave(layout())))
    (tmp_path / "other").write_bytes(forge.sigstruct())
    options = ["--kind", "sgx", "--layout", tmp_path / "layout.json", "--sigstruct"]
    found = measured(*options, tmp_path / "sig")
    assert (found["mr_enclave"], found["isv_prod_id"], found["isv_svn"]) == (sgx.mr_enclave(layout()).hex(), 5, 6)
    assert refused("measure", *options, tmp_path / "other") == (125, "sgx-mismatch")
    assert refused("measure", "--kind", "sgx") == (125, "image-option")
