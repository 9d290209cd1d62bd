"""The claims of simulated evidence. They say nothing about hardware, and the trustworthiness vector says so."""

from __future__ import annotations

from enarx.verify.claims import (
    HARDWARE,
    NOT_RECOGNIZED,
    OPAQUE,
    VISIBLE,
    Claims,
    Lowers,
    claim,
    claims_of,
)


@claims_of("simulated")
class SimulatedClaims(Claims):
    """The claims of simulated evidence: those of every kind, with a kind that no hardware has."""

    kind: str = claim(
        "The kind of TEE: none.",
        decides=HARDWARE,
        lowers=(Lowers(HARDWARE, NOT_RECOGNIZED, bool), Lowers(OPAQUE, VISIBLE, bool)),
    )
    debug: bool = claim(
        "Whether the Keep was launched for debugging.", decides=OPAQUE, lowers=(Lowers(OPAQUE, VISIBLE, bool),)
    )
