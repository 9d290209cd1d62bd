"""Real evidence of this kind."""

from __future__ import annotations

from tests.verify.real import SOLANA, Real

REAL = Real(
    real=(
        ("az-tdx-vtpm/trustee/evidence-v0.json", [SOLANA], "2025-07-20", "tcb-status"),
        ("az-tdx-vtpm/trustee/evidence-v1.json", [SOLANA], "2025-07-20", "tcb-status"),
    ),
    more=(
        (
            "az-tdx-vtpm/flashbots-azure-tdx-with-ak-intermediates-1780922561/evidence.json",
            ("az-tdx-vtpm/flashbots-azure-tdx-with-ak-intermediates-1780922561/collateral.json",),
            "2026-06-08T12:42:41Z",
            0,
        ),
        (
            "az-tdx-vtpm/flashbots-azure-tdx-1764662251380464271/evidence.json",
            ("az-tdx-vtpm/flashbots-azure-tdx-1764662251380464271/collateral.json",),
            "2026-02-18T14:00:00Z",
            0,
        ),
    ),
)
