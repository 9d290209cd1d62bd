"""What is fuzzed of this kind."""

from __future__ import annotations

from tests.forge import intel
from tests.fuzz.target import Target, judged, single
from tests.verify.families.intel_fuzz import ROOTS, SIGNATURES

__all__ = ["SIGNATURES", "TARGETS"]

QUOTE, COLLATERAL = intel.quote(intel.TDX), intel.collateral(intel.TDX)
LISTS = (intel.der(intel.revoked(intel.PLATFORM)), intel.pck())

TARGETS = {
    "tdx": Target(judged("tdx", ROOTS, COLLATERAL), (QUOTE, intel.quote(version=5))),
    "collateral": Target(single("tdx", ROOTS, QUOTE), (COLLATERAL,)),
    "list": Target(single("tdx", ROOTS, QUOTE, COLLATERAL), LISTS),
}
