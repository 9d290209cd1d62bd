"""Being attached, from a terminal: stdio through, signals, and how a run's end becomes an exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from typing import Any

from enarx.cli import console
from enarx.delivery.session import STDERR, Status
from enarx.delivery.tenant import Session
from enarx.errors import EnarxError, UsageError
from enarx.record import names
from enarx.tenant.deploy import Delivered, Result, Run
from enarx.tenant.link import Link

SETTLE = 30.0
"""Seconds to wait for a Keep to take over a detached job."""


def write(kind: int, data: bytes) -> None:
    """Verified bytes of stdout or stderr, out at once."""
    fd = 2 if kind == STDERR else 1
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def conclude(result: Result, options: argparse.Namespace, *, attestation: dict[str, Any] | None = None) -> int:
    """Say how it ended where that is not plain, and return the exit code."""
    status = result.status
    code = console.STATUS_EXITS.get(status.cause, status.code)
    if status.cause != "exit":
        console.say(f"error: {_story(status)}", colour="31;1")
        if status.backtrace:
            console.say("wasm backtrace:")
            for line in status.backtrace.splitlines():
                console.say(f"  {_printable(line)}")
    elif status.message:
        console.say(f"note: the workload exited with {status.code}; {_printable(status.message)}")
    if result.lost:
        stdout, stderr = result.unproven
        what = f"what was shown is not all; {stdout} bytes of stdout and {stderr} of stderr are unproven"
        console.say(f"error: the host dropped output: {what}", colour="31;1")
        code = console.EXIT_UNDECIDED
    if options.json:
        print(json.dumps(as_json(result, code, attestation)), file=sys.stderr)
    return code


def as_json(result: Result, code: int, attestation: dict[str, Any] | None) -> dict[str, Any]:
    """What --json says of an end."""
    status = {name: getattr(result.status, name) for name in names(Status)}
    return {
        "termination": result.status.cause,
        "exit_code": code,
        "status": status,
        "output_lost": result.lost,
        "unproven": dict(zip(("stdout", "stderr"), result.unproven, strict=True)),
        "attestation": attestation,
    }


def require_receipt(options: argparse.Namespace) -> None:
    """That the file of --receipt can be written is said before anything runs, not after."""
    directory = os.path.dirname(os.path.abspath(options.receipt))
    if options.receipt and (os.path.isdir(options.receipt) or not os.access(directory, os.W_OK)):
        raise UsageError("receipt-file", f"{options.receipt}: cannot be written")


def write_receipt(path: str, result: Result) -> None:
    """The receipt of a run, for `enarx result verify`, if a file for it is named. It holds no secret."""
    if not path:
        return
    try:
        with open(path, "wb") as file:
            file.write(result.receipt.to_bytes())
    except OSError as e:
        raise UsageError("receipt-file", f"{path}: {e.strerror}") from e


def _story(status: Status) -> str:
    said = _printable(status.message)
    texts = {
        "trap": f"the workload trapped: {said}",
        "time": f"the workload was ended by its time limit: {said}",
        "memory": f"the workload was ended: {said}",
        "output": f"the workload was ended by its output limit: {said}",
        "stopped": "the workload was stopped by its owner",
        "refused": f"the Keep refused the package: {said}",
        "failed": f"the workload did not start: {said}",
    }
    return texts[status.cause]


def _printable(text: str) -> str:
    """Text of a guest's making, without anything that could drive a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def serve(run: Run, receipt: str) -> Result:
    """Serve a run with this process's stdio; its receipt is written before anything of the run is let go of."""
    sys.stdout.flush()
    result = run.serve()
    write_receipt(receipt, result)
    return result


def attached(link: Link, delivered: Delivered) -> Run:
    """A run with this process's stdio, from where its delivery ended."""
    return Run(
        link=link,
        session=delivered.session,
        start=delivered.start,
        output=delivered.output,
        write=write,
        stdin=0,
    )


def settle(link: Link, delivered: Delivered) -> None:
    """Close the workload's stdin and wait for the Keep to say that it has taken over, or has ended already."""
    run = Run(link=link, session=delivered.session, start=delivered.start, output=delivered.output, stdin=None)
    ended = threading.Thread(target=_quietly, args=(run,), daemon=True)
    ended.start()
    run.settled.wait(SETTLE)


def stop(link: Link, opened: Session, seconds: float) -> Result | None:
    """Ask the Keep to stop; its final record, or None if it does not answer in time."""
    found: list[Result] = []
    run = Run(link=link, session=opened, close_stdin=False)
    thread = threading.Thread(target=_quietly, args=(run, found), daemon=True)
    thread.start()
    if run.attached.wait(seconds):
        run.stop()
    thread.join(seconds)
    return found[0] if found else None


def _quietly(run: Run, found: list[Result] | None = None) -> None:
    try:
        result = run.serve()
    except EnarxError:
        return  # whoever waits sees that there is no result
    if found is not None:
        found.append(result)
