"""Endorsements that a verdict does not rest on: each is named, with the reason."""

from __future__ import annotations

from collections.abc import Callable

from enarx.verify.certificates import load
from enarx.verify.result import Endorsements, Unused
from enarx.verify.revocation import List, read_list


def unused(given: Endorsements, used: set[bytes], why: Callable[[bytes], str]) -> tuple[Unused, ...]:
    """All of the given ones that are not among the used ones, unless `why` has no reason for one."""
    left = [(place, der) for place, der in enumerate(given) if der not in used]
    return tuple([Unused(place, reason) for place, der in left if (reason := why(der))])


def generally(der: bytes) -> str:
    """Why an endorsement is not used, where its form says enough."""
    if der.lstrip()[:1] == b"{":
        return "JSON that evidence of this kind does not need"
    if load(der) is not None:
        return "a certificate that the chain does not need"
    found = read_list(der)
    return "a revocation list that evidence of this kind is not held against" if isinstance(found, List) else MALFORMED


MALFORMED = "malformed: neither a certificate nor a revocation list that can be read"
