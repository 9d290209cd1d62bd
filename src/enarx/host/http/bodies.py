"""Bodies of requests, with deadlines: no client keeps a place by sending nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from enarx.host.errors import HostError
from enarx.host.http.limits import Limits

MAX_JSON = 64 << 10


class Timed:
    """The pieces of a body. Only time spent waiting for the client counts, so a Keep that reads slowly costs it nothing.

    HostError `slow` once that exceeds `body_seconds` plus the time that the bytes so far take at `body_rate`.
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
                "slow", "the body does not arrive", hint="send it at once, or in several requests"
            ) from None
        self._left += len(piece) / self._rate - (time.monotonic() - begun)
        return piece


async def read_body(pieces: AsyncIterator[bytes]) -> bytes:
    """A whole JSON body. HostError `too-large`."""
    body = b""
    async for piece in pieces:
        body += piece
        if len(body) > MAX_JSON:
            raise HostError("too-large", f"a body over {MAX_JSON} bytes")
    return body
