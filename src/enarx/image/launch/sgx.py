"""MRENCLAVE of an SGX enclave, and the signature of its SIGSTRUCT.

Intel SDM, volume 3D, "ECREATE", "EADD" and "EEXTEND": MRENCLAVE is a SHA-256 over a record of 64 bytes for each operation;
256 bytes of content follow the record of EEXTEND. MRSIGNER is the SHA-256 of the modulus in the SIGSTRUCT.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from enarx.errors import UsageError, VerificationError
from enarx.formats.launch.enclave import CHUNK, PAGE, Enclave, Page
from enarx.formats.launch.sigstruct import KEY, SigStruct

RECORD = 64


def mr_enclave(enclave: Enclave) -> bytes:
    """The measurement of an enclave's pages, 32 bytes."""
    sha = hashlib.sha256(ecreate(enclave.ssa_frame_size, enclave.size))
    for page in enclave.pages:
        for i in range(page.count):
            sha.update(_page(page, i))
    return sha.digest()


def ecreate(ssa_frame_size: int, size: int) -> bytes:
    """The record of ECREATE for the pages of an SSA frame and the bytes of the enclave."""
    return _record(b"ECREATE", ssa_frame_size.to_bytes(4, "little") + size.to_bytes(8, "little"))


def eadd(offset: int, flags: int) -> bytes:
    """The record of EADD for a page's offset and its SECINFO flags; the rest of SECINFO is zero."""
    return _record(b"EADD", offset.to_bytes(8, "little") + flags.to_bytes(8, "little"))


def eextend(offset: int, content: bytes) -> bytes:
    """The record of EEXTEND and the 256 bytes at `offset`; UsageError for another size."""
    if len(content) != CHUNK:
        raise UsageError("eextend", f"{len(content)} bytes, wanted {CHUNK}")
    return _record(b"EEXTEND", offset.to_bytes(8, "little")) + content


def mr_signer(sigstruct: SigStruct) -> bytes:
    """The measurement of the signer's key, 32 bytes."""
    return hashlib.sha256(sigstruct.signer).digest()


def verify(sigstruct: SigStruct) -> None:
    """Require a valid signature, and the Q1 and Q2 that the hardware derives from it; VerificationError."""
    modulus, signature = sigstruct.modulus, sigstruct.signature
    if modulus.bit_length() != 8 * KEY:
        raise VerificationError("sigstruct-signature", f"a key of {modulus.bit_length()} bits, wanted {8 * KEY}")
    try:
        key = rsa.RSAPublicNumbers(3, modulus).public_key()
        key.verify(signature.to_bytes(KEY, "big"), sigstruct.signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError) as e:
        raise VerificationError("sigstruct-signature", "the signature of the SIGSTRUCT is invalid") from e
    q1 = signature * signature // modulus
    q2 = (signature**3 - q1 * signature * modulus) // modulus
    if (sigstruct.q1, sigstruct.q2) != (q1, q2):
        raise VerificationError("sigstruct-q", "Q1 and Q2 do not match the signature, so hardware would refuse it")


def _page(page: Page, i: int) -> bytes:
    offset = page.offset + i * PAGE
    content = page.content[i * PAGE : (i + 1) * PAGE].ljust(PAGE, b"\0") if page.measured else b""
    chunks = (eextend(offset + at, content[at : at + CHUNK]) for at in range(0, len(content), CHUNK))
    return eadd(offset, page.flags) + b"".join(chunks)


def _record(operation: bytes, fields: bytes) -> bytes:
    return (operation.ljust(8, b"\0") + fields).ljust(RECORD, b"\0")
