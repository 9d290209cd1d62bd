"""How long a Keep waits for its tenant, in seconds (docs/spec/delivery.md, "Deadlines")."""

from __future__ import annotations

from enarx.record import record


@record(kw_only=False)
class Now:
    """The time of an event: `clock` in seconds of a clock that never goes back, `unix` in seconds since 1970."""

    clock: float
    unix: int


@record()
class Deadlines:
    """How long a Keep that does not run a workload yet may occupy its host.

    challenge  from its launch for one package to the Challenge: a tenant asks as soon as the host has answered, so two
               minutes are network trouble. A Keep in a pool waits as long as its host lets it.
    delivery   from the Challenge to the Delivery: the tenant appraises the evidence meanwhile, and may have to fetch
               endorsements.
    idle       from one new chunk to the next: twice what a tenant waits for a confirmation, with time to reconnect. At
               512 KiB each that is 4 KiB a second.
    confirm    from one confirmation to the next while chunks come in slowly; otherwise each CONFIRM_EVERY chunks.
    """

    challenge: float = 120.0
    delivery: float = 120.0
    idle: float = 120.0
    confirm: float = 5.0


CONFIRM_EVERY = 16
"""Chunks between two confirmations: 8 MiB, which a broken connection may cost again."""

COLLECT = 120.0
"""Seconds for output directories to be collected, in addition to the time that the most they may hold takes at COLLECT_RATE."""

COLLECT_RATE = 1 << 20
"""Bytes per second. Time in which the host takes no output does not count."""

GRACE = 0.25
"""Seconds for a workload to trap by itself after its time limit, before it is killed."""
