"""Real evidence, and what it is to come to; that of each kind stands in `tests/verify/kinds/<kind>/real.py`.

real       vector, endorsements, time at which it is authentic, and the check that a policy to begin with refuses it by: "" is none
           but the measurement and a revocation list that is not there; None is not asked
negatives  of each what it was made from (evidence, endorsements and time at which that is authentic) and the one thing that is
           another
more       vector of the second collection, files beside it (@ in the first collection, + a trust anchor), time, and exit code for
           authenticity alone
fails      of `more` what nobody made to be refused, by vector@time, with the checks that fail: all others hold
"""

from __future__ import annotations

from typing import Any, NamedTuple

MILAN, GENOA, TURIN = "roots/amd/milan-a?k.der", "roots/amd/genoa-a?k.der", "roots/amd/turin-a?k.der"
SOLANA = "collateral/assembled/solana2025-00806f05.json"
LUNAL = "collateral/assembled/lunal2026-90c06f.json"
AUTOMATA = "collateral/assembled/automata0825-00606a.json"
MILAN_BESIDE = ("@roots/amd/milan-ark.der", "@roots/amd/milan-ask.der")

Made = tuple[tuple[str, list[str], str], dict[str, Any]]


class Real(NamedTuple):
    """Real evidence of one kind."""

    real: tuple[tuple[str, list[str], str, Any], ...] = ()
    negatives: dict[str, Made] = {}
    more: tuple[tuple[str, tuple[str, ...], str, int], ...] = ()
    fails: dict[str, tuple[str, ...]] = {}
