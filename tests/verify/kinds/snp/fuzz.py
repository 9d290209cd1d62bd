"""What is fuzzed of this kind."""

from __future__ import annotations

import hashlib

from enarx.formats.evidence.snp import split
from enarx.verify import Roots
from tests.forge import amd, snp
from tests.fuzz.target import Target, endorsed, judged, single

ARK, ASK, VCEK, CRL = AMD = (amd.ark(), amd.ask(), amd.vcek(), amd.crl())
ROOTS = Roots(amd=(hashlib.sha256(ARK).digest(),))
REPORT = snp.sign(snp.blank())
TABLE = amd.table(*AMD[:3])

TARGETS = {
    "snp": Target(judged("snp", ROOTS, *AMD), (REPORT, REPORT + TABLE)),
    "extended": Target(split, (REPORT + TABLE,)),
    "endorsement-file": Target(endorsed("snp", ROOTS, REPORT, *AMD), (VCEK, TABLE, *AMD)),
    "amd-endorsement": Target(single("snp", ROOTS, REPORT, ASK, ARK), AMD),
}
SIGNATURES = ("kinds.snp.examine.p384_signed", "families.amd._pss")
