"""Real evidence of this kind."""

from __future__ import annotations

from tests.verify.real import GENOA, MILAN, MILAN_BESIDE, TURIN, Real

OAK = ("snp/oak-genoa_oc", ["snp/oak-genoa_oc/vcek.der", GENOA], "2026-06-01T00:00:00Z")

REAL = Real(
    real=(
        ("snp/go-sev-guest-milan", ["vcek.der", MILAN], "2023-06-01", "debug"),
        ("snp/virtee-sev-milan", ["vcek.der", MILAN], "2024-06-01", "reported-tcb"),
        ("snp/trustee-milan", ["vcek.der", MILAN], "2024-06-01", "reported-tcb"),
        ("snp/scitt-caci-20260302", ["vcek.der", GENOA], "2026-06-01", ""),
        ("snp/oak-genoa_oc", ["vcek.der", GENOA], "2026-06-01", ""),
        ("snp/oak-turin_oc", ["vcek.der", TURIN], "2026-06-01", ""),
        ("snp/trustee-vlek", ["vlek.der", "roots/amd/milan-a*.der"], "2025-06-01", "vmpl"),
    ),
    negatives={
        **{
            f"snp/neg-{name}": (OAK, {"evidence": f"snp/neg-{name}"})
            for name in (
                "bitflip-report_data",
                "bitflip-sig",
                "sig-r-upper-garbage",
                "sig-r-zero",
                "truncated",
                "version-99",
            )
        },
        "snp/neg-wrong-vcek": (OAK, {"endorsements": ["snp/neg-wrong-vcek/vcek.der", GENOA]}),
        "snp/neg-milan-vcek-genoa-report": (
            OAK,
            {"endorsements": ["snp/neg-milan-vcek-genoa-report/vcek.der", MILAN, GENOA]},
        ),
        "snp/trustee-milan-invalid-new": (
            ("snp/trustee-milan", ["snp/trustee-milan/vcek.der", MILAN], "2025-06-01T00:00:00Z"),
            {"endorsements": ["snp/trustee-milan-invalid-new/vcek.der", MILAN]},
        ),
        "snp/trustee-vlek": (
            ("snp/trustee-vlek", ["snp/trustee-vlek/vlek.der", "roots/amd/milan-a*.der"], "2025-06-01T00:00:00Z"),
            {"at": "2026-06-01T00:00:00Z"},
        ),
    },
    more=(
        ("snp/cmcp-azure-20260720/report.bin", ("snp/cmcp-azure-20260720/chain.pem",), "2026-08-01T00:00:00Z", 0),
        (
            "snp/virtee-sev-hex-milan/report.bin",
            ("snp/virtee-sev-hex-milan/vcek.der", *MILAN_BESIDE),
            "2025-06-01T00:00:00Z",
            0,
        ),
    ),
)
