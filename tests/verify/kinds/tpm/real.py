"""Real evidence of this kind."""

from __future__ import annotations

from tests.verify.real import Real

REAL = Real(
    real=(
        ("tpm/go-tpm-tools/gce-cos-85-nonce9009.pb", [], "2026-01-01", None),
        ("tpm/go-tpm-tools/gce-cos-85-no-nonce.pb", [], "2026-01-01", None),
    ),
    more=(
        (
            "tpm/cmcp-azure-tl-20260727/attestation.pb",
            ("+tpm/cmcp-azure-tl-20260727/ak.pub",),
            "2026-08-01T00:00:00Z",
            0,
        ),
    ),
)
