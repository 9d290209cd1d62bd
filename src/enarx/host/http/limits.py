"""What clients may take of the daemon before, during and after authentication, and the descriptors that are left."""

from __future__ import annotations

import os
import resource
import time
from collections import deque
from dataclasses import dataclass

from enarx.host.errors import HostError

RESERVE = 16
"""Descriptors that only management requests, and the daemon's own work, may take."""

LONG_RESERVE = 32
"""Descriptors that must be free for a long request to begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Counts, bytes and seconds; of one connection unless stated otherwise.

    connections     connections in all
    peer            connections of one user or address (IPv6: of one /64)
    head            bytes of a request's head
    heads           bytes of unfinished heads, of all connections together
    unsent          bytes of answers that clients have not read, of all connections together
    fields          header fields of a request
    target          bytes of path and query
    ahead           bytes of later requests that wait for an answer
    chunks          chunks of a body, in addition to one for every 64 bytes
    chunk_line      bytes of a chunk's head
    trailers        bytes of all trailers
    head_seconds    for a whole head, and for a TLS handshake
    idle_seconds    between requests
    body_seconds    spent waiting for a body, in addition to the time that its bytes take at `body_rate`
    body_rate       bytes per second
    stall_seconds   for a client to go on reading an answer
    linger_seconds  for a client to read a refusal
    """

    connections: int = 1024
    peer: int = 256
    head: int = 16 << 10
    heads: int = 1 << 20
    unsent: int = 64 << 20
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
        """Long requests at once: launches, input, output, waiting. The rest of the connections is left to management."""
        return self.connections * 3 // 4

    @property
    def tenant_long(self) -> int:
        """Long requests of one tenant at once."""
        return self.peer * 3 // 4


USUAL = Limits()


def fitted(limits: Limits) -> Limits:
    """These limits, with the number of connections lowered to what the free descriptors allow: most requests take two."""
    connections = max(8, min(limits.connections, (descriptors_left() - LONG_RESERVE) // 2))
    peer = max(8, min(limits.peer, connections // 2))
    return Limits(
        **{name: getattr(limits, name) for name in limits.__slots__} | {"connections": connections, "peer": peer}
    )


def descriptors_left() -> int:
    """How many numbers are free above the lowest free one, which is the number that a new descriptor gets."""
    try:
        fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return 0
    os.close(fd)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - fd


INVITED = "invited-to:"
"""What the accounts of all who are invited to one Keep begin with."""

MAX_INVITED = 32
"""Long requests of all who are invited to one Keep at once."""

OPENING = 1.0
"""Seconds that a long request may take to open a descriptor of its own, beside that of its connection."""


class Places:
    """Counts long requests, in all and under each account: a tenant, or those who are invited."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all = 0
        self._taken: dict[str, int] = {}
        self._recent: deque[float] = deque()

    def take(self, *accounts: str) -> None:
        """Let a long request begin, counted under all of these accounts. HostError `crowded`, `descriptors`."""
        full = any(self._taken.get(account, 0) >= self._most(account) for account in accounts)
        if self._all >= self._limits.long or full:
            raise HostError("crowded", "too many long requests at once", hint="end some, or try again later")
        now = time.monotonic()
        while self._recent and now - self._recent[0] > OPENING:
            self._recent.popleft()
        if descriptors_left() - len(self._recent) <= LONG_RESERVE:  # those that began just now open theirs later
            raise HostError("descriptors", "the host has no descriptors left for this", hint="try again later")
        self._recent.append(now)
        self._all += 1
        for account in accounts:
            self._taken[account] = self._taken.get(account, 0) + 1

    def _most(self, account: str) -> int:
        return min(MAX_INVITED, self._limits.tenant_long) if account.startswith(INVITED) else self._limits.tenant_long

    def leave(self, *accounts: str) -> None:
        """Note that a long request under these accounts has ended."""
        self._all -= 1
        for account in accounts:
            self._taken[account] -= 1
            if not self._taken[account]:
                del self._taken[account]
