"""Nitro images: measured, signed and verified."""

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
from enarx.image.launch import nitro
from enarx.record import replace
from tests.forge import launch as forge
from tests.formats.launch.test_eif import PLAIN, sealed
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
    """A command line is measured exactly as in the file, without a NUL."""
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
    """Some programs write byte strings instead of arrays of integers."""
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
    """A certificate whose key is on an unknown curve."""
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


@given(st.data())
def test_changed_images_end_in_errors_of_ours(data: st.DataObject) -> None:
    made = bytearray(data.draw(st.sampled_from((PLAIN, SIGNED.to_bytes()))))
    for _ in range(data.draw(st.integers(1, 4))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    try:
        nitro.verify(Eif.from_bytes(sealed(bytes(made))))
    except EnarxError:
        return
