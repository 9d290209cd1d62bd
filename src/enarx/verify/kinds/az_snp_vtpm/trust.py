"""Azure's confidential VMs on SEV-SNP: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from enarx.verify.families import azure_trust as azure
from enarx.verify.kinds.snp import trust as snp
from enarx.verify.trust import Trust

TRUST = Trust(snp.RULES | azure.RULES, (*snp.FACTS, *azure.FACTS))
