"""What clients of the daemon may take of it before, while and after they are known, and the descriptors that are left."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

from enarx.host.errors import HostError

RESERVE = 16
"""Descriptors that only requests of management, and what the daemon does for itself, may take."""

LONG_RESERVE = 32
"""Descriptors that must be left for a request that may last to begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Counts, bytes and seconds. `peer` is of one address (IPv6: of one /64) or user; all others are of one connection
    unless they say otherwise.

    `connections` in all; `head` bytes of a request's head, `heads` of all unfinished heads together; `fields` of a head;
    `target` bytes of its path and query; `ahead` bytes of later requests that wait for an answer; `chunks` of a chunked
    body beyond one for each 64 bytes; `chunk_line` and `trailers` bytes. Seconds: `head_seconds` for a whole head and a TLS
    handshake, `idle_seconds` between requests, `body_seconds` that a body may be waited for in all, beyond what `body_rate`
    bytes a second account for, `stall_seconds` for a client to go on reading an answer, `linger_seconds` for it to notice
    a refusal.
    """

    connections: int = 1024
    peer: int = 256
    head: int = 16 << 10
    heads: int = 1 << 20
    fields: int = 64
    target: int = 4 << 10
    ahead: int = 16 << 10
    chunks: int = 4096
    chunk_line: int = 256
    trailers: int = 4 << 10
    head_seconds: float = 10.0
    idle_seconds: float = 30.0
    body_seconds: float = 30.0
    body_rate: int = 1 << 10
    stall_seconds: float = 30.0
    linger_seconds: float = 2.0

    @property
    def long(self) -> int:
        """Requests at once that may last: launches, input, output, waiting. The rest is left to management."""
        return self.connections * 3 // 4

    @property
    def tenant_long(self) -> int:
        """The same of one tenant."""
        return self.peer * 3 // 4


USUAL = Limits()


def fitted(limits: Limits) -> Limits:
    """The same with no more connections than the descriptors left are enough for: most requests take two of them."""
    connections = max(8, min(limits.connections, (descriptors_left() - LONG_RESERVE) // 2))
    peer = max(8, min(limits.peer, connections // 2))
    return Limits(
        **{name: getattr(limits, name) for name in limits.__slots__} | {"connections": connections, "peer": peer}
    )


def descriptors_left() -> int:
    """How many numbers are free above the lowest free one; new descriptors get the lowest."""
    try:
        fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return 0
    os.close(fd)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - fd


class Places:
    """Requests that may last, of all tenants and of each."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: dict[str, int] = {}

    def take(self, tenant: str) -> None:
        """One of them begins. HostError crowded, descriptors."""
        taken = self._taken.get(tenant, 0)
        if sum(self._taken.values()) >= self._limits.long or taken >= self._limits.tenant_long:
            raise HostError("crowded", "too many requests that last are going on", hint="end some, or try again later")
        if descriptors_left() <= LONG_RESERVE:
            raise HostError("descriptors", "the host has no descriptors left for this", hint="try again later")
        self._taken[tenant] = taken + 1

    def leave(self, tenant: str) -> None:
        """One of them has ended."""
        self._taken[tenant] -= 1
        if not self._taken[tenant]:
            del self._taken[tenant]
