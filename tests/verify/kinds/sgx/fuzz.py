"""What is fuzzed of this kind."""

from __future__ import annotations

from tests.forge import intel
from tests.fuzz.target import Target, judged
from tests.verify.families.intel_fuzz import ROOTS, SIGNATURES

__all__ = ["SIGNATURES", "TARGETS"]

TARGETS = {"sgx": Target(judged("sgx", ROOTS, intel.collateral(intel.SGX)), (intel.quote(intel.SGX),))}
