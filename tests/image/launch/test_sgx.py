"""SGX measurements by Intel's manual, and valid and invalid signature structures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from enarx.errors import UsageError, VerificationError
from enarx.formats.launch.sigstruct import SigStruct
from enarx.image.launch import sgx
from tests.forge import launch as forge
from tests.formats.launch.test_enclave import CONTENT, LAYOUT, layout
from tests.image.launch.conftest import Run


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


def test_a_sigstruct_that_was_signed_elsewhere(vectors: Path, measured: Run) -> None:
    """All fields are read, and the signature, Q1 and Q2 are valid."""
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
