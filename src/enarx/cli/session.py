"""An attached job on a terminal: its receipt, and how its end becomes messages and an exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Self

from enarx.api.jobs import Job, Result
from enarx.api.start import Hooks
from enarx.cli import attestation, console
from enarx.delivery.session import Status
from enarx.errors import EnarxError, UsageError
from enarx.record import as_dict, names

STDIN, STDOUT, STDERR = 0, 1, 2
"""The descriptors that an attached job reads and writes."""

WRONG_EXIT = "invalid exit status"
"""In wasmtime's message about a call of `proc_exit` with a code above 125."""


def has_input() -> bool:
    """Whether stdin is a file or a pipe with data that nobody has read."""
    import stat

    try:
        status = os.fstat(STDIN)
        if stat.S_ISREG(status.st_mode):
            return status.st_size > os.lseek(STDIN, 0, os.SEEK_CUR)
        if stat.S_ISFIFO(status.st_mode):
            import fcntl
            import termios

            return any(fcntl.ioctl(STDIN, termios.FIONREAD, bytes(4)))
    except (OSError, ImportError):
        return False  # closed: it has none; or a system without ioctl, where nobody can tell
    return False


SLOW_MODULE = 1 << 20
"""Bytes of a module from which on compiling may take long enough to be worth a line. Compiling takes up to 3 s per MiB."""


class Stages:
    """Tells people what a start is doing when it takes long; silent if `quiet`, for programs. A context for the start."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._size = 0
        self._notice: console.Notice | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def __call__(self, name: str, size: int) -> None:
        """Implement `Hooks.stage`; every stage ends the one before it."""
        self.end()
        self._size = size
        if name == "packaging":
            self._begin("packaging...")

    def waiting(self, job: Job) -> None:
        """The package is delivered. The Keep does not say when it has compiled the module; the workload's output does."""
        if self._size >= SLOW_MODULE:
            self._begin(f"compiling ({round(self._size / 1e6)} MB)...", lambda: job.output.begun)

    def end(self) -> None:
        """End the current stage: its line is not shown any more."""
        if self._notice is not None:
            self._notice.end()

    def _begin(self, line: str, over: Callable[[], bool] = lambda: False) -> None:
        if not self.quiet:
            self._notice = console.Notice(line, over)


def hooks(verdict: attestation.Verdict, stages: Stages) -> Hooks:
    """What a terminal shows while a job starts and runs."""
    progress = None if stages.quiet else console.Progress("delivering")
    return Hooks(progress=progress, attested=verdict, note=console.note, stage=stages)


def wait(job: Job, receipt: str, stages: Stages | None = None) -> Result:
    """Wait for the end, and write the receipt while the job still exists.

    Dropped output does not raise here: `conclude` reports it. Results that cannot be put into place raise.
    """
    sys.stdout.flush()
    if stages is not None:
        stages.waiting(job)
    try:
        result = job.wait()
    except EnarxError as e:
        if job.result is None:
            raise
        result = job.result
        write_receipt(receipt, result)
        if e.code != "output-lost":
            console.note(f"the workload ended by {result.termination}, which is proven")
            raise
    else:
        write_receipt(receipt, result)
    return result


def conclude(
    result: Result, options: argparse.Namespace, *, attestation: dict[str, Any] | None = None, keep: str = ""
) -> int:
    """Report how the run ended, unless it just exited, and return the exit code. `keep` still has results not fetched yet."""
    code = report(result)
    for directory in result.directories:
        if keep and not directory.path:
            holds = f"{console.counted(directory.files, 'file')}, {console.counted(directory.bytes, 'byte')}"
            console.note(f"results in {directory.guest} ({holds}): enarx keep logs {keep} --out DIR::{directory.guest}")
    if result.directories and result.status.cause != "exit":
        console.warn("the results are partial, because the workload did not end by itself")
    if options.json:
        print(json.dumps(as_json(result, code, attestation)), file=sys.stderr)
    return code


def report(result: Result, of: str = "") -> int:
    """Say how the run ended, unless it just exited, and return the exit code. `of` starts the lines, if there are several runs."""
    status = result.status
    code = console.STATUS_EXITS.get(status.cause, status.code)
    if status.cause != "exit":
        console.say(f"error: {of}{_story(status)}", colour="31;1")
        if status.backtrace:
            console.say("wasm backtrace:")
            for line in status.backtrace.splitlines():
                console.say(f"  {line}")
        if WRONG_EXIT in status.message:
            console.say("hint: exit with a code from 0 to 125; exit(-1) in C asks for 255")
    elif status.message:
        console.note(f"{of}the workload exited with {status.code}; {status.message}")
    if result.lost:
        stdout, stderr = result.unproven
        missing = f"the output shown is incomplete; {stdout} bytes of stdout and {stderr} of stderr are unproven"
        console.say(f"error: {of}the host dropped output: {missing}", colour="31;1")
        code = console.EXIT_UNDECIDED
    return code


def as_json(result: Result, code: int, attestation: dict[str, Any] | None) -> dict[str, Any]:
    """The value that --json prints at the end of a run."""
    status = {name: getattr(result.status, name) for name in names(Status)}
    return {
        "termination": result.status.cause,
        "exit_code": code,
        "status": status,
        "output_lost": result.lost,
        "unproven": dict(zip(("stdout", "stderr"), result.unproven, strict=True)),
        "attestation": attestation,
        "directories": [{**as_dict(each), "digest": each.digest.hex()} for each in result.directories],
    }


def require_receipt(options: argparse.Namespace) -> None:
    """UsageError, before anything runs, if the file of --receipt cannot be written."""
    if not options.receipt:
        return
    directory = os.path.dirname(options.receipt) or "."
    if os.path.isdir(options.receipt):
        raise UsageError("receipt-file", f"{options.receipt}: a directory, wanted a file", hint="name a file in it")
    if not os.path.isdir(directory):
        hint = f"make it first: mkdir -p {directory}"
        raise UsageError("receipt-file", f"{options.receipt}: no such directory, cannot be written", hint=hint)
    if not os.access(directory, os.W_OK):
        raise UsageError("receipt-file", f"{options.receipt}: cannot be written", hint="name another place for it")


def write_receipt(path: str, result: Result) -> None:
    """Write the receipt, for `enarx result verify`, if a file is named. It holds no secret. UsageError."""
    if not path:
        return
    try:
        with open(path, "wb") as file:
            file.write(result.receipt)
    except OSError as e:
        raise UsageError("receipt-file", f"{path}: {e.strerror}") from e


def _story(status: Status) -> str:
    message = status.message
    texts = {
        "trap": f"the workload trapped: {message}",
        "time": f"the workload was ended by its time limit: {message}",
        "memory": f"the workload was ended: {message}",
        "output": f"the workload's output: {message}",
        "stopped": "the workload was stopped by its owner",
        "refused": f"the Keep refused the package: {message}",
        "failed": f"the workload did not start: {message}",
    }
    return texts[status.cause]
