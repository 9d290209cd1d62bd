"""A job on a host, through its daemon: started there, or attached to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from enarx.api import keeps
from enarx.api.acceptance import Acceptance
from enarx.api.hosts import Host
from enarx.api.jobs import Job
from enarx.api.keeps import Known
from enarx.api.start import Hooks, Start
from enarx.api.streams import Sink
from enarx.api.workloads import Out, Workload
from enarx.delivery.tenant import Session
from enarx.errors import EnarxError, UnavailableError, UsageError
from enarx.formats.package import Manifest
from enarx.tenant.deploy import Stdin, admit
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.sessions import Saved, forget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.api.inviting import Inviting


class RemotePlace:
    """A Keep at a daemon, and the session with it, saved before anything secret is sent."""

    def __init__(
        self, client: HostClient, keep: str, token_file: str, saved: Saved | None = None, *, name: str = ""
    ) -> None:
        self.keep = keep
        self._name = name
        self.link = client.link(keep)
        self.saved = saved
        self._client = client
        self._token_file = os.path.abspath(token_file) if token_file else ""

    @property
    def session_file(self) -> str:
        """Implement jobs.Place: empty before `save`."""
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
            name=self._name,
        )
        self.saved.save()

    def require_lasting(self) -> None:
        """Implement jobs.Place: this Keep outlives the process."""

    def remove(self) -> None:
        """Implement jobs.Place: the daemon kills a running Keep."""
        self._client.call("DELETE", f"/v1/keeps/{self.keep}?force=true")
        if self.saved is not None:
            forget(self.saved)

    def leave(self) -> None:
        """Implement jobs.Place: closes connections; the Keep goes on."""
        self.link.close()
        self._client.close()


def _checked(name: str) -> str:
    """The name of a Keep, or an empty text. UsageError."""
    if not name:
        return ""
    from enarx.formats.names import WANTED, is_keep_name

    if not isinstance(name, str) or not is_keep_name(name):
        raise UsageError("keep-name", f"the name is {str(name)[:80]!r}, wanted {WANTED}")
    return name


class RemoteStart(Start):
    """Starts a job on a host, through its daemon."""

    def __init__(
        self,
        workload: Workload,
        hooks: Hooks,
        stdin: Stdin,
        stdout: Sink,
        stderr: Sink,
        *,
        out: Out,
        host: Host,
        backend: str,
        accepted: Acceptance,
        pool: bool,
        detach: bool,
        name: str = "",
        invite: str = "",
        invite_required: bool = False,
    ) -> None:
        super().__init__(hooks, stdin, stdout, stderr, out)
        self._name = _checked(name)
        self._workload = workload
        self._host = host
        self._kind = "" if backend == "auto" else backend
        self._accepted = accepted
        self._pool = pool
        self._detach = detach
        self._invite = invite
        self._invite_required = invite_required

    def start(self) -> Job:
        """Implement Start: with `detach` the job is left as soon as the Keep has accepted it.

        With `invite`, the path of a file, the invitation for providers and recipients is written there.
        """
        package, owners = self._packaged(self._workload)
        unread = self._detach and not package.manifest.recipients
        results = None if unread else self._results(package.manifest)
        inviting = self._inviting(package.manifest)
        verifier = self._verifier(self._accepted, package.manifest.digest, pooled=self._pool)
        client = self._host.client()
        self._require_not_aborted()
        keep = client.launch(
            kind=self._kind,
            package=None if self._pool else package.manifest.digest,
            declared=package.manifest.digest,
            name=self._name,
            memory=package.manifest.config.limits.memory,
            compile=package.compile,
            disk=package.disk,
            invitation=inviting.digest if inviting is not None else "",
        )
        place = RemotePlace(client, keep, self._host.token_file, name=self._name)
        self._close = place.link.close
        with self._undoing(place):
            self._require_not_aborted()
            progress = self._hooks.progress
            delivered = admit(place.link, package, owners, verifier, progress=progress, opened=place.save)
            job = self._job(place, delivered, verifier.result, package, results)
            if inviting is not None and delivered.accepted:
                job.invitation = inviting.write(job)
        if self._detach and delivered.accepted:
            job.detach()
        return job

    def _inviting(self, manifest: Manifest) -> Inviting | None:
        """The preparation of an invitation; None for a package without further owners of data. UsageError."""
        if not manifest.providers and not manifest.recipients:
            if self._invite:
                hint = "name them in Enarx.toml: [[providers]] or [[recipients]]"
                raise UsageError("invite", "an invitation for nobody: no provider or recipient is named", hint=hint)
            return None
        if self._invite_required and not self._invite:
            names = ", ".join([*(p.name for p in manifest.providers), *(r.name for r in manifest.recipients)])
            raise UsageError("invite", f"no file for the invitation that {names} need", hint="--invite FILE")
        from enarx.api.inviting import Inviting

        return Inviting(self._invite, self._host.endpoint)

    @contextlib.contextmanager
    def _undoing(self, place: RemotePlace) -> Iterator[None]:
        """Remove the Keep if anything fails. If a job to be detached may already run, its Keep and session are kept instead."""
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
    """Attaches to a running or ended job, by its saved session."""

    def __init__(
        self,
        keep: str,
        hooks: Hooks,
        stdin: Stdin,
        stdout: Sink,
        stderr: Sink,
        *,
        out: Out,
        host: str | Endpoint,
        token_file: str,
    ) -> None:
        super().__init__(hooks, stdin, stdout, stderr, out)
        self._keep = keep
        self._host = host
        self._token_file = token_file

    def start(self) -> Job:
        """Implement Start: UsageError if there is no such Keep, or no session with it."""
        known = keeps.resolve(self._keep, host=self._host, token_file=self._token_file, note=self._hooks.note)
        self._require_not_aborted()
        return attached(known, self._hooks, *self._streams, out=self._out)


def attached(
    known: Known,
    hooks: Hooks,
    stdin: Stdin = None,
    stdout: Sink = None,
    stderr: Sink = None,
    out: Out = Out(),  # noqa: B008  # it cannot be changed
) -> Job:
    """The job of a Keep, by its saved session; UsageError if none is saved. Without `stdin`, the job's stdin stays as it is."""
    saved = known.require_session()
    results = keeps.results(saved.session, out)
    return Job(
        RemotePlace(known.client(), known.keep, known.host.token_file, saved),
        saved.session,
        owned=False,
        stdin=stdin,
        close_stdin=stdin is not None,
        stdout=stdout,
        stderr=stderr,
        results=results,
        note=hooks.note,
    )
