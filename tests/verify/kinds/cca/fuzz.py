"""What is fuzzed of this kind."""

from __future__ import annotations

from enarx.verify import Roots, TrustAnchor
from tests.forge import arm
from tests.fuzz.target import Target, judged

ROOTS = Roots(cca=(TrustAnchor(arm.spki("platform")),))

TARGETS = {"cca": Target(judged("cca", ROOTS), (arm.token(),))}
SIGNATURES = ("kinds.cca.examine._signed",)
