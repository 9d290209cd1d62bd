"""Nitro's nonce may be longer than an EAR's."""

from __future__ import annotations

from enarx.verify import attestation_result
from enarx.verify.ear import ear
from enarx.verify.result import TRUSTED
from tests.verify.test_rules import FORGES, exact
from tests.verify.vectors import NOW


def test_fresh_data_that_fits_no_nonce_is_left_out() -> None:
    given = FORGES["nitro"](nonce=bytes(65))
    result = attestation_result(
        "nitro", given.evidence, (), policy=exact("nitro"), roots=given.roots, report_data=bytes(65), now=NOW
    )
    assert result.status == TRUSTED
    assert "eat_nonce" not in ear(result, build="")
