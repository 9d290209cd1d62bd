"""A job on this machine, behind a host side of its own. It loads nothing that only a remote host needs."""

from __future__ import annotations

from collections.abc import Sequence

from enarx.api import acceptance, local_host
from enarx.api.jobs import Job
from enarx.api.start import Hooks, Start
from enarx.api.streams import Sink
from enarx.api.workloads import Out, Workload
from enarx.errors import UsageError
from enarx.tenant.deploy import Stdin, admit
from enarx.tenant.link import LocalLink


class LocalPlace:
    """A Keep behind a host side of its own on this machine. It ends with this process."""

    keep = session_file = ""

    def __init__(self, host: local_host.LocalHost) -> None:
        self._host = host
        self.link = LocalLink(host.path)

    def require_lasting(self) -> None:
        """Implement jobs.Place: this Keep cannot outlive the process."""
        raise UsageError(
            "detach-local",
            "a job on this machine's own host side ends with this program, and cannot be left",
            hint="deploy it to a daemon: enarx host serve",
        )

    def remove(self) -> None:
        """Implement jobs.Place: closing the order pipe ends the host side, which takes its Keep down."""
        self.leave()

    def leave(self) -> None:
        """Implement jobs.Place: the host side ends too."""
        self.link.close()
        self._host.close()


def _require_files(open_files: int) -> None:
    """UsageError for more open files than this machine allows: the Keep, which is on it, would refuse the package."""
    from enarx.host import descriptors

    if open_files > descriptors.most():
        message = f"limits.open_files is {open_files}, this machine's hard limit leaves {descriptors.most()}"
        raise UsageError("open-files", message, hint="raise it (ulimit -Hn), or lower open_files")


class LocalStart(Start):
    """Starts a job on this machine, behind a host side of its own."""

    def __init__(
        self,
        workload: Workload,
        hooks: Hooks,
        stdin: Stdin,
        stdout: Sink,
        stderr: Sink,
        *,
        out: Out,
        backend: str,
        simulate: bool,
        skip_layers: Sequence[str],
    ) -> None:
        super().__init__(hooks, stdin, stdout, stderr, out)
        self._workload = workload
        self._backend = backend
        self._simulate = simulate
        self._skip_layers = list(skip_layers)

    def start(self) -> Job:
        """Implement Start: BackendError if this machine has no such backend."""
        kind = local_host.choose(self._backend, simulate=self._simulate)
        package, owners = self._packaged(self._workload)
        if package.manifest.providers or package.manifest.recipients:
            hint = "enarx host serve, then enarx deploy --invite FILE"
            raise UsageError("parties-local", "providers and recipients cannot reach a host of this command", hint=hint)
        limits = package.manifest.config.limits
        _require_files(limits.open_files)
        results = self._results(package.manifest)
        self._require_not_aborted()
        host = local_host.take(kind)
        place = LocalPlace(host)
        self._close = place.link.close
        try:
            host.launch(
                package=package.manifest.digest,
                memory=limits.memory,
                compile=package.compile,
                disk=package.disk,
                skip_layers=self._skip_layers,
            )
            verifier = self._verifier(acceptance.local(), package.manifest.digest, pooled=False)
            delivered = admit(place.link, package, owners, verifier, progress=self._hooks.progress)
            return self._job(place, delivered, verifier.result, package, results)
        except BaseException:
            place.leave()
            raise
