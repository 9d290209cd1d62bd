"""Real evidence of this kind."""

from __future__ import annotations

from tests.verify.real import AUTOMATA, Real

REAL = Real(
    real=(
        ("sgx/dcap-qvl", ["collateral/assembled/own-sgx_dcap-qvl.json"], "2025-07-01", "tcb-status"),
        ("sgx/automata-v3", [AUTOMATA], "2025-08-20", ""),
        ("sgx/trustee-occlum", [AUTOMATA], "2025-08-20", "debug"),
    ),
)
