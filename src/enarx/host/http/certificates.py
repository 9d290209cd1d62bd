"""The one thing that a host takes from a client's certificate, which OpenSSL has verified: its public key."""

from __future__ import annotations

VERSION = 0xA0
PUBLIC_KEY = 5
"""Its place in a TBSCertificate without the optional version."""

Value = tuple[int, bytes, bytes]
"""A DER value: tag, content, and the whole of it."""


def public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of an X.509 certificate, both DER (RFC 5280, 4.1). ValueError."""
    (_, whole, _), *_ = _values(certificate)
    (_, signed, _), *_ = _values(whole)
    fields = [value for tag, _, value in _values(signed) if tag != VERSION]
    if len(fields) <= PUBLIC_KEY:
        raise ValueError("no certificate")
    return fields[PUBLIC_KEY]


def _values(data: bytes) -> list[Value]:
    found, offset = [], 0
    while offset < len(data):
        tag, content, end = _value(data, offset)
        found.append((tag, content, data[offset:end]))
        offset = end
    if not found:
        raise ValueError("no DER")
    return found


def _value(data: bytes, offset: int) -> tuple[int, bytes, int]:
    """Tag and content of the value at `offset`, and where it ends."""
    head = data[offset : offset + 2]
    if len(head) < 2:
        raise ValueError("no DER")
    begin, length = offset + 2, head[1]
    if length & 0x80:
        begin, size = begin + (length & 0x7F), begin
        length = int.from_bytes(data[size:begin], "big")
    if begin + length > len(data):
        raise ValueError("no DER")
    return head[0], data[begin : begin + length], begin + length
