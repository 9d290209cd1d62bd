"""The registry of backends: every kind of Keep that a host may launch, one line each.

A backend is one object (`backend.Backend`), named here by module and attribute and loaded when it is first needed:
`enarx run` waits for every module that is loaded, so it loads only the backend that it launches. No other file of the host
or of the command line names a kind. A launch that names no kind, and the pool, get the first kind of this list.

To add a backend, write its module and add its line; to remove one, delete both (docs/extending.md).
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.host.backends.backend import Backend

REGISTRY: dict[str, str] = {
    "process": "enarx.host.backends.process.backend:PROCESS",
    "snp": "enarx.host.backends.absent:SNP",
    "tdx": "enarx.host.backends.absent:TDX",
    "sgx": "enarx.host.backends.absent:SGX",
    "nitro": "enarx.host.backends.absent:NITRO",
    "cca": "enarx.host.backends.absent:CCA",
    "qemu": "enarx.host.backends.absent:QEMU",
}


def kinds() -> tuple[str, ...]:
    """The names of all kinds, in the order of the registry."""
    return tuple(REGISTRY)


def default() -> str:
    """The kind of a launch that names none, and of the Keeps in the pool."""
    return next(iter(REGISTRY))


def find(kind: str) -> Backend:
    """The backend of `kind`. UsageError if no backend has that name."""
    if kind not in REGISTRY:
        from enarx.errors import UsageError

        raise UsageError("usage", f"no kind of Keep is called {kind[:32]!r}", hint=f"kinds: {', '.join(REGISTRY)}")
    module, _, name = REGISTRY[kind].partition(":")
    __import__(module)
    backend: Backend = getattr(sys.modules[module], name)
    return backend


def simulated() -> Backend:
    """The backend for `--simulate`: the first available one with simulated evidence.

    UsageError if no such backend is available.
    """
    for kind in REGISTRY:
        backend = find(kind)
        if backend.warning and backend.probe()["available"]:
            return backend
    from enarx.errors import UsageError

    raise UsageError("backend", "no backend of this host gives simulated evidence", hint="see: enarx platform")


def probe() -> list[dict[str, str | bool]]:
    """For each kind: whether this machine can launch it and, if not, the remedy."""
    return [{"kind": kind, **find(kind).probe()} for kind in REGISTRY]
