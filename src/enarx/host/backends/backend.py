"""The protocol of backends, with the request that they get and the running Keep that they return.

The host knows only three things of a running Keep: a stream socket that carries its frames, a process to
watch and kill, and facts to show. A micro-VM fits as well as a sandboxed process: its frames come over vsock or a serial
port, and its process is the VMM.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, Protocol

    from enarx.host.processes import Handle


class Site:
    """Where a backend works: `paths` of the installed code joined by colons, a `state` and a `cache` directory.

    All backends share `state`. A backend keeps its files in a folder there that has its kind's name; only `process`, which
    came first, keeps them at the top.
    """

    def __init__(self, *, paths: str, state: str, cache: str) -> None:
        self.paths, self.state, self.cache = paths, state, cache


class Request:
    """One launch. Sizes in bytes, `host_data` in hexadecimal.

    `groups` are open `cgroup.procs` files: the Keep's first process writes 0 to each before it does anything else, or
    its backend writes that process's number. Either happens before `launch` returns: from then on an empty cgroup may
    be removed. `skip_layers` are the layers of the sandbox that the operator has given up by name. `until` is a
    descriptor, or -1: once its other end is closed, the Keep is no longer wanted, and the launch gives up.
    """

    def __init__(
        self,
        *,
        site: Site,
        host_data: str,
        memory: int,
        compile: int,
        disk: int,
        skip_layers: list[str],
        groups: list[int],
        until: int = -1,
    ) -> None:
        self.site, self.host_data = site, host_data
        self.memory, self.compile, self.disk = memory, compile, disk
        self.skip_layers, self.groups, self.until = skip_layers, groups, until


class RunningKeep:
    """A Keep that has been launched.

    `control` is a connected stream socket; the Keep ends when the host's end of it closes. `handle` is the process with
    which all of the Keep ends. `layers` are those of the sandbox around it, flat objects of texts and booleans, and `facts`
    texts of any kind: `enarx keep inspect` shows both. `scratch` is a directory in /dev/shm to erase with the Keep, or
    empty.
    """

    def __init__(
        self,
        control: socket.socket,
        handle: Handle,
        *,
        layers: list[dict[str, Any]],
        facts: dict[str, str] | None = None,
        scratch: str = "",
    ) -> None:
        self.control, self.handle = control, handle
        self.layers, self.facts, self.scratch = layers, facts or {}, scratch


if TYPE_CHECKING:  # loading typing would cost `enarx run` milliseconds

    class Backend(Protocol):
        """One kind of Keep. It keeps no reference to a launched Keep, which then belongs to its supervisor."""

        kind: str
        """Its name, as in the registry."""

        warning: str
        """The warning that operators and users must see, because no hardware protects these Keeps from this host.

        Empty for a kind that hardware protects. A backend with a warning gives simulated evidence.
        """

        def probe(self) -> dict[str, str | bool]:
            """Whether this machine can launch such Keeps: `available`, `detail` and, if it cannot, a `remedy`."""
            ...

        def require(self) -> None:
            """Return if this machine can launch such Keeps. BackendError `no-hardware`, with the remedy, if not."""

        def trust_anchor(self, site: Site) -> str:
            """The path of the root that tenants need to verify evidence; empty where a vendor's root is pinned."""
            ...

        def prepare(self, site: Site) -> None:
            """Start what makes the first launch quick. Returns at once; may do nothing."""

        def launch(self, request: Request) -> RunningKeep:
            """Launch a Keep. BackendError with the reason, or OSError; then no part of the Keep is left.

            Called in a process with one thread that reaps all of its children between launches.
            """
            ...
