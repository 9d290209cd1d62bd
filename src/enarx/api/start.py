"""How a job starts: on this machine, on a host, or by attaching to one that runs.

A `Start` does nothing until `start`, which works in the caller's thread and either returns a Job or cleans up after itself.
`abort` has it give up, from another thread. The synchronous API starts at once; `aio` starts in a thread.
"""

from __future__ import annotations

from collections.abc import Callable

from enarx.api.acceptance import Acceptance, EvidenceVerifier
from enarx.api.jobs import Job, Place
from enarx.api.streams import Sink
from enarx.api.workloads import Out, Workload
from enarx.errors import UnavailableError, UsageError
from enarx.formats.package import Manifest
from enarx.record import record
from enarx.tenant.deploy import Delivered, Progress, Stdin
from enarx.tenant.owners import Owners
from enarx.tenant.package import Package
from enarx.verify import AttestationResult
from enarx.verify.kinds import SIMULATED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.tenant.results import Results

WARNING = "SIMULATED: no hardware protects this workload from the owner of the machine it runs on"
"""The warning for every simulated piece of evidence."""


def _log(text: str) -> None:
    import logging

    logging.getLogger("enarx").warning("%s", text)


def _warn_simulated(result: AttestationResult, _: bytes) -> None:
    if result.kind == SIMULATED:
        _log(WARNING)


@record()
class Hooks:
    """Callbacks of a program while a job starts and runs; called in any thread.

    `progress` gets the number of bytes sealed so far, and the total. `attested` gets each verdict, trusted or not, before it
    takes effect, and the digest of the package that the Keep is for. `note` gets a line for people; by default the logger
    `enarx` logs it as a warning. `contributed` gets the name of each provider whose part the Keep has confirmed.
    `stage` gets the name of each stage of the start that may take long, when the stage begins:
    `packaging`, `launching`, `compiling`; and the module's size in bytes, 0 before it is known.
    """

    progress: Progress | None = None
    attested: Callable[[AttestationResult, bytes], None] = _warn_simulated
    note: Callable[[str], None] = _log
    contributed: Callable[[str], None] = lambda name: None
    stage: Callable[[str, int], None] = lambda name, size: None


class Start:
    """The start of one job. Its subclasses know where; see the module."""

    def __init__(self, hooks: Hooks, stdin: Stdin, stdout: Sink, stderr: Sink, out: Out) -> None:
        self._hooks = hooks
        self._out = out
        self._streams = (stdin, stdout, stderr)
        self._aborted = False
        self._close: Callable[[], None] = lambda: None

    def start(self) -> Job:
        """Start the job. If it raises, no Keep is left behind. EnarxError of any kind."""
        raise UsageError("start", "nothing to start")

    def abort(self) -> None:
        """Have `start` give up soon: it removes the Keep and raises UnavailableError."""
        self._aborted = True
        self._close()

    def _require_not_aborted(self) -> None:
        if self._aborted:
            raise UnavailableError("aborted", "the start was aborted")

    def _packaged(self, workload: Workload) -> tuple[Package, Owners]:
        """The package of the workload, and its owners. UsageError."""
        self._hooks.stage("packaging", 0)
        package, owners = workload.build()
        self._hooks.stage("launching", len(package.wasm))
        return package, owners

    def _verifier(self, accepted: Acceptance, package: bytes, *, pooled: bool) -> EvidenceVerifier:
        return EvidenceVerifier(accepted, package, pooled=pooled, on_result=self._hooks.attested)

    def _results(self, manifest: Manifest) -> Results | None:
        """What unpacks the results; None without output directories, or if they are sealed to recipients.

        UsageError, unless each can be written to its destination.
        """
        results = self._out.results_of_owner(manifest)
        if results is not None and results.missing:
            guest = results.missing[0]
            message = f"{guest} is an output directory, and nothing says where its content goes"
            raise UsageError("out-missing", message, hint=f"--out DIR::{guest}")
        if results is not None:
            results.check()
        return results

    def _job(
        self,
        place: Place,
        delivered: Delivered,
        attestation: AttestationResult | None,
        package: Package,
        results: Results | None,
    ) -> Job:
        """The job of a package that the Keep has accepted, or has refused under seal."""
        self._require_not_aborted()
        stdin, stdout, stderr = self._streams
        self._hooks.stage("compiling", len(package.wasm))
        return Job(
            place,
            delivered.session,
            owned=True,
            start=delivered.start,
            opener=delivered.output,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            results=results,
            attestation=attestation,
            note=self._hooks.note,
            contributed=self._hooks.contributed,
        )
