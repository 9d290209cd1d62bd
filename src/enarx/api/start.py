"""Starting a job: on this machine, on a host, or by attaching to one that runs.

`run`, `deploy` and `attach` describe a start and do nothing yet: `Start.start` does, in the caller's thread, and either
returns a Job or leaves nothing behind. `Start.abort` has it give up from another thread. The synchronous API starts at
once; `aio` starts in a thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from enarx.api import acceptance, keeps, local_host
from enarx.api.acceptance import Acceptance, EvidenceVerifier
from enarx.api.hosts import Host, find
from enarx.api.jobs import Job
from enarx.api.keeps import Known
from enarx.api.streams import Sink
from enarx.api.workloads import Dirs, Path, Workload, workload
from enarx.delivery.tenant import Session
from enarx.errors import EnarxError, UnavailableError, UsageError
from enarx.formats.config import Config
from enarx.record import record
from enarx.tenant.deploy import Delivered, Progress, Stdin, admit
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.link import LocalLink
from enarx.tenant.sessions import Saved, forget
from enarx.verify import AppraisalPolicy, AttestationResult
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


class LocalPlace:
    """A Keep behind a host side of its own on this machine. It ends with this process."""

    keep = session_file = ""

    def __init__(self, host: local_host.LocalHost) -> None:
        self._host = host
        self.link = LocalLink(host.path)

    def require_lasting(self) -> None:
        """As jobs.Place."""
        raise UsageError(
            "detach-local",
            "a job on this machine's own host side ends with this program, and cannot be left",
            hint="deploy it to a daemon: enarx host serve",
        )

    def remove(self) -> None:
        """As jobs.Place: closing the order pipe ends the host side, which takes its Keep down."""
        self.leave()

    def leave(self) -> None:
        """As jobs.Place."""
        self.link.close()
        self._host.close()


class RemotePlace:
    """A Keep at a daemon, and the session with it, saved before anything secret is sent."""

    def __init__(self, client: HostClient, keep: str, token_file: str, saved: Saved | None = None) -> None:
        self.keep = keep
        self.link = client.link(keep)
        self.saved = saved
        self._client = client
        self._token_file = os.path.abspath(token_file) if token_file else ""

    @property
    def session_file(self) -> str:
        """As jobs.Place."""
        return "" if self.saved is None else self.saved.path

    def save(self, opened: Session) -> None:
        """Save the session. Of credentials only the paths of their files are kept."""
        where = self._client.endpoint
        ca, certificate, key = (os.path.abspath(p) if p else "" for p in (where.ca, where.certificate, where.key))
        self.saved = Saved(
            keep=self.keep,
            url=where.url,
            token_file=self._token_file,
            ca=ca,
            certificate=certificate,
            key=key,
            session=opened,
        )
        self.saved.save()

    def require_lasting(self) -> None:
        """As jobs.Place."""

    def remove(self) -> None:
        """As jobs.Place."""
        self._client.call("DELETE", f"/v1/keeps/{self.keep}?force=true")
        if self.saved is not None:
            forget(self.saved)

    def leave(self) -> None:
        """As jobs.Place."""
        self.link.close()
        self._client.close()


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
                self._hooks.note(f"whether Keep {place.keep} runs the job is not known; its session is kept")
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


def run(
    module: Path | bytes,
    *,
    simulate: bool = False,
    backend: str = "auto",
    config: Config | Path | None = None,
    args: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    dirs: Dirs = (),
    secrets: Mapping[str, bytes] | None = None,
    owners: Sequence[Path] = (),
    salt: bytes | None = None,
    stdin: bytes | Stdin = None,
    stdout: Sink = None,
    stderr: Sink = None,
    skip_layers: Sequence[str] = (),
    hooks: Hooks | None = None,
) -> Start:
    """Run a workload in a Keep on this machine; Linux only. Returns a Job.

    module      path of a core WebAssembly module with WASI preview 1, or its bytes
    simulate    use the backend without hardware: NOT protected from the owner of this machine
    backend     the kind of Keep; "auto" takes one that hardware protects
    config      a Config, or the path of an Enarx.toml; None: the one beside the module, if any
    args        arguments after the workload's own name, in place of the configuration's
    env         variables, added to the configuration's
    dirs        {guest path: directory of this machine} read-only, or Dir(guest=, host=, mode="rw")
    secrets     {name: value} for each name under [secrets]
    owners      key files, PEM: one private, the others public; none: the user's own
    salt        32 bytes, kept to get the same package digest again
    stdin       bytes, a binary file, a descriptor, or an iterable of bytes; None: empty
    stdout      a binary file or descriptor that takes it as it comes; None: read Job.stdout
    stderr      the same
    skip_layers layers of the sandbox that may be missing
    hooks       what to be told meanwhile

    UsageError, BackendError; AppraisalError or VerificationError if the Keep is not acceptable; DeliveryError,
    UnavailableError. Nothing is left behind then.
    """
    what = workload(module, config=config, args=args, env=env, dirs=dirs, secrets=secrets, owners=owners, salt=salt)
    return LocalStart(
        what,
        hooks or Hooks(),
        as_stdin(stdin),
        stdout,
        stderr,
        backend=backend,
        simulate=simulate,
        skip_layers=skip_layers,
    )


def deploy(
    module: Path | bytes,
    *,
    host: str | Endpoint = "",
    token_file: Path = "",
    simulated_root: bytes | Path | None = None,
    measurements: Sequence[bytes | str] = (),
    policy: AppraisalPolicy | Path | None = None,
    endorsements: Sequence[bytes] = (),
    backend: str = "auto",
    pool: bool = True,
    detach: bool = False,
    config: Config | Path | None = None,
    args: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    dirs: Dirs = (),
    secrets: Mapping[str, bytes] | None = None,
    owners: Sequence[Path] = (),
    salt: bytes | None = None,
    stdin: bytes | Stdin = None,
    stdout: Sink = None,
    stderr: Sink = None,
    hooks: Hooks | None = None,
) -> Start:
    """Deliver a workload to a Keep on a host that nobody has to trust, attested and encrypted. Returns a Job.

    host            the daemon: http://, https:// or unix:// URL, or an Endpoint; "": ENARX_HOST, or this machine's
    token_file      file with the bearer token for `host`
    simulated_root  accept simulated evidence under this root: the path of the host's root.pub, or its 32 bytes
    measurements    with it: Keep images to accept, 48 bytes or 96 hexadecimal digits each; none: this release's
    policy          accept what this appraisal policy accepts: the policy, or the path of its file
    endorsements    with it: certificates, revocation lists and collateral, as bytes
    backend         the kind of Keep; "auto" leaves it to the host
    pool            take a Keep that is ready, launched for no package yet
    detach          leave the job once the Keep has accepted it and its stdin; see `attach`

    All else is as for `run`. The session is saved where `enarx keep` finds it, until the job is removed.
    """
    what = workload(module, config=config, args=args, env=env, dirs=dirs, secrets=secrets, owners=owners, salt=salt)
    return RemoteStart(
        what,
        hooks or Hooks(),
        as_stdin(stdin),
        stdout,
        stderr,
        host=find(host, os.fspath(token_file)),
        backend=backend,
        accepted=accepting(simulated_root, measurements, policy, endorsements),
        pool=pool,
        detach=detach,
    )


def attach(
    keep: str,
    *,
    host: str | Endpoint = "",
    token_file: Path = "",
    stdin: bytes | Stdin = None,
    stdout: Sink = None,
    stderr: Sink = None,
    hooks: Hooks | None = None,
) -> Start:
    """Attach to a job by its Keep's id, or a prefix of it that is unique. Returns a Job, with all output from the start.

    host        the daemon, if several have such a Keep; else the saved session knows
    token_file  file with the bearer token for `host`
    stdin       continues after what the Keep has taken, and its end closes the workload's; None: stdin is left alone
    stdout, stderr, hooks: as for `run`

    UsageError if there is no such Keep, or no session with it.
    """
    return AttachStart(
        keep,
        hooks or Hooks(),
        as_stdin(stdin),
        stdout,
        stderr,
        host=host,
        token_file=os.fspath(token_file),
    )


def accepting(
    simulated_root: bytes | Path | None,
    measurements: Sequence[bytes | str] = (),
    policy: AppraisalPolicy | Path | None = None,
    endorsements: Sequence[bytes] = (),
) -> Acceptance:
    """What these arguments of `deploy` accept. UsageError for some that exclude each other."""
    if policy is not None and measurements:
        raise UsageError("judge", "measurements go with a simulated root: a policy names its own")
    if policy is None and endorsements:
        raise UsageError("judge", "endorsements go with a policy: simulated evidence brings its own")
    if isinstance(policy, (str, os.PathLike)):
        policy = acceptance.read_policy(policy)
    if isinstance(simulated_root, (str, os.PathLike)):
        simulated_root = acceptance.read_root(simulated_root)
    return Acceptance(
        simulated_root=simulated_root,
        measurements=tuple(map(acceptance.measurement, measurements)),
        policy=policy,
        endorsements=tuple(endorsements),
    )


def as_stdin(stdin: bytes | Stdin) -> Stdin:
    """Stdin as `Run` takes it."""
    return (stdin,) if isinstance(stdin, bytes) else stdin
