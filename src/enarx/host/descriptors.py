"""How many file descriptors a workload can have on this machine."""

from __future__ import annotations

import resource

from enarx.formats.bounds import OWN_FILES

MOST = 1 << 16
"""The most that a configuration can ask for."""


def most() -> int:
    """The highest `limits.open_files` that this process's hard limit allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MOST if hard == resource.RLIM_INFINITY else hard - OWN_FILES
