"""What reads the files of a launch, and what measures them: each takes any bytes."""

from __future__ import annotations

import json
from collections.abc import Callable

from enarx.formats.launch.eif import Eif
from enarx.formats.launch.enclave import Enclave
from enarx.formats.launch.firmware import Firmware
from enarx.formats.launch.idblock import IdAuth, IdBlock
from enarx.formats.launch.pe import PeFile
from enarx.formats.launch.published import Published
from enarx.formats.launch.sigstruct import SigStruct
from enarx.image.launch import idblock, kernel, nitro, sgx, snp, tdx, tpm
from enarx.image.launch.authenticode import authenticode
from tests.forge import launch as forge

BLOCK = IdBlock(launch_digest=bytes(48), family_id=bytes(16), image_id=bytes(16), guest_svn=0, policy=idblock.POLICY)
AUTH = idblock.sign(BLOCK, forge.signing_key("id"), forge.signing_key("author"))
IMAGE = forge.image()
LAYOUT = {"size": 65536, "ssa_frame_size": 1, "pages": [{"offset": 0, "type": "tcs", "content": "tcs"}]}
ENTRY = {
    "ovmf_hash": "00" * 48,
    "ovmf_sections": [{"gpa": 4096, "size": 4096, "section_type": 1}],
    "sev_hashes_table_gpa": 0,
    "sev_es_reset_eip": 4096,
    "kernel_hash": "00" * 32,
}


def _snp(data: bytes) -> object:
    read = Firmware.from_bytes(data)
    return snp.measure(read.sev(), snp.firmware_digest(read), None, snp.Processors(count=2, signature=1))


def _eif(data: bytes) -> object:
    read = Eif.from_bytes(data)
    assert read.to_bytes() == data
    return nitro.pcrs(read), nitro.verify(read)


def _auth(data: bytes) -> None:
    read = IdAuth.from_bytes(data)
    assert IdAuth.from_bytes(read.to_bytes()) == read
    idblock.verify(BLOCK, read)


def _block(data: bytes) -> None:
    assert IdBlock.from_bytes(data).to_bytes() == data


LAUNCHES: dict[str, tuple[Callable[[bytes], object], tuple[bytes, ...]]] = {
    "firmware-snp": (_snp, (forge.firmware(),)),
    "firmware-tdx": (lambda data: tdx.mrtd(Firmware.from_bytes(data), order="one-pass"), (forge.firmware(),)),
    "pe": (lambda data: authenticode(PeFile.from_bytes(data)), (forge.kernel(), forge.pe(forge.UKI))),
    "uki": (lambda data: tpm.uki(PeFile.from_bytes(data), bank="sha256"), (forge.pe(forge.UKI),)),
    "setup-header": (lambda data: kernel.patched(data, memory=1 << 30, initrd_size=9), (forge.kernel(),)),
    "eif": (_eif, (IMAGE.to_bytes(), nitro.sign(IMAGE, forge.certificate(), forge.signing_key()).to_bytes())),
    "sigstruct": (lambda data: sgx.verify(SigStruct.from_bytes(data)), (forge.sigstruct(),)),
    "id-block": (_block, (BLOCK.to_bytes(),)),
    "id-auth": (_auth, (AUTH.to_bytes(),)),
    "enclave": (
        lambda data: sgx.mr_enclave(Enclave.from_json(data, lambda name: b"\1" * 99)),
        (json.dumps(LAYOUT).encode(),),
    ),
    "published": (Published.from_json, (json.dumps(ENTRY).encode(),)),
}
"""By name what runs on any bytes, and where mutation starts."""
