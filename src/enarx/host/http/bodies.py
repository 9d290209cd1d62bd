"""Bodies of requests, which have to come: nobody holds a place by sending nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from enarx.host.errors import HostError
from enarx.host.http.limits import Limits

MAX_JSON = 64 << 10


class Timed:
    """The pieces of a body. Only the time counts in which they are waited for, so a Keep that takes them slowly costs nothing.

    HostError slow once that is more than the limits' `body_seconds` and what the bytes so far take at `body_rate`.
    """

    def __init__(self, pieces: AsyncIterator[bytes], limits: Limits) -> None:
        self._pieces, self._rate = pieces, limits.body_rate
        self._left = limits.body_seconds

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._left):
                piece = await anext(self._pieces)
        except TimeoutError:
            raise HostError(
                "slow", "the body does not come", hint="send it at once, or in requests of its own"
            ) from None
        self._left += len(piece) / self._rate - (time.monotonic() - begun)
        return piece


async def read_json(pieces: AsyncIterator[bytes]) -> dict[str, Any]:
    """The object that is the whole of a body. HostError."""
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > MAX_JSON:
            raise HostError("too-large", f"a body over {MAX_JSON} bytes")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HostError("usage", "wanted a JSON object")
    return value
