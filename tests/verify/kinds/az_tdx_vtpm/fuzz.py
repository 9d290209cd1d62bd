"""What is fuzzed of this kind."""

from __future__ import annotations

import base64
import hashlib

from tests.forge import azure, intel
from tests.fuzz.target import Target, judged
from tests.verify.families.intel_fuzz import ROOTS

BOUND = hashlib.sha256(azure.runtime()).digest().ljust(64, b"\0")
EVIDENCE = azure.evidence(
    azure.hcl(azure.runtime(), bytes(1184), kind=4),
    td_quote=base64.urlsafe_b64encode(intel.quote(body=intel.domain(report_data=(520, BOUND)))).decode(),
)

TARGETS = {"az-tdx": Target(judged("az-tdx-vtpm", ROOTS, intel.collateral(intel.TDX)), (EVIDENCE,))}
SIGNATURES = ("families.azure._signed",)
