"""The backend `process`: a Keep as a sandboxed child process, with simulated evidence. Available on every Linux.

The sandbox (namespaces, Landlock, seccomp and more) is applied by the Keep's own measured code before it reads anything
(`keep/sandbox`), and each launch reports which layers are on. It protects the host from the workload. It does not protect
the workload from the host.

The simulator process starts Keeps and signs their evidence. It is started ahead of the first launch, because it takes
longest, and replaced when it has ended or hangs; its Keeps do not end with it.
"""

from __future__ import annotations

from enarx.host.backends.process.simulator import Simulator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.host.backends.backend import Request, RunningKeep, Site


class Process:
    """The backend. One simulator serves all launches of this process."""

    kind = "process"
    warning = (
        "UNPROTECTED: Keeps of kind process do not protect workloads from this host; "
        "they protect this host from workloads"
    )

    def __init__(self) -> None:
        self._simulator: Simulator | None = None

    def probe(self) -> dict[str, str | bool]:
        """Always available: a missing layer of the sandbox shows at the launch."""
        return {"available": True, "detail": "sandboxed process, simulated evidence, for trying out only", "remedy": ""}

    def require(self) -> None:
        """Return: every Linux can launch it."""

    def trust_anchor(self, site: Site) -> str:
        """The file with the simulator's public root."""
        return f"{site.state}/root.pub"

    def prepare(self, site: Site) -> None:
        """Start the simulator, which takes longest."""
        self._simulator = Simulator(site.paths, state=site.state, cache=site.cache)

    def launch(self, request: Request) -> RunningKeep:
        """Have the simulator start a Keep; a simulator that ended since the last launch is replaced first."""
        import socket

        from enarx.errors import BackendError
        from enarx.host.backends.backend import RunningKeep

        if self._simulator is None or self._simulator.is_over():
            self._renew(request.site)
        assert self._simulator is not None  # just started
        control, theirs = socket.socketpair()
        try:
            with theirs:
                handle, answer = self._simulator.launch(theirs, request)
        except BaseException as e:
            control.close()  # if a Keep was started, this ends it
            if isinstance(e, BackendError) and e.code == Simulator.DIED:
                self._renew(request.site)  # if it only hangs, it exits after its Keeps, once its link is closed
            raise
        return RunningKeep(control, handle, layers=answer["layers"], scratch=answer.get("scratch", ""))

    def _renew(self, site: Site) -> None:
        old = self._simulator
        self.prepare(site)
        if old is not None:
            old.close()


PROCESS = Process()
