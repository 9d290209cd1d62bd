"""Registers that are extended: PCRs and RTMRs begin as zeros, and each digest is hashed behind what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from enarx.record import record


@record(kw_only=False)
class Event:
    """One extension: of what, and the digest."""

    what: str
    digest: bytes


def digest(data: bytes, bank: str = "sha384") -> bytes:
    """The digest of data in a bank."""
    return hashlib.new(bank, data).digest()


def extend(value: bytes, digest: bytes, bank: str = "sha384") -> bytes:
    """The register after one more extension."""
    return hashlib.new(bank, value + digest).digest()


def zeros(bank: str = "sha384") -> bytes:
    """A register before the first extension."""
    return bytes(hashlib.new(bank).digest_size)


def register(events: Iterable[Event], bank: str = "sha384") -> bytes:
    """The register that these events lead to."""
    value = zeros(bank)
    for event in events:
        value = extend(value, event.digest, bank)
    return value
