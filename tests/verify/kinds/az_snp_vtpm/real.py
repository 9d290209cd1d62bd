"""Real evidence of this kind."""

from __future__ import annotations

from tests.verify.real import GENOA, MILAN, MILAN_BESIDE, Real

REAL = Real(
    real=(
        ("az-snp-vtpm/trustee/evidence-v0.json", [MILAN], "2025-06-01", None),
        ("az-snp-vtpm/trustee/evidence-v1.json", [MILAN], "2025-06-01", None),
        ("az-snp-vtpm/trustee/evidence-v2.json", [MILAN], "2025-06-01", None),
        ("az-snp-vtpm/trustee/evidence-genoa.json", [GENOA], "2025-06-01", None),
    ),
    more=(("az-snp-vtpm/attestation-rs-milan-v3/evidence.json", MILAN_BESIDE, "2026-08-01T00:00:00Z", 0),),
)
