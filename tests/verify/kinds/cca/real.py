"""Real evidence of this kind."""

from __future__ import annotations

from tests.verify.real import Real

KEYS = "cca/rust-ccatoken-keys/"

REAL = Real(
    real=(
        ("cca/trustee", ["cpak-pub.json"], "2026-01-01", ""),
        ("cca/veraison-tf-rmm", ["cca_platform.pem"], "2026-01-01", ""),
    ),
    more=(
        ("cca/rust-ccatoken-cca-token-02/token.cbor", (f"+{KEYS}ta-02-ok.jwk",), "2026-01-01T00:00:00Z", 0),
        ("cca/rust-ccatoken-cca-token-draft-ffm-00/token.cbor", (f"+{KEYS}ta-tfa.jwk",), "2026-01-01T00:00:00Z", 0),
        ("cca/rust-ccatoken-cca-token-01/token.cbor", (f"+{KEYS}ta.jwk",), "2026-01-01T00:00:00Z", 126),
        ("cca/rust-ccatoken-bug-33-repro/token.cbor", (f"+{KEYS}ta-tfa.jwk",), "2026-01-01T00:00:00Z", 126),
    ),
    fails={
        "cca/rust-ccatoken-cca-token-01/token.cbor@2026-01-01T00:00:00Z": ("platform-signature",),
        "cca/rust-ccatoken-bug-33-repro/token.cbor@2026-01-01T00:00:00Z": ("realm-key-hash",),
    },
)
