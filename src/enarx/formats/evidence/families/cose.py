"""COSE_Sign1 (RFC 9052, 4.2) in strict CBOR (RFC 8949). Ambiguous CBOR that cbor2 accepts is refused before cbor2 sees it."""

from __future__ import annotations

from typing import Any

import cbor2

from enarx.errors import ParseError
from enarx.formats import cbor
from enarx.record import record

SIGN1_TAG = 18
MAX_DEPTH = 13
MAX_ITEMS = 4096
ALGORITHMS = {-7: "ES256", -35: "ES384", -36: "ES512"}
"""The accepted COSE algorithms, by number (RFC 9053, 2.1)."""


@record()
class Sign1:
    """A signed message, as received. `algorithm` is one of ALGORITHMS; `signature` is r | s."""

    protected: bytes
    algorithm: str
    payload: bytes
    signature: bytes

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers: the Sig_structure (RFC 9052, 4.4) without external data."""
        return cbor2.dumps(["Signature1", self.protected, b"", self.payload])


def sign1(data: bytes, what: str, *, more: frozenset[int] = frozenset(), variant: bool = False) -> Sign1:
    """Parse a message, tagged or not. ParseError unless its protected header has an accepted algorithm.

    `more` are further parameters that either header may have; they are ignored. `variant` is as for `decode`.
    """
    value = decode(data, what, tags=frozenset((SIGN1_TAG,)), variant=variant)
    if isinstance(value, cbor2.CBORTag):
        value = value.value
    match value:
        case [bytes(protected), dict(header), bytes(payload), bytes(signature)] if set(header) <= more:
            inner = decode(protected, what, variant=variant)
            known = isinstance(inner, dict) and {1} <= set(inner) <= {1, *more} and type(inner[1]) is int
            if not known or inner[1] not in ALGORITHMS:
                raise ParseError(
                    "cose-algorithm", "protected header: wanted algorithm ES256, ES384 or ES512", what=what
                )
            return Sign1(protected=protected, algorithm=ALGORITHMS[inner[1]], payload=payload, signature=signature)
    raise ParseError("cose-form", "not a COSE_Sign1 with the allowed headers", what=what)


def decode(data: bytes, what: str, *, tags: frozenset[int] = frozenset(), variant: bool = False) -> Any:
    """Decode one item: no trailing bytes, duplicate keys, floats, tags other than these, missing bytes, or deep nesting.

    With `variant`, numbers may be longer than necessary and floats may occur. Some formats require readers to accept that.
    """
    form = cbor.Form(depth=MAX_DEPTH, items=MAX_ITEMS, strict=False, tags=tags, variant=variant)
    return _thawed(cbor.decode(data, what, form))


def _thawed(value: Any) -> Any:
    """Plain lists and dicts in place of the frozen ones that cbor2 returns within tags."""
    if isinstance(value, cbor2.CBORTag):
        return cbor2.CBORTag(value.tag, _thawed(value.value))
    if isinstance(value, (list, tuple)):
        return [_thawed(item) for item in value]
    if hasattr(value, "items"):
        return {key: _thawed(item) for key, item in value.items()}
    return value
