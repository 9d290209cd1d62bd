"""Launching one Keep: the same steps for the daemon and for `enarx run`, whatever its kind.

    1. A cgroup bounds the memory and the processes of the whole Keep from outside.
    2. The backend of its kind launches it into that cgroup.
    3. The caller supervises it (`Launched.supervisor`), or abandons it.

Whatever fails, neither the Keep nor its cgroup is left.
"""

from __future__ import annotations

import os

from enarx.formats import bounds
from enarx.host import backends
from enarx.host.backends.backend import Request
from enarx.host.state.output_store import sealed_results
from enarx.host.supervisor.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

    from enarx.host.backends.backend import RunningKeep, Site
    from enarx.host.cgroups import Group, Place


class Launched:
    """A Keep that runs in its cgroup. `info` is what `enarx keep inspect` shows of its launch."""

    def __init__(self, running: RunningKeep, group: Group, info: dict[str, Any], disk: int) -> None:
        self.running, self.group, self.info = running, group, info
        self._disk = disk

    def supervisor(
        self,
        *,
        listener: socket.socket,
        directory: int,
        stored_output: int,
        stored_results: int = 0,
        unused: float = 0.0,
        until: int = -1,
    ) -> Supervisor:
        """Its supervisor, in this process. Arguments as in `Supervisor`; by default it can store all results. OSError."""
        return Supervisor(
            keep=self.running,
            listener=listener,
            directory=directory,
            stored_output=stored_output,
            stored_results=stored_results or sealed_results(self._disk),
            info=self.info,
            unused=unused,
            until=until,
        )

    def descriptors(self) -> tuple[int, int]:
        """All that a supervisor in another process must keep open."""
        return self.running.control.fileno(), self.running.handle.fileno()

    def release(self) -> None:
        """Close this process's descriptors: another process supervises the Keep."""
        self.running.control.close()
        self.running.handle.close()

    def abandon(self) -> None:
        """Kill the Keep and remove its cgroup."""
        self.running.handle.kill()
        self.release()
        self.group.remove()


def launch(order: dict[str, Any], *, name: str, place: Place, site: Site, until: int = -1) -> Launched:
    """Launch the Keep that `order` describes: `kind`, `host_data`, `memory`, `compile`, `disk`, `skip_layers`.

    `name` becomes part of its cgroup's name. `until` as in `Request`. BackendError, UsageError, OSError.
    """
    backend = backends.find(order["kind"])
    sizes = {size: order[size] for size in ("memory", "compile", "disk")}
    memory = bounds.keep_memory(**sizes)
    group = place.make(name, memory=memory, processes=bounds.processes(os.cpu_count() or 1))
    groups: list[int] = []
    try:
        groups += group.open()
        request = Request(
            site=site,
            host_data=order["host_data"],
            skip_layers=order["skip_layers"],
            groups=groups,
            until=until,
            **sizes,
        )
        running = backend.launch(request)
    except BaseException:
        group.remove()
        raise
    finally:
        for fd in groups:
            os.close(fd)
    shown = {"kind": order["kind"], "skipped": order["skip_layers"], "bound": place.info(memory)}
    return Launched(running, group, shown, order["disk"])
