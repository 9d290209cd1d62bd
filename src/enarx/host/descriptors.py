"""How many descriptors a workload can have on this machine."""

from __future__ import annotations

import resource

from enarx.formats.bounds import OWN_FILES

MOST = 1 << 16
"""The most that a configuration can ask for."""


def most() -> int:
    """What the hard limit leaves to `limits.open_files`."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return MOST if hard == resource.RLIM_INFINITY else hard - OWN_FILES
