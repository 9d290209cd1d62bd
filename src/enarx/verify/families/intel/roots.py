"""The Intel SGX Root CA: it certifies machines, and the signers of collateral, for SGX and TDX."""

from __future__ import annotations

from enarx.verify.roots import PIN, RootSet

INTEL = RootSet(
    name="intel",
    form=PIN,
    public=(bytes.fromhex("44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"),),
)
