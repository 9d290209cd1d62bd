"""The root of AWS Nitro Enclaves."""

from __future__ import annotations

from enarx.verify.roots import PIN, RootSet

AWS = RootSet(
    name="aws",
    form=PIN,
    public=(
        bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"),
    ),  # aws.nitro-enclaves, G1
)
