"""The Linux sandbox of a Keep. It protects the host from the workload; it does not protect the workload from the host.

A Keep puts it on in this order:

    isolate(...)            in a fresh process: another user, namespaces, a root directory in memory
    fork                    the child is process 1 of the new pid namespace, the keeper
    confine(KEEPER_BOOT)    there; compiler, runner, collector and attester are forked under it
    confine(COMPILER), confine(RUNNER), ...    in each of them
    confine(KEEPER)         once the storage has its size
    pretend_terminal()      in the runner, if the workload asks for a terminal
    forbid_new_code()       there, once the machine code is loaded

After `isolate` nothing can be imported, because no file is left to import from.

The code uses the standard library and ctypes only, so the complete filter can be read here: `layers` names each layer and
what it stops, `profiles` has the lists of system calls, and `confinement` and `namespaces` apply them.
"""

from __future__ import annotations

from enarx.keep.sandbox.confinement import confine, forbid_new_code, prepare, pretend_terminal
from enarx.keep.sandbox.layers import LAYERS, STOPS, Layer
from enarx.keep.sandbox.namespaces import Isolation, adopt_orphans, close_others, isolate, resize
from enarx.keep.sandbox.profiles import ATTESTER, COLLECTOR, COMPILER, KEEPER, KEEPER_BOOT, RUNNER, Profile

__all__ = [
    "ATTESTER",
    "COLLECTOR",
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
    "prepare",
    "pretend_terminal",
    "resize",
]
