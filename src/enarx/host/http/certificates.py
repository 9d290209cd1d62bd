"""Reads the public key out of a client certificate that OpenSSL has verified. A host needs nothing else of it."""

from __future__ import annotations

VERSION = 0xA0
PUBLIC_KEY = 5
"""Index of the key in a TBSCertificate without its optional version."""

Value = tuple[int, bytes, bytes]
"""A DER value: its tag, its content, and all of its bytes."""


def public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of an X.509 certificate, both in DER (RFC 5280, 4.1). ValueError."""
    (_, whole, _), *_ = _values(certificate)
    (_, signed, _), *_ = _values(whole)
    fields = [value for tag, _, value in _values(signed) if tag != VERSION]
    if len(fields) <= PUBLIC_KEY:
        raise ValueError("not a certificate")
    return fields[PUBLIC_KEY]


def _values(data: bytes) -> list[Value]:
    values, offset = [], 0
    while offset < len(data):
        tag, content, end = _value(data, offset)
        values.append((tag, content, data[offset:end]))
        offset = end
    if not values:
        raise ValueError("not DER")
    return values


def _value(data: bytes, offset: int) -> tuple[int, bytes, int]:
    """Tag and content of the value at `offset`, and where it ends."""
    head = data[offset : offset + 2]
    if len(head) < 2:
        raise ValueError("not DER")
    begin, length = offset + 2, head[1]
    if length & 0x80:
        begin, size = begin + (length & 0x7F), begin
        length = int.from_bytes(data[size:begin], "big")
    if begin + length > len(data):
        raise ValueError("not DER")
    return head[0], data[begin : begin + length], begin + length
