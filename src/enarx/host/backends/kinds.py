"""What every kind of Keep has."""

from __future__ import annotations

from typing import Protocol


class Backend(Protocol):
    """One kind of Keep."""

    @property
    def kind(self) -> str:
        """Its name."""
        ...

    def probe(self) -> dict[str, str | bool]:
        """`available`, `detail`, and a `remedy` where it is not."""
        ...

    def require(self) -> None:
        """Return if a Keep of this kind can be launched here; HostError no-hardware with the remedy if not."""
