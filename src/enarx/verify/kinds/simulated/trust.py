"""Simulated evidence: what its rules and claims say in a trustworthiness vector."""

from __future__ import annotations

from enarx.verify.trust import COMMON, Trust

TRUST = Trust(COMMON)
