"""The synchronous API for further owners of data: what `data` describes, done at once in the caller's thread."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from enarx.api import data
from enarx.api.data import Call

__all__ = ["contribute", "preview", "receive"]

P = ParamSpec("P")
T = TypeVar("T")


def _made(description: Callable[P, Call[T]]) -> Callable[P, T]:
    @functools.wraps(description)
    def make(*args: P.args, **kwargs: P.kwargs) -> T:
        return description(*args, **kwargs).make()

    return make


preview = _made(data.preview)
contribute = _made(data.contribute)
receive = _made(data.receive)
