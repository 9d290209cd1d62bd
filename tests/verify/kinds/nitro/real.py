"""Real evidence of this kind."""

from __future__ import annotations

from tests.verify.real import Real

VERACRUZ = ("../evidence-more/nitro/veracruz", [], "2022-11-09T22:52:00Z")

REAL = Real(
    real=(
        ("nitro/anjuna-sample-prod-doc", [], "evidence", None),
        ("nitro/anjuna-sample-prod-doc-with-publickey", [], "evidence", None),
        ("nitro/brave-initiator", [], "evidence", None),
        ("nitro/brave-responder", [], "evidence", None),
        ("nitro/anjuna-sample-attestation-doc-full", [], "evidence", "debug"),
    ),
    negatives={
        **{
            f"nitro/neg-{name}": (VERACRUZ, {"evidence": f"nitro/neg-{name}"})
            for name in ("pcr0-flipped", "trailing", "truncated")
        },
    },
    more=(("nitrotpm/live-2026-08-13/doc.cbor", (), "2026-08-13T18:00:00Z", 126),),
)
