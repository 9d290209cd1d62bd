"""How a job starts: on this machine, on a host, or by attaching to one that runs.

A `Start` does nothing until `start`, which works in the caller's thread and either returns a Job or leaves nothing behind.
`abort` has it give up, from another thread. The synchronous API starts at once; `aio` starts in a thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from enarx.api import acceptance, keeps, local_host
from enarx.api.acceptance import Acceptance, EvidenceVerifier
from enarx.api.hosts import Host
from enarx.api.jobs import Job
from enarx.api.keeps import Known
from enarx.api.places import LocalPlace, RemotePlace
from enarx.api.streams import Sink
from enarx.api.workloads import Workload
from enarx.errors import EnarxError, UnavailableError, UsageError
from enarx.record import record
from enarx.tenant.deploy import Delivered, Progress, Stdin, admit
from enarx.tenant.http import Endpoint
from enarx.verify import AttestationResult
from enarx.verify.kinds import SIMULATED

WARNING = "SIMULATED: no hardware protects this workload from the owner of the machine it runs on"
"""What is noted whenever evidence turns out to be simulated."""


def _log(text: str) -> None:
    import logging

    logging.getLogger("enarx").warning("%s", text)


def _warn_simulated(result: AttestationResult, _: bytes) -> None:
    if result.kind == SIMULATED:
        _log(WARNING)


@record()
class Hooks:
    """What a program wants to be told while a job starts and runs; called in any thread.

    `progress` gets bytes sealed so far, and in all. `attested` gets each verdict, trusted or not, before it is acted on, and
    the digest of the package that the Keep is for.
    `note` gets a line for people: by default the logger `enarx` warns.
    """

    progress: Progress | None = None
    attested: Callable[[AttestationResult, bytes], None] = _warn_simulated
    note: Callable[[str], None] = _log


class Start:
    """How a job starts. Used once."""

    def __init__(self, hooks: Hooks, stdin: Stdin, stdout: Sink, stderr: Sink) -> None:
        self._hooks = hooks
        self._streams = (stdin, stdout, stderr)
        self._aborted = False
        self._close: Callable[[], None] = lambda: None

    def start(self) -> Job:
        """Start the job. EnarxError of any kind, and then nothing is left behind."""
        raise UsageError("start", "nothing to start")

    def abort(self) -> None:
        """Have `start` give up soon: it removes what it has made and raises UnavailableError."""
        self._aborted = True
        self._close()

    def _require_wanted(self) -> None:
        if self._aborted:
            raise UnavailableError("aborted", "the start was aborted")

    def _verifier(self, accepted: Acceptance, package: bytes, *, pooled: bool) -> EvidenceVerifier:
        return EvidenceVerifier(accepted, package, pooled=pooled, on_result=self._hooks.attested)

    def _job(
        self,
        place: LocalPlace | RemotePlace,
        delivered: Delivered,
        attestation: AttestationResult | None,
    ) -> Job:
        """The job of a package that the Keep has accepted, or has refused under seal."""
        self._require_wanted()
        stdin, stdout, stderr = self._streams
        return Job(
            place,
            delivered.session,
            owned=True,
            start=delivered.start,
            opener=delivered.output,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            attestation=attestation,
            note=self._hooks.note,
        )


def _require_files(open_files: int) -> None:
    """UsageError for more open files than this machine allows: the Keep, which is on it, would refuse the package."""
    from enarx.host import descriptors

    if open_files > descriptors.most():
        message = f"limits.open_files is {open_files}, this machine's hard limit leaves {descriptors.most()}"
        raise UsageError("open-files", message, hint="raise it (ulimit -Hn), or lower open_files")


class LocalStart(Start):
    """On this machine, behind a host side of its own."""

    def __init__(
        self,
        what: Workload,
        hooks: Hooks,
        stdin: Stdin,
        stdout: Sink,
        stderr: Sink,
        *,
        backend: str,
        simulate: bool,
        skip_layers: Sequence[str],
    ) -> None:
        super().__init__(hooks, stdin, stdout, stderr)
        self._what = what
        self._backend = backend
        self._simulate = simulate
        self._skip_layers = list(skip_layers)

    def start(self) -> Job:
        """As Start. BackendError if this machine has no such backend."""
        kind = local_host.choose(self._backend, simulate=self._simulate)
        package, owners = self._what.build()
        limits = package.manifest.config.limits
        _require_files(limits.open_files)
        self._require_wanted()
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
            return self._job(place, delivered, verifier.result)
        except BaseException:
            place.leave()
            raise


class RemoteStart(Start):
    """On a host, through its daemon."""

    def __init__(
        self,
        what: Workload,
        hooks: Hooks,
        stdin: Stdin,
        stdout: Sink,
        stderr: Sink,
        *,
        host: Host,
        backend: str,
        accepted: Acceptance,
        pool: bool,
        detach: bool,
    ) -> None:
        super().__init__(hooks, stdin, stdout, stderr)
        self._what = what
        self._host = host
        self._kind = "" if backend == "auto" else backend
        self._accepted = accepted
        self._pool = pool
        self._detach = detach

    def start(self) -> Job:
        """As Start; with `detach` the job is left as soon as the Keep has accepted it."""
        package, owners = self._what.build()
        verifier = self._verifier(self._accepted, package.manifest.digest, pooled=self._pool)
        client = self._host.client()
        self._require_wanted()
        keep = client.launch(
            kind=self._kind,
            package=None if self._pool else package.manifest.digest,
            memory=package.manifest.config.limits.memory,
            compile=package.compile,
            disk=package.disk,
        )
        place = RemotePlace(client, keep, self._host.token_file)
        self._close = place.link.close
        with self._undoing(place):
            self._require_wanted()
            progress = self._hooks.progress
            delivered = admit(place.link, package, owners, verifier, progress=progress, opened=place.save)
            job = self._job(place, delivered, verifier.result)
        if self._detach and delivered.accepted:
            job.detach()
        return job

    @contextlib.contextmanager
    def _undoing(self, place: RemotePlace) -> Iterator[None]:
        """Remove the Keep if anything fails; but of a job that is to be left and may run already the session is kept."""
        try:
            yield
        except BaseException as e:
            if self._detach and place.saved is not None and isinstance(e, UnavailableError):
                unknown = f"whether Keep {place.keep} runs the job is not known"
                self._hooks.note(f"{unknown}; the session is kept: {place.session_file}")
            else:
                self._remove(place)
            place.leave()
            raise

    def _remove(self, place: RemotePlace) -> None:
        try:
            place.remove()
        except EnarxError as e:
            self._hooks.note(f"Keep {place.keep} was not removed: {e.message}")


class AttachStart(Start):
    """To a job that runs, or has run, by its saved session."""

    def __init__(
        self,
        keep: str,
        hooks: Hooks,
        stdin: Stdin,
        stdout: Sink,
        stderr: Sink,
        *,
        host: str | Endpoint,
        token_file: str,
    ) -> None:
        super().__init__(hooks, stdin, stdout, stderr)
        self._keep = keep
        self._host = host
        self._token_file = token_file

    def start(self) -> Job:
        """As Start. UsageError if there is no such Keep, or no session with it."""
        known = keeps.resolve(self._keep, host=self._host, token_file=self._token_file, note=self._hooks.note)
        self._require_wanted()
        return attached(known, self._hooks, *self._streams)


def attached(known: Known, hooks: Hooks, stdin: Stdin = None, stdout: Sink = None, stderr: Sink = None) -> Job:
    """The job of a Keep that we have a session with; UsageError if we have none. Without `stdin` that is left alone."""
    saved = known.require_session()
    return Job(
        RemotePlace(known.client(), known.keep, known.host.token_file, saved),
        saved.session,
        owned=False,
        stdin=stdin,
        close_stdin=stdin is not None,
        stdout=stdout,
        stderr=stderr,
        note=hooks.note,
    )
