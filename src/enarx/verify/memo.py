"""A memo of a pure function of bytes, bounded in bytes.

Most evidence comes with the same certificates, revocation lists and collateral as the evidence before it. Parsing them and
verifying their signatures once is what makes a verdict cost little more than the one signature of the evidence itself. But
they come from hosts that nobody trusts, and a verifier may run for months, so a memo must not let them fill its memory:

* A call is known by the SHA-256 of each of its bytes arguments. The memo never keeps an argument alive.
* What a call returned is kept as long as the arguments of all kept calls are at most `max_bytes` long together; the calls
  that were used least recently are dropped first. A call whose arguments alone are longer is never kept.

Parsed values take a small multiple of the size of their bytes. All memos of a verifier that loads every kind hold at most
the sum of their `max_bytes` (docs/attestation.md, Memory).

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
"""Bytes that a kept call counts for besides its arguments: its key and its place in the memo."""


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
        key = tuple([_key(arg) for arg in args])
        try:
            value, _ = self._kept[key]
            self._kept.move_to_end(key)
        except KeyError:  # unknown, or dropped by another thread in between
            self.misses += 1
            value = self._function(*args)
            self._keep(key, value, OVERHEAD + sum(map(_size, args)))
        return value

    @property
    def kept_bytes(self) -> int:
        """The size of the arguments of all kept calls, at most `max_bytes`."""
        return sum([size for _, size in list(self._kept.values())])

    def clear(self) -> None:
        """Forget every call."""
        self._kept.clear()

    def _keep(self, key: tuple[Any, ...], value: _T, size: int) -> None:
        if size > self.max_bytes:
            return
        self._kept[key] = value, size
        excess = self.kept_bytes - self.max_bytes
        for oldest, (_, dropped) in list(self._kept.items()):
            if excess <= 0:
                break
            self._kept.pop(oldest, None)
            excess -= dropped


def memo(*, max_bytes: int) -> Callable[[Callable[[*_Ts], _T]], Memo[*_Ts, _T]]:
    """Decorate a pure function with a Memo."""

    def decorate(function: Callable[[*_Ts], _T]) -> Memo[*_Ts, _T]:
        return Memo(function, max_bytes)

    return decorate


def _key(arg: object) -> object:
    if type(arg) is bytes:
        return sha256(arg).digest()
    return tuple([_key(item) for item in arg]) if type(arg) is tuple else arg


def _size(arg: object) -> int:
    if type(arg) is tuple:
        return sum(map(_size, arg))
    return len(arg) if type(arg) is bytes else 0
