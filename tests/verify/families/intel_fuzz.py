"""What is fuzzed of Intel's kinds alike."""

from __future__ import annotations

import hashlib

from enarx.verify import Roots
from tests.forge import intel

ROOTS = Roots(intel=(hashlib.sha256(intel.root()).digest(),))
SIGNATURES = ("families.intel.certificates.signed",)
