"""Endorsements that a verdict does not rest on, each with the reason: none is dropped in silence."""

from __future__ import annotations

from collections.abc import Callable

from enarx.verify.certificates import load
from enarx.verify.result import Endorsements, Unused
from enarx.verify.revocation import List, read_list


def unused(given: Endorsements, used: set[bytes], why: Callable[[bytes], str]) -> tuple[Unused, ...]:
    """The endorsements that were not used, by their place; those for which `why` returns no reason are left out."""
    left = [(place, der) for place, der in enumerate(given) if der not in used]
    return tuple([Unused(place, reason) for place, der in left if (reason := why(der))])


def generally(der: bytes) -> str:
    """Why an endorsement is not used, by its format alone."""
    if der.lstrip()[:1] == b"{":
        return "JSON that evidence of this kind does not need"
    if load(der) is not None:
        return "a certificate that the chain does not need"
    parsed = read_list(der)
    return "a revocation list that evidence of this kind does not need" if isinstance(parsed, List) else MALFORMED


MALFORMED = "malformed: neither a certificate nor a revocation list"
