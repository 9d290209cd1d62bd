"""A memo of a pure function of bytes, bounded in bytes.

Most evidence comes with the same certificates, revocation lists and collateral as the evidence before it. Parsing them and
verifying their signatures only once leaves little more than the one signature of the evidence itself. But they come from hosts
that nobody trusts, and a verifier may run for months, so a memo must not let them fill its memory:

* An entry counts for the bytes of its call's arguments, because parsed values keep them or as much. Together the entries count
  for at most `max_bytes`: those that were used least recently are dropped first, and one that alone counts for more is not kept.
* Arguments of more than 4 KiB, such as lists and collateral, are known by their SHA-256 and not kept alive. An entry with a truth
  value or None does not count for them.

Parsed values take a small multiple of the size of their bytes. docs/attestation.md has the sum of all memos.

    @memo(max_bytes=1 << 20)
    def load(der: bytes) -> x509.Certificate | None: ...
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Generic, TypeVar, TypeVarTuple

_Ts = TypeVarTuple("_Ts")
_T = TypeVar("_T")

OVERHEAD = 256
"""What an entry counts for besides its arguments."""

LONG = 4 << 10
"""Arguments of more bytes are known by their digest; to hash shorter ones would take longer than everything else here."""

_DIGEST = 256
"""Marks a digest: no argument is a tuple that begins with a number."""

_SMALL = (bool, int, type(None))
"""Types of values that keep no part of the arguments."""


class Memo(Generic[*_Ts, _T]):
    """Calls `function` for arguments that the memo does not know. An exception is raised again, and not kept.

    Safe for use by several threads: at worst two of them compute the same value.
    """

    def __init__(self, function: Callable[[*_Ts], _T], max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.misses = 0
        self._function = function
        self._kept: OrderedDict[tuple[Any, ...], tuple[_T, int]] = OrderedDict()

    def __call__(self, *args: *_Ts) -> _T:
        """The value of the function; args are bytes, tuples of bytes, or small hashable values."""
        key: tuple[Any, ...] = args
        for arg in args:
            if type(arg) is tuple or (type(arg) is bytes and len(arg) > LONG):
                key = tuple(map(_key, args))
                break
        try:
            value, _ = self._kept[key]
            self._kept.move_to_end(key)
        except KeyError:  # unknown, or dropped by another thread in between
            self.misses += 1
            value = self._function(*args)
            kept_with_value = 0 if isinstance(value, _SMALL) else _size(args)
            self._keep(key, value, OVERHEAD + max(_size(key), kept_with_value))
        return value

    @property
    def kept_bytes(self) -> int:
        """What all entries count for, at most `max_bytes`."""
        return sum([size for _, size in list(self._kept.values())])

    def clear(self) -> None:
        """Drop the values of all calls."""
        self._kept.clear()

    def _keep(self, key: tuple[Any, ...], value: _T, size: int) -> None:
        if size > self.max_bytes:
            return
        self._kept[key] = value, size
        excess = self.kept_bytes - self.max_bytes
        for oldest, (_, counts) in list(self._kept.items()) if excess > 0 else ():
            if excess > 0:
                self._kept.pop(oldest, None)
                excess -= counts


def memo(*, max_bytes: int) -> Callable[[Callable[[*_Ts], _T]], Memo[*_Ts, _T]]:
    """Decorate a pure function with a Memo."""

    def decorate(function: Callable[[*_Ts], _T]) -> Memo[*_Ts, _T]:
        return Memo(function, max_bytes)

    return decorate


def _key(arg: object) -> object:
    """The argument as it is known by. A digest is marked, as anyone may pass the bytes of a digest as an argument."""
    if type(arg) is bytes:
        return arg if len(arg) <= LONG else (_DIGEST, sha256(arg).digest())
    return tuple([_key(item) for item in arg]) if type(arg) is tuple else arg


def _size(arg: object) -> int:
    if type(arg) is tuple:
        return sum([_size(item) for item in arg])
    return len(arg) if type(arg) is bytes else 0
