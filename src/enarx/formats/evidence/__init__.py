"""Evidence and endorsements of each kind of TEE: bytes to frozen types, exact and strict. One module for each kind.

A kind is a name, and names are all that the kinds share here. Evidence does not say of itself which kind it is: whoever
reads it has been told, and a policy has allowed it.
"""

from __future__ import annotations

from typing import Protocol, Self


class Evidence(Protocol):
    """What the evidence of every kind has. `signed` is the part that the signature covers, as received."""

    @property
    def signed(self) -> bytes:
        """The bytes under the signature, as received."""
        ...

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse; ParseError on anything but the format."""
        ...

    def to_bytes(self) -> bytes:
        """The bytes that it was parsed from."""
        ...
