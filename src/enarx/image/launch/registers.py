"""PCRs and RTMRs: a register starts as zeros, and each extension hashes its value together with a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from enarx.record import record


@record(kw_only=False)
class Event:
    """One extension: a description of the measured data, and their digest."""

    what: str
    digest: bytes


def digest(data: bytes, bank: str = "sha384") -> bytes:
    """The digest of data with the hash of a bank."""
    return hashlib.new(bank, data).digest()


def extend(value: bytes, digest: bytes, bank: str = "sha384") -> bytes:
    """The value of a register after one more extension."""
    return hashlib.new(bank, value + digest).digest()


def zeros(bank: str = "sha384") -> bytes:
    """The value of a register before its first extension."""
    return bytes(hashlib.new(bank).digest_size)


def register(events: Iterable[Event], bank: str = "sha384") -> bytes:
    """The value of a register after these events."""
    value = zeros(bank)
    for event in events:
        value = extend(value, event.digest, bank)
    return value
