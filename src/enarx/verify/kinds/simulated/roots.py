"""Roots of simulated hardware: each user has one of their own, and nobody publishes any."""

from __future__ import annotations

from enarx.verify.roots import RAW_KEY, RootSet

SIMULATED_ROOTS = RootSet(name="simulated", form=RAW_KEY)
