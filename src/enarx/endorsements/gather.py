"""Fetch from its vendor what endorses a piece of evidence.

The kind says what to ask for (`Kind.request`, pure). Here each request goes to the service that answers it.
"""

from __future__ import annotations

from collections.abc import Callable

from enarx.endorsements.amd import Kds
from enarx.endorsements.describe import described
from enarx.endorsements.intel import Pcs
from enarx.errors import UnavailableError, UsageError
from enarx.formats.bundle import Bundle, Item
from enarx.verify.families import amd
from enarx.verify.kinds import KINDS, find


def gather(kind: str, evidence: bytes, *, kds: Callable[[], Kds], pcs: Callable[[], Pcs]) -> Bundle:
    """Everything that verifying this evidence needs and its vendor has. ParseError, UsageError, UnavailableError."""
    request = find(kind).request if kind in KINDS else None
    if request is None:
        why = find(kind).unendorsed if kind in KINDS else "not a kind of evidence"
        raise UsageError("endorsements-kind", f"nothing is fetched for evidence of kind {kind[:40]}: {why}")
    wanted = request(evidence)
    if isinstance(wanted, amd.Request):
        return Bundle(items=_amd(kds(), wanted))
    collateral = pcs().collateral(wanted.tee, wanted.machine, wanted.authority)
    return Bundle(items=(described(collateral, "Intel PCS"),))


def _amd(kds: Kds, wanted: amd.Request) -> tuple[Item, ...]:
    product, own = wanted.tcbs[0][0], tuple[bytes, ...]()
    if wanted.role == "vcek":  # a VLEK's certificate is the host's to pass on
        product, vcek = _vcek(kds, wanted)
        own = (vcek,)
    pieces = (*own, *kds.issuers(product, wanted.role), kds.crl(product, wanted.role))
    return tuple(described(piece, "AMD KDS") for piece in pieces)


def _vcek(kds: Kds, wanted: amd.Request) -> tuple[str, bytes]:
    """The certificate from the first product that has one for this chip."""
    *others, (last, parts) = wanted.tcbs
    for product, tcb in others:
        try:
            return product, kds.vcek(product, wanted.chip, tcb)
        except UnavailableError as e:
            if e.code != "endorsement-unknown":
                raise
    return last, kds.vcek(last, wanted.chip, parts)
