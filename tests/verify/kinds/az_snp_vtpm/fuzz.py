"""What is fuzzed of this kind."""

from __future__ import annotations

from tests.forge import azure
from tests.fuzz.target import Target, judged
from tests.verify.kinds.snp.fuzz import AMD, ROOTS

TARGETS = {"az-snp": Target(judged("az-snp-vtpm", ROOTS, *AMD), (azure.evidence(),))}
SIGNATURES = ("families.azure._signed",)
