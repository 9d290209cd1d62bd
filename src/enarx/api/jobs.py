"""A running workload (`Job`), and its outcome (`Result`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import BinaryIO, Protocol, Self

from enarx.api.streams import Output, Sink
from enarx.delivery.reading import OutputOpener
from enarx.delivery.session import Status
from enarx.delivery.tenant import Session
from enarx.errors import EnarxError, UnavailableError, UsageError
from enarx.formats.package import Manifest
from enarx.record import record, replace
from enarx.tenant import deploy
from enarx.tenant.deploy import Run, Stdin
from enarx.tenant.link import Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from enarx.tenant.invitations import Invitation
    from enarx.tenant.results import Directory, Results
    from enarx.verify import AttestationResult

STOP = 10.0
"""Seconds to wait for the Keep to prove that it has stopped."""

SETTLE = 30.0
"""Seconds to wait for the Keep to confirm that stdin is closed."""

END = 10.0
"""Seconds to wait for a job's own threads once its connections are closed."""


@record(hidden=("stdout", "stderr", "receipt", "attestation"))
class Result:
    """How a job ended. `status` is proven: the Keep signed it.

    `stdout` and `stderr` are the output that the program had not read, and that was not passed on to a file. `attestation`
    is the verdict on the Keep before the delivery; None for a job that was attached to. `lost` is True if the host
    dropped output, and `unproven` then counts the bytes of stdout and stderr that no signature covers. `directories` are the
    workload's output directories; if it did not end by `exit`, they may be partial.
    """

    status: Status
    stdout: bytes
    stderr: bytes
    lost: bool
    unproven: tuple[int, int]
    receipt: bytes
    attestation: AttestationResult | None = None
    directories: tuple[Directory, ...] = ()

    @classmethod
    def of(cls, result: deploy.Result, attestation: AttestationResult | None = None) -> Self:
        """The result of a run, without its output and directories."""
        return cls(
            status=result.status,
            stdout=b"",
            stderr=b"",
            lost=result.lost,
            unproven=result.unproven,
            receipt=result.receipt.to_bytes(),
            attestation=attestation,
        )

    @property
    def termination(self) -> str:
        """What ended it: exit, trap, time, memory, output, stopped, refused or failed."""
        return self.status.cause

    @property
    def exit_code(self) -> int | None:
        """The workload's own exit code, 0 to 255; None if it did not exit by itself."""
        return self.status.code if self.status.cause == "exit" else None


class Place(Protocol):
    """The Keep of a job, with the connection to it and the saved session."""

    @property
    def keep(self) -> str:
        """The Keep's id at its host."""
        ...

    @property
    def link(self) -> Link:
        """The connection to the Keep through its host."""
        ...

    @property
    def session_file(self) -> str:
        """The path of the saved session; empty if none is saved."""
        ...

    def require_lasting(self) -> None:
        """UsageError if the Keep cannot outlive this process."""

    def remove(self) -> None:
        """Kill the Keep, and forget its session. EnarxError if the host fails to do it."""

    def leave(self) -> None:
        """Close the connections of this process; the Keep goes on."""


class Job:
    """A workload in a Keep that this program is attached to. Made by `enarx.run`, `enarx.deploy` and `enarx.attach`.

        with enarx.run("hello.wasm", simulate=True) as job:
            for line in job.stdout:
                print(line)
            result = job.wait()

    Leaving the block ends a job that was started here, and leaves no Keep behind; a job that was attached to goes on.
    `keep` is the Keep's id, empty on this machine's own host side; `package` is the digest that evidence bound. `session`
    is as secret as the output, and is saved in `session_file`, if that is not empty. `result` is None until the end.
    `invitation` is for the providers and recipients of a job that was deployed here; None if it has none.

    `stdout` and `stderr` are binary files. They end only once the Keep has proven its end: else reading raises what
    `wait` raises. A Job may be used by several threads.
    """

    def __init__(
        self,
        place: Place,
        session: Session,
        *,
        owned: bool,
        start: int = 1,
        opener: OutputOpener | None = None,
        stdin: Stdin = None,
        close_stdin: bool = True,
        stdout: Sink = None,
        stderr: Sink = None,
        results: Results | None = None,
        attestation: AttestationResult | None = None,
        note: Callable[[str], None] = lambda text: None,
        contributed: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.keep = place.keep
        self.package = session.package
        self.session = session
        self.attestation = attestation
        self.session_file = place.session_file
        self.invitation: Invitation | None = None
        self.detached = False
        self.result: Result | None = None
        self._place = place
        self._owned = owned
        self._note = note
        self._results = results
        self.output = Output(stdout, stderr)
        self._run = Run(
            link=place.link,
            session=session,
            start=start,
            output=opener,
            write=self.output.write,
            files=lambda offset, data: None if results is None else results.take(offset, data),
            stdin=stdin,
            close_stdin=close_stdin,
            interrupted=lambda e: note(f"{e.message}; connecting again"),
            contributed=lambda key: contributed(_provider(session, key)),
        )
        self._closing = threading.Lock()
        self._closed = False
        self._taking = threading.Lock()
        self._taken = False
        self._thread = threading.Thread(target=self._serve, daemon=True, name="enarx-job")
        self._thread.start()

    def __repr__(self) -> str:
        state = "running" if self.result is None else self.result.termination
        return f"<Job keep={self.keep!r} package={self.package.hex()[:16]} {state}>"

    @property
    def stdout(self) -> BinaryIO:
        """The workload's stdout, verified; empty if it is passed on to a file."""
        return self.output.stdout

    @property
    def stderr(self) -> BinaryIO:
        """The workload's stderr, verified; empty if it is passed on to a file."""
        return self.output.stderr

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end of the job, and return its result.

        TimeoutError after `timeout` seconds; the job goes on. UnavailableError if the Keep or its host is lost, or if the
        host dropped output (code `output-lost`; `result` then has what is proven). DeliveryError if a record does not
        verify. OSError if the output cannot be written.
        """
        if not self.output.wait(timeout):
            raise TimeoutError(f"the job did not end within {timeout:g} s")
        if self.output.error is not None:
            raise self.output.error
        assert self.result is not None  # it is set before the output ends without an error
        with self._taking:
            if not self._taken:
                self.result = replace(self.result, stdout=self.stdout.read(), stderr=self.stderr.read())
                self._taken = True
        return self.result

    def stop(self) -> Result:
        """Have the Keep kill the workload, and return the proven result. UnavailableError if the Keep does not answer."""
        self._run.attached.wait(STOP)
        self._run.stop()
        try:
            return self.wait(STOP)
        except TimeoutError:
            raise UnavailableError(
                "keep-silent", f"the Keep did not stop within {STOP:g} s", hint="close or remove the job instead"
            ) from None

    def detach(self, *, close_stdin: bool = True) -> str:
        """Leave the job running, to be attached to later; returns its Keep's id.

        First all of stdin is delivered, and the Keep confirms its end. UnavailableError if it does not within 30 s; the job is
        left all the same. With `close_stdin` False the job is left at once, with its stdin open. Output is no longer read: a
        later attachment gets all of it from the start. UsageError for a job that `enarx.run` started, because its host side
        ends with this program.
        """
        self._place.require_lasting()
        self.output.discard()  # a later attachment gets all of it again
        try:
            if close_stdin and self.result is None:
                self._run.settle(SETTLE)
                if self._run.over:
                    self._thread.join(END)
                    error = self.output.error
                    sealed = isinstance(error, UnavailableError) and error.code == "results-sealed"
                    if self.result is None and error is not None and not sealed:  # sealed: it ended, for its recipients
                        raise error
        finally:
            self._close(remove=False)
        self.detached = True
        return self.keep

    def remove(self) -> None:
        """End the job, and remove its Keep and its session. EnarxError if the host fails to do it."""
        self._close(remove=True)

    def close(self) -> None:
        """End a job that was started here, and remove its Keep; leave a job that was attached to. May be called again.

        If the host fails to remove the Keep, that is only noted in the log.
        """
        try:
            self._close(remove=self._owned)
        except EnarxError as e:
            self._note(f"Keep {self.keep} was not removed: {e.message}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        """The thread that reads from the Keep."""
        results = self._results
        try:
            result = self._run.serve()
            self.result = Result.of(result, self.attestation)
            if results is not None:
                self.result = replace(self.result, directories=results.finish(result.final))
        except BaseException as e:  # noqa: BLE001  # `wait` and the streams raise it
            if results is not None:
                results.discard()
            self.output.end(e)
            return
        self.output.end(_lost(result) if result.lost else None)

    def _close(self, *, remove: bool) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self.output.end(UsageError("job-closed", "the job was closed before it ended"))
            try:
                if remove:
                    self._place.remove()
            finally:
                self._place.leave()
                self._thread.join(END)


def _provider(session: Session, key: bytes) -> str:
    """The name of the provider with this key."""
    names = {provider.key: provider.name for provider in Manifest.from_bytes(session.manifest).providers}
    return names.get(key, key.hex())


def _lost(result: deploy.Result) -> UnavailableError:
    stdout, stderr = result.unproven
    return UnavailableError(
        "output-lost",
        f"the host dropped output: {stdout} bytes of stdout and {stderr} of stderr are unproven",
        hint="how the job ended is proven, what it wrote is not",
    )
