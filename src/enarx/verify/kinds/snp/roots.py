"""AMD's root keys (ARK), one for each product."""

from __future__ import annotations

from enarx.verify.roots import PIN, RootSet

AMD = RootSet(
    name="amd",
    form=PIN,
    public=(
        bytes.fromhex("69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"),  # ARK-Milan
        bytes.fromhex("4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"),  # ARK-Genoa
        bytes.fromhex("1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"),  # ARK-Turin
    ),
)
