"""The evidence of each kind of TEE: bytes to frozen types, exact and strict. One package for each kind, plus shared families.

Nothing here verifies a signature. Evidence does not say which kind it is of: the caller says so, and a policy allows it.
"""

from __future__ import annotations

from typing import Protocol, Self


class Evidence(Protocol):
    """What parsed evidence of most kinds offers."""

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers, as received."""
        ...

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse evidence. ParseError for anything but the format."""
        ...

    def to_bytes(self) -> bytes:
        """The bytes that the evidence was parsed from."""
        ...
