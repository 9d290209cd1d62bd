"""Real evidence of this kind."""

from __future__ import annotations

from tests.verify.real import LUNAL, SOLANA, Real

LUNAL_V5 = ("tdx/go-tdx-guest-v5", [LUNAL], "2026-04-01T00:00:00Z")

REAL = Real(
    real=(
        ("tdx/dcap-qvl", ["collateral/assembled/own-tdx_dcap-qvl.json"], "2025-07-01", ""),
        ("tdx/go-tdx-guest-v5", [LUNAL], "2026-04-01", ""),
        ("tdx/automata-v4", [SOLANA], "2025-07-20", "tcb-status"),
        ("tdx/trustee-4", ["collateral/assembled/go2023-50806f.json"], "2023-07-01", "debug"),
    ),
    negatives={
        **{
            f"tdx/neg-{name}": (LUNAL_V5, {"evidence": f"tdx/neg-{name}"})
            for name in ("bitflip", "truncated", "trailing")
        },
    },
    more=(
        ("tdx/near-mpc-20260813/quote.bin", ("tdx/near-mpc-20260813/collateral.json",), "2026-09-01T00:00:00Z", 0),
        ("tdx/near-mpc-20260813/quote.bin", ("tdx/near-mpc-20260813/collateral.json",), "2026-09-11T23:57:12Z", 126),
        (
            "tdx/flashbots-gcp-20260630/quote.bin",
            ("tdx/flashbots-gcp-20260630/collateral.json",),
            "2026-06-30T12:00:00Z",
            0,
        ),
        (
            "tdx/flashbots-dcap-20251218/quote.bin",
            ("tdx/flashbots-dcap-20251218/collateral.json",),
            "2026-01-27T10:19:01Z",
            0,
        ),
        (
            "tdx/flashbots-azure-failed10/quote.bin",
            ("tdx/flashbots-azure-failed10/collateral.json",),
            "2026-02-18T11:29:16Z",
            126,
        ),
        ("tdx/teekit-azure/quote.bin", ("@" + SOLANA,), "2025-07-20T00:00:00Z", 0),
        ("tdx/teekit-gcp/quote.bin", ("@" + SOLANA,), "2025-07-20T00:00:00Z", 0),
        ("tdx/teekit-gcp-no-nonce/quote.bin", ("@" + SOLANA,), "2025-07-20T00:00:00Z", 0),
    ),
    fails={
        "tdx/near-mpc-20260813/quote.bin@2026-09-11T23:57:12Z": ("validity",),
        "tdx/flashbots-azure-failed10/quote.bin@2026-02-18T11:29:16Z": ("tcb-level", "current-tcb-level"),
    },
)
