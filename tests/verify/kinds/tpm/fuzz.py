"""What is fuzzed of this kind."""

from __future__ import annotations

from enarx.verify import Roots, TrustAnchor
from tests.forge import tpm
from tests.fuzz.target import Target, judged

ROOTS = Roots(tpm=(TrustAnchor(tpm.spki(tpm.rsa_key())),))

TARGETS = {"tpm": Target(judged("tpm", ROOTS), (tpm.attestation(),))}
SIGNATURES = ("kinds.tpm.examine._signed",)
