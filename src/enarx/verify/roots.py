"""Roots of trust: what a chain of evidence must end in. The caller gives them; the evidence never does.

Each kind declares its own sets of roots (`verify/kinds/<kind>/roots.py`) and pins those that its vendor publishes. A `Roots`
holds the sets that the caller replaces, by name; every other set has its published roots, and a set without any is trusted by
nobody.

    Roots()                           the vendors' published roots
    Roots(amd=(pin,))                 another root for AMD alone
    Roots(cca=(TrustAnchor(key),))    a platform key that the caller knows
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

from enarx.errors import UsageError
from enarx.record import record
from enarx.verify.kinds import KINDS, find

PIN, RAW_KEY, KEY = "pin", "raw key", "key"
"""Forms of a root: SHA-256 of a certificate in DER, an Ed25519 key of 32 bytes, a `TrustAnchor`."""

SIZE = 32
"""Bytes of a pin, and of a raw key."""


@record(kw_only=False)
class TrustAnchor:
    """A public key (DER SubjectPublicKeyInfo) that the caller trusts.

    It has a type of its own so that bytes which arrived with evidence cannot become an anchor by mistake. Only the caller
    makes one, from a key that the caller names.
    """

    key: bytes

    def __post_init__(self) -> None:
        if type(self.key) is not bytes or not self.key:
            raise UsageError("trust-anchor", "a trust anchor is a public key, DER SubjectPublicKeyInfo")


Root: TypeAlias = bytes | TrustAnchor


@record()
class RootSet:
    """Roots that evidence of one or more kinds may end in.

    name    the argument of `Roots` that replaces them
    form    PIN, RAW_KEY or KEY
    public  those that the vendor publishes; empty if there are none, and then the caller has to give some
    user    whether users may add to them with --trust-anchor: keys if the form is KEY, certificates if it is PIN
    """

    name: str
    form: str
    public: tuple[bytes, ...] = ()
    user: bool = False

    def require(self, root: object) -> None:
        """UsageError unless the root has this set's form."""
        if self.form == KEY:
            if type(root) is not TrustAnchor:
                raise UsageError("trust-anchor", f"a root of {self.name} is a TrustAnchor: a key that the caller names")
        elif not isinstance(root, bytes) or len(root) != SIZE:
            if self.form == PIN:
                raise UsageError("root-pin", f"a root of {self.name} is given by its SHA-256, {SIZE} bytes")
            raise UsageError(f"{self.name}-root", f"a {self.name} root is a public key of {SIZE} bytes")


class Roots:
    """The roots that a verifier trusts: for each set the roots given here, else those that its vendor publishes.

    UsageError for the name of no set, and for a root of another form than its set's.
    """

    __slots__ = ("_given",)

    def __init__(self, **given: tuple[Root, ...]) -> None:
        for name, roots in given.items():
            roots_set = _declared(name)
            for root in roots:
                roots_set.require(root)
        self._given = given

    def pins(self, roots: RootSet) -> tuple[bytes, ...]:
        """The pins or raw keys of a set."""
        return tuple(root for root in self._of(roots) if isinstance(root, bytes))

    def keys(self, roots: RootSet) -> tuple[TrustAnchor, ...]:
        """The trust anchors of a set whose form is KEY."""
        return tuple(root for root in self._of(roots) if isinstance(root, TrustAnchor))

    def _of(self, roots: RootSet) -> tuple[Root, ...]:
        return self._given.get(roots.name, roots.public)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roots) and self._given == other._given

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._given)))

    def __repr__(self) -> str:
        return f"Roots({', '.join(f'{name}={roots!r}' for name, roots in self._given.items())})"


@cache
def _declared(name: str) -> RootSet:
    """The set of this name. That of a kind of the same name is found without loading any other kind."""
    for kind in sorted(KINDS, key=lambda kind: kind != name):
        for roots in find(kind).roots:
            if roots.name == name:
                return roots
    raise UsageError("roots", f"no kind of evidence has roots called {ascii(name)[:40]}")
