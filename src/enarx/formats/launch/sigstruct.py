"""SIGSTRUCT, the signature structure of an SGX enclave, little-endian.

Intel SDM, volume 3D, 38.14, table "Layout of Enclave Signature Structure".
"""

from __future__ import annotations

from typing import Self

from enarx.formats.reader import Reader
from enarx.record import record

WHAT = "SIGSTRUCT"
SIZE = 1808
HEADER = bytes.fromhex("06000000e10000000000010000000000")
HEADER2 = bytes.fromhex("01010000600000006000000001000000")
VENDORS = (0, 0x8086)
EXPONENT = 3
KEY = 384
"""Bytes of the modulus, of the signature, and of Q1 and Q2."""


@record(hidden=("signed",))
class SigStruct:
    """A SIGSTRUCT. `date` is yyyymmdd in decimal digits; `modulus`, `signature`, `q1` and `q2` are numbers.

    `signer` has the bytes of the modulus, whose digest is MRSIGNER. `signed` has the bytes that the signature covers.
    """

    vendor: int
    date: str
    sw_defined: int
    modulus: int
    signature: int
    misc_select: int
    misc_mask: int
    cet_attributes: int
    cet_attributes_mask: int
    isv_family_id: bytes
    attributes: bytes
    attribute_mask: bytes
    mr_enclave: bytes
    isv_ext_prod_id: bytes
    isv_prod_id: int
    isv_svn: int
    q1: int
    q2: int
    signer: bytes
    signed: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A SIGSTRUCT of exactly 1808 bytes, reserved bytes zero; ParseError."""
        read = Reader(data, WHAT, code="sigstruct")
        if len(data) != SIZE:
            raise read.error("size", f"{len(data)} bytes, wanted {SIZE}")
        if read.take(16) != HEADER or (vendor := read.number(4)) not in VENDORS:
            raise read.error("header", "unknown header or vendor")
        date = read.take(4)[::-1].hex()
        if not date.isdecimal() or read.take(16) != HEADER2:
            raise read.error("header", "malformed date, or unknown second header")
        sw_defined = read.number(4)
        read.zeros(84)
        signer = read.take(KEY)
        if read.number(4) != EXPONENT:
            raise read.error("exponent", f"wanted {EXPONENT}")
        signature, misc_select, misc_mask, cet, cet_mask = read.numbers(KEY, 4, 4, 1, 1)
        read.zeros(2)
        family, attributes, attribute_mask, mr_enclave = (read.take(size) for size in (16, 16, 16, 32))
        read.zeros(16)
        ext_prod_id, prod_id, svn = read.take(16), read.number(2), read.number(2)
        read.zeros(12)
        q1, q2 = read.numbers(KEY, KEY)
        return cls(
            vendor=vendor,
            date=date,
            sw_defined=sw_defined,
            modulus=int.from_bytes(signer, "little"),
            signature=signature,
            misc_select=misc_select,
            misc_mask=misc_mask,
            cet_attributes=cet,
            cet_attributes_mask=cet_mask,
            isv_family_id=family,
            attributes=attributes,
            attribute_mask=attribute_mask,
            mr_enclave=mr_enclave,
            isv_ext_prod_id=ext_prod_id,
            isv_prod_id=prod_id,
            isv_svn=svn,
            q1=q1,
            q2=q2,
            signer=signer,
            signed=data[:128] + data[900:1028],
        )
