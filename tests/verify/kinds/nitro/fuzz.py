"""What is fuzzed of this kind."""

from __future__ import annotations

import hashlib

from enarx.verify import Roots
from tests.forge import aws
from tests.fuzz.target import Target, judged

ROOTS = Roots(aws=(hashlib.sha256(aws.root()).digest(),))

TARGETS = {"nitro": Target(judged("nitro", ROOTS), (aws.document(), aws.document(tagged=True)))}
SIGNATURES = ("kinds.nitro.examine.p384_signed",)
