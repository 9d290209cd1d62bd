"""The sandbox around a Keep on Linux: it protects the host from the workload, never the workload from the host.

In order: `isolate` in a fresh process, which then forks the Keep's process 1; `confine(KEEPER_BOOT)` there; it forks
compiler and runner; each confines itself to its own profile. The runner loads the compiled code, then
calls `forbid_new_code`. After `isolate` nothing can be imported: there is no file to import from.

Only the standard library and ctypes are used, so that the whole filter can be read here.
"""

from __future__ import annotations

from enarx.keep.sandbox.confinement import confine, forbid_new_code
from enarx.keep.sandbox.layers import LAYERS, STOPS, Layer
from enarx.keep.sandbox.namespaces import Isolation, adopt_orphans, close_others, isolate, resize
from enarx.keep.sandbox.probing import probe
from enarx.keep.sandbox.profiles import ATTESTER, COMPILER, KEEPER, KEEPER_BOOT, RUNNER, Profile

__all__ = [
    "ATTESTER",
    "COMPILER",
    "KEEPER",
    "KEEPER_BOOT",
    "LAYERS",
    "RUNNER",
    "STOPS",
    "Isolation",
    "Layer",
    "Profile",
    "adopt_orphans",
    "close_others",
    "confine",
    "forbid_new_code",
    "isolate",
    "probe",
    "resize",
]
