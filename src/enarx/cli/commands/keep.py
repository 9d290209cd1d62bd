"""`enarx keep`: the Keeps of a host, and our sessions with them."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from enarx.cli import console
from enarx.cli.options import Parser, Run, add_endpoint, add_json, add_receipt, add_results, add_verifier
from enarx.errors import EnarxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.api.keeps import Known

KEEP = "its id, or a prefix that is unique"


def declare(parser: Parser) -> None:
    """Declare the options of `enarx keep`, one action after the other."""
    listing = parser.action("list", list, "list the Keeps of a host", "enarx keep list")
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
    stopping = _on_keep(parser, "stop", stop, "stop a workload: its owner asks the Keep, else the host kills it")
    removing = _on_keep(parser, "rm", rm, "remove an ended Keep and its output")
    removing.add_argument("--force", action="store_true", help="kill it if it is running")
    pruning = parser.action("prune", prune, "remove all ended Keeps", "enarx keep prune")
    for each in (attaching, reading):
        add_receipt(each)
        add_results(each)
    for each in (listing, inspecting, reading, attesting, attaching, stopping, removing, pruning):
        add_json(each, "JSON on stdout (attach, logs: one line on stderr)")
        add_endpoint(each)


def _on_keep(parser: Parser, name: str, function: Run, text: str) -> Parser:
    """An action on one Keep."""
    action = parser.action(name, function, text, f"enarx keep {name} KEEP")
    action.add_argument("keep", metavar="KEEP", help=KEEP)
    return action


def list(options: argparse.Namespace) -> int:
    """List all Keeps of a host; OURS marks those that we have a session with. 0."""
    from enarx.api import keeps
    from enarx.cli import remote

    client = remote.host(options).client()
    listed = client.keeps()
    ours = {saved.keep for saved in keeps.ours(console.note) if saved.url == client.endpoint.url}
    if options.json:
        console.show_json([{**keep, "ours": keep["id"] in ours} for keep in listed])
        return 0
    rows = [
        [
            keep["id"],
            str(keep.get("kind", "")),
            str(keep.get("state", "")),
            _ago(keep.get("started")),
            "yes" if keep["id"] in ours else "",
        ]
        for keep in listed
    ]
    console.table(rows, ["KEEP", "KIND", "STATE", "STARTED", "OURS"])
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


def stop(options: argparse.Namespace) -> int:
    """Stop a workload. Its owner asks the Keep, which proves that it stopped; for anyone else the host kills it. 0."""
    from enarx.cli import remote

    known = remote.keep(options)
    if known.saved is not None and (cause := _stopped(known)):
        console.say(f"stopped: {cause}")
        return 0
    known.client().call("POST", f"/v1/keeps/{known.keep}/stop")
    console.say("stopped by the host; what the workload did until then is not proven")
    return 0


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
    """Remove a Keep, its stored output and our session with it. 0."""
    from enarx.cli import remote
    from enarx.tenant import sessions

    known = remote.keep(options)
    known.client().call("DELETE", f"/v1/keeps/{known.keep}" + ("?force=true" if options.force else ""))
    if known.saved is not None:
        sessions.forget(known.saved)
    return 0


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
        print(json.dumps(removed))
    else:
        print(f"removed {len(names)}", file=sys.stderr)
    return 0


def _ago(started: object) -> str:
    if not isinstance(started, (int, float)) or not 0 <= started < 1 << 40:
        return ""
    seconds = max(0, int(time.time() - started))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"
