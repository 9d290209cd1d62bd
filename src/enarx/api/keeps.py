"""Keeps at a host by their ids, the sessions that this user has with them, and the output of one so far."""

from __future__ import annotations

import contextlib
import io
import os
import time
from collections.abc import Callable, Mapping

from enarx.api.hosts import Host, find, of_session
from enarx.api.jobs import Result
from enarx.api.streams import Sink, writer
from enarx.api.workloads import Out, Path, out_of
from enarx.delivery.output import FILES
from enarx.delivery.session import STDERR, STDOUT
from enarx.delivery.tenant import Attachment, Session
from enarx.errors import UnavailableError, UsageError
from enarx.formats.package import Manifest
from enarx.formats.wire import FrameType
from enarx.record import record, replace
from enarx.tenant import deploy, sessions
from enarx.tenant.delivering import FIRST_PAUSE, LONGEST_PAUSE, TRIES, refused
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.sessions import Saved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.tenant.results import Results

AGAIN = ("host-lost", "host-slow", "crowded", "silent")
"""Codes of UnavailableError after which the host is asked again."""

Note = Callable[[str], None]
"""Takes a line that people should see."""


@record()
class Known:
    """A Keep that a name stands for: its id, its host, and our session with it, if there is one."""

    keep: str
    host: Host
    saved: Saved | None

    def client(self) -> HostClient:
        """A client of its host."""
        return self.host.client()

    def require_session(self) -> Saved:
        """Our session with it. UsageError if there is none, since its output cannot be read then."""
        if self.saved is None:
            raise UsageError(
                "no-session",
                f"Keep {self.keep}: no saved session, so its output cannot be read",
                hint="only the tenant that deployed it has its keys",
            )
        return self.saved


def resolve(keep: str, *, host: str | Endpoint = "", token_file: str = "", note: Note) -> Known:
    """The Keep that has the name `keep` or an id that starts with it: among our sessions first, which also know its host.

    UsageError if there is none, or more than one.
    """
    if not isinstance(keep, str) or not keep:
        raise UsageError("keep", f"a Keep is named by {keep!r}, wanted its id or its name as a text")
    url = (host.url if isinstance(host, Endpoint) else host).rstrip("/")
    saved = sessions.find(keep, ours(note), url=url)
    if saved is not None:
        return Known(keep=saved.keep, host=of_session(saved, host, token_file), saved=saved)
    daemon = find(host, token_file)
    with contextlib.closing(daemon.client()) as client:
        matches = client.find(keep)
    if len(matches) != 1:
        url = daemon.endpoint.url
        if matches:
            message = f"{keep!r} stands for {len(matches)} Keeps of {url}: {', '.join(matches[:5])}"
            raise UsageError("keep-ambiguous", message, hint="give more digits of its id")
        message = f"no Keep of {url} has the name {keep!r}, or an id that starts with it"
        raise UsageError("keep-unknown", message, hint="enarx keep list shows the Keeps of a host")
    return Known(keep=matches[0], host=daemon, saved=None)


def wait_for_end(known: Known, timeout: float, *, note: Note) -> None:
    """Wait until the Keep has ended, as its host says, over as many connections as necessary.

    UnavailableError after `timeout` seconds, if the host stays away, or if the Keep is removed meanwhile.
    """
    end = time.monotonic() + timeout
    broken, reached = 0, False
    with contextlib.closing(known.client()) as client:
        while True:
            left = max(0.0, end - time.monotonic())
            try:
                if client.wait(known.keep, left if reached else 0):  # the first answer shows that the host is there
                    return
                broken, reached = 0, True
            except UsageError as e:
                if reached and e.code == "not-found":
                    raise removed(known.keep) from e
                raise
            except UnavailableError as e:
                broken += 1
                if broken > TRIES or not (e.code in AGAIN or (reached and e.code == "host-down")):
                    raise
                note(f"{e.message}; asking again")
                time.sleep(min(left, LONGEST_PAUSE, FIRST_PAUSE * 2 ** (broken - 1)))
            if reached and time.monotonic() >= end:
                raise UnavailableError("still-running", f"Keep {known.keep} has not ended in time", hint="wait longer")


def removed(keep: str) -> UnavailableError:
    """The error for a Keep that was removed before its end could be read."""
    hint = "an attached deploy removes its Keep at the end, and has the result"
    return UnavailableError("keep-removed", f"Keep {keep} was removed; how it ended cannot be read any more", hint=hint)


def ours(note: Note) -> list[Saved]:
    """All saved sessions; a file that is not one is noted and skipped."""
    saved, bad = sessions.known()
    for e in bad:
        note(f"{e.message}; skipped")
    return saved


@record(hidden=("stdout", "stderr"))
class Logs:
    """A job's output so far, verified. `result` is None until the job has ended; `lost` is True if the host dropped output.

    `stdout` and `stderr` are what went nowhere else.
    """

    stdout: bytes
    stderr: bytes
    result: Result | None
    lost: bool


def logs(
    keep: str,
    *,
    host: str | Endpoint = "",
    token_file: Path = "",
    out: Mapping[str, Path] | None = None,
    replace: bool = False,
) -> Logs:
    """The output of a job so far, by its Keep's id or a unique prefix of it; the Keep is not disturbed.

    `host`, `token_file`, `out` and `replace` are as for `enarx.deploy`; results exist once the job has ended. UsageError if
    there is no session with it; DeliveryError if the output does not verify; UnavailableError.
    """
    known = resolve(keep, host=host, token_file=os.fspath(token_file), note=lambda text: None)
    stdout, stderr = io.BytesIO(), io.BytesIO()
    result, lost = read_so_far(known, stdout, stderr, out_of(out, replace=replace))
    return Logs(stdout=stdout.getvalue(), stderr=stderr.getvalue(), result=result, lost=lost)


def results(session: Session, out: Out) -> Results | None:
    """What unpacks the results of a session; None if there are none for the owner.

    UsageError if a destination cannot be written, or belongs to none of them.
    """
    unpacking = out.results_of_owner(Manifest.from_bytes(session.manifest))
    if unpacking is not None:
        unpacking.check()
    return unpacking


def read_so_far(
    known: Known,
    stdout: Sink,
    stderr: Sink,
    out: Out = Out(),  # noqa: B008  # it cannot be changed
) -> tuple[Result | None, bool]:
    """Pass on a job's output so far, each record verified, and put results into place; nothing is sent to the Keep.

    Returns the result if the job has ended, and whether the host dropped output. Raises as `logs`.
    """
    session = known.require_session().session
    unpacking = results(session, out)
    try:
        return _read_so_far(known, session, stdout, stderr, unpacking)
    finally:
        if unpacking is not None:
            unpacking.discard()


def _read_so_far(
    known: Known, session: Session, stdout: Sink, stderr: Sink, unpacking: Results | None
) -> tuple[Result | None, bool]:
    write = {STDOUT: writer(stdout), STDERR: writer(stderr)}
    reader = Attachment(session, nonce=bytes(32))
    result = None
    client = known.client()
    with contextlib.closing(client.link(known.keep)) as link:
        for _, kind, payload in link.entries(1, follow=False):
            if kind is FrameType.REFUSAL:
                raise refused(payload)
            output = reader.receive(kind, payload)
            if output is None:
                continue
            if output.final is not None:
                result = Result.of(deploy.Result.of(session, reader.output, output.final))
                if unpacking is not None:
                    result = replace(result, directories=unpacking.finish(output.final))
            elif output.kind == FILES and unpacking is not None:
                unpacking.take(output.offset, output.data)
            elif (sink := write.get(output.kind)) is not None:
                sink(output.data)
    if reader.output.finished and result is None:
        raise deploy.results_sealed(session)
    return result, reader.output.lost > 0
