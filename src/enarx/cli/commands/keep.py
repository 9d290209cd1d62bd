"""`enarx keep`: the Keeps of a host, and our sessions with them."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

from enarx.cli import console
from enarx.cli.options import Parser, Run, add_endpoint, add_json, add_receipt, add_results, add_verifier
from enarx.errors import EnarxError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.api.keeps import Known

KEEP = "its name or its id; a unique prefix of the id will do"
STATES = ("running", "ended", "lost")


def declare(parser: Parser) -> None:
    """Declare the options of `enarx keep`, one action after the other."""
    listing = parser.action(
        "list", list, "list the Keeps of a host", "enarx keep list", "enarx keep list --state running --json"
    )
    listing.add_argument("--name", metavar="NAME", default="", help="only Keeps of this name")
    listing.add_argument("--state", choices=STATES, default="", help="only Keeps in this state")
    inspecting = _on_keep(parser, "inspect", inspect, "show what the host reports about a Keep")
    reading = _on_keep(parser, "logs", logs, "show a Keep's output so far, verified")
    attesting = parser.action(
        "attest",
        attest,
        "have the Keep of a running job prove itself again, with fresh evidence",
        "enarx keep attest KEEP --simulated-root root.pub",
    )
    attesting.add_argument("keep", metavar="KEEP", help=KEEP)
    add_verifier(attesting)
    attaching = _on_keep(
        parser, "attach", attach, "attach to a session: stdin, stdout, stderr and status (Ctrl-C detaches)"
    )
    waiting = _on_keeps(parser, "wait", wait, "wait for the end of jobs, and exit with their code if it is proven")
    waiting.add_argument("--timeout", metavar="TIME", default="", help="give up after this time, as 90s or 5m")
    stopping = _on_keeps(parser, "stop", stop, "stop workloads: their owner asks the Keep, else the host kills it")
    removing = _on_keeps(parser, "rm", rm, "remove ended Keeps and their output")
    removing.add_argument("--force", action="store_true", help="kill it if it is running")
    pruning = parser.action("prune", prune, "remove all ended Keeps", "enarx keep prune")
    for each in (attaching, reading):
        add_receipt(each)
        add_results(each)
    for each in (listing, inspecting, reading, attesting, attaching, waiting, stopping, removing, pruning):
        add_json(each, "JSON on stdout (attach, logs: one line on stderr)")
        add_endpoint(each)


def _on_keep(parser: Parser, name: str, function: Run, text: str) -> Parser:
    """An action on one Keep."""
    action = parser.action(name, function, text, f"enarx keep {name} KEEP")
    action.add_argument("keep", metavar="KEEP", help=KEEP)
    return action


def _on_keeps(parser: Parser, name: str, function: Run, text: str) -> Parser:
    """An action on one Keep or more."""
    action = parser.action(name, function, text, f"enarx keep {name} KEEP")
    action.add_argument("keeps", nargs="+", metavar="KEEP", help=KEEP)
    return action


def list(options: argparse.Namespace) -> int:
    """List the Keeps of a host; OURS marks those that we have a session with. 0."""
    from enarx.api import keeps
    from enarx.cli import listing, remote

    client = remote.host(options).client()
    listed = client.keeps(name=options.name, state=options.state)
    ours = {saved.keep for saved in keeps.ours(console.note) if saved.url == client.endpoint.url}
    if options.json:
        console.show_json([listing.values(keep, ours=keep["id"] in ours) for keep in listed])
    else:
        listing.show(listed, ours)
    return 0


def inspect(options: argparse.Namespace) -> int:
    """Show everything that the host reports about one Keep. None of it is proven. 0."""
    from enarx.cli import remote

    known = remote.keep(options)
    console.show_json(known.client().call("GET", f"/v1/keeps/{known.keep}"))
    return 0


def logs(options: argparse.Namespace) -> int:
    """Show the output so far, each record verified; nothing is sent to the Keep.

    Returns the exit code of a job that has ended; for a running job 0, or 127 if the host dropped output.
    """
    from enarx.api import keeps
    from enarx.cli import remote, session, workload

    known = remote.keep(options)
    known.require_session()
    session.require_receipt(options)
    result, lost = keeps.read_so_far(known, session.STDOUT, session.STDERR, workload.out(options))
    if result is None:
        no_receipt = "; there is no receipt" if options.receipt else ""
        no_results = "; there are no results" if options.out else ""
        console.note(f"the job has not ended, or its end is lost{no_receipt}{no_results}")
        return console.EXIT_UNDECIDED if lost else 0
    session.write_receipt(options.receipt, result)
    return session.conclude(result, options, keep=known.keep)


def attest(options: argparse.Namespace) -> int:
    """Have the Keep of our running job prove itself again; 0 trusted, 126 refused, 127 undecided or silent."""
    from enarx.cli import attestation, remote
    from enarx.tenant.deploy import attest

    known = remote.keep(options)
    session = known.require_session().session
    verifier, verdict = attestation.verifier(options, session.package)
    client = known.client()
    match client.call("GET", f"/v1/keeps/{known.keep}"):
        case {"frames": int(frames)}:
            start = frames
        case _:
            start = 1
    attest(client.link(known.keep), session, verifier, start=start)
    if options.json:
        console.show_json(verdict.summary)
    return 0


def attach(options: argparse.Namespace) -> int:
    """Attach to a job until it ends; Ctrl-C leaves it running. Returns the workload's exit code, or 0 if left."""
    from enarx.api.remote import attached
    from enarx.api.start import Hooks
    from enarx.cli import remote, session, workload

    known = remote.keep(options)
    known.require_session()
    session.require_receipt(options)
    streams = (session.STDIN, session.STDOUT, session.STDERR)
    job = attached(known, Hooks(note=console.note), *streams, out=workload.out(options))
    with job:
        try:
            result = session.wait(job, options.receipt)
        except KeyboardInterrupt:
            console.say(f"\ndetached; the workload goes on: enarx keep attach {job.keep}")
            return 0
    return session.conclude(result, options, keep=job.keep)


def wait(options: argparse.Namespace) -> int:
    """Wait for the end of jobs. Returns the exit code of the first that did not end with 0; 127 for an end that is not proven."""
    from enarx.api import keeps

    end = time.monotonic() + _seconds(options.timeout)
    ends: dict[str, Any] = {}

    def waited(known: Known) -> int:
        keeps.wait_for_end(known, end - time.monotonic(), note=console.note)
        code, ends[known.keep] = end_of = _end(known)
        if not options.json:
            console.show(f"{known.keep}  {end_of[1]['termination'] or 'ended, not proven'}  {code}")
        return code

    code = _each(options, waited)
    if options.json:
        console.show_json([{"keep": keep, **value} for keep, value in ends.items()])
    return code


def _seconds(text: str) -> float:
    """The seconds of --timeout; without it, no end. UsageError."""
    from enarx.formats.quantities import parse_duration

    try:
        return parse_duration(text) if text else float("inf")
    except UsageError as e:
        raise UsageError(e.code, f"--timeout: {e.message}", hint=e.hint) from None


def _end(known: Known) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON value of a Keep that has ended as the host says: proven by our session, if there is one."""
    from enarx.api import keeps
    from enarx.cli import session

    result = None
    if known.saved is not None:
        try:
            with open(os.devnull, "wb") as nothing:
                result, _ = keeps.read_so_far(known, nothing, nothing)
        except UsageError as e:
            raise (keeps.removed(known.keep) if e.code == "not-found" else e) from e
    if result is None:
        why = "no session with it is saved here" if known.saved is None else "no final record of it is left"
        console.note(f"Keep {known.keep} has ended, as the host says; how is not proven: {why}")
        return console.EXIT_UNDECIDED, {"proven": False, "termination": None, "exit_code": console.EXIT_UNDECIDED}
    code = session.report(result, f"Keep {known.keep}: ")
    return code, {"proven": not result.lost, "termination": result.termination, "exit_code": code}


def stop(options: argparse.Namespace) -> int:
    """Stop workloads. The owner asks the Keep, which proves that it stopped; for anyone else the host kills it. 0."""
    stopped: dict[str, Any] = {}

    def stop_one(known: Known) -> int:
        cause = _stopped(known) if known.saved is not None else ""
        if cause:
            console.say("stopped" if cause == "stopped" else f"the workload had ended already: {cause}")
        else:
            known.client().call("POST", f"/v1/keeps/{known.keep}/stop")
            console.say("stopped by the host; what the workload did until then is not proven")
        stopped[known.keep] = cause or None
        return 0

    code = _each(options, stop_one)
    if options.json:
        console.show_json(
            [{"keep": keep, "proven": bool(cause), "termination": cause} for keep, cause in stopped.items()]
        )
    return code


def _stopped(known: Known) -> str:
    """Ask the Keep to stop; returns the proven cause of its end, empty if it does not answer in time."""
    from enarx.api.remote import attached
    from enarx.api.start import Hooks

    try:
        with (
            open(os.devnull, "wb") as nothing,
            attached(known, Hooks(note=console.note), stdout=nothing, stderr=nothing) as job,
        ):
            return job.stop().termination
    except EnarxError:
        return ""


def rm(options: argparse.Namespace) -> int:
    """Remove Keeps, their stored output and our sessions with them. 0."""
    removed: dict[str, None] = {}

    def remove(known: Known) -> int:
        _remove(known, force=options.force)
        removed[known.keep] = None
        return 0

    code = _each(options, remove)
    if options.json:
        console.show_json({"removed": [*removed]})
    elif removed:
        console.say(f"removed {_keeps(len(removed))}")
    return code


def _remove(known: Known, *, force: bool) -> None:
    from enarx.tenant import sessions

    try:
        known.client().call("DELETE", f"/v1/keeps/{known.keep}" + ("?force=true" if force else ""))
    except UsageError as e:
        if e.code != "not-found" or known.saved is None:
            raise
        console.note(f"Keep {known.keep}: its host does not have it any more; the session with it is removed")
    if known.saved is not None:
        sessions.forget(known.saved)


def _each(options: argparse.Namespace, act: Callable[[Known], int]) -> int:
    """Act on each Keep that the options name. Of several, one that fails does not keep the others from their turn.

    Returns the first code that is not 0. Of a single Keep, the error is raised.
    """
    from enarx.cli import remote

    first = 0
    for word in dict.fromkeys(options.keeps):
        options.keep = word
        try:
            code = act(remote.keep(options))
        except EnarxError as e:
            if len(options.keeps) == 1:
                raise
            console.say(f"Keep {word}:")
            code = console.report(e)
        first = first or code
    return first


def _keeps(count: int) -> str:
    return "1 Keep" if count == 1 else f"{count} Keeps"


def prune(options: argparse.Namespace) -> int:
    """Remove every ended Keep of a host, and our sessions with them. 0."""
    from enarx.api import keeps
    from enarx.cli import remote
    from enarx.tenant import sessions
    from enarx.tenant.http import ids

    client = remote.host(options).client()
    removed: Any = client.call("POST", "/v1/prune")
    names = ids(removed, "removed")
    for saved in keeps.ours(console.note):
        if saved.url == client.endpoint.url and saved.keep in names:
            sessions.forget(saved)
    if options.json:
        console.show_json({"removed": names})
    else:
        console.say(f"removed {_keeps(len(names))}")
    return 0
