"""`enarx keep`: what a host says of its Keeps, and the sessions that we have with them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from enarx.cli import console
from enarx.cli.options import Parser, Run, add_endpoint, add_json, add_receipt, add_verifier
from enarx.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.tenant.http import HostClient
    from enarx.tenant.sessions import Saved

KEEP = "its id, or a prefix that is unique"
SETTLED = 10.0
"""Seconds to wait for the Keep's own word that it has stopped."""


def declare(parser: Parser) -> None:
    """`enarx keep`: one action for each thing that can be done with a Keep."""
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
    for each in (listing, inspecting, reading, attesting, attaching, stopping, removing, pruning):
        add_json(each, "JSON on stdout (attach, logs: one line on stderr)")
        add_endpoint(each)


def _on_keep(parser: Parser, name: str, function: Run, text: str) -> Parser:
    """An action on one Keep."""
    action = parser.action(name, function, text, f"enarx keep {name} KEEP")
    action.add_argument("keep", metavar="KEEP", help=KEEP)
    return action


def list(options: argparse.Namespace) -> int:
    """All Keeps of a host; `ours` marks those that we have a session with."""
    from enarx.cli import remote

    client = remote.client(options)
    keeps = client.keeps()
    ours = {saved.keep for saved in _sessions() if saved.url == client.endpoint.url}
    if options.json:
        console.show_json([{**keep, "ours": keep["id"] in ours} for keep in keeps])
        return 0
    rows = [
        [
            k["id"],
            str(k.get("kind", "")),
            str(k.get("state", "")),
            _ago(k.get("started")),
            "yes" if k["id"] in ours else "",
        ]
        for k in keeps
    ]
    console.table(rows, ["KEEP", "KIND", "STATE", "STARTED", "OURS"])
    return 0


def inspect(options: argparse.Namespace) -> int:
    """Everything a host says of one Keep. It is the host's word and no more."""
    client, keep, _ = _resolve(options)
    console.show_json(client.call("GET", f"/v1/keeps/{keep}"))
    return 0


def logs(options: argparse.Namespace) -> int:
    """Output so far, each record verified; not attached, nothing is sent."""
    from enarx.cli import session
    from enarx.delivery.session import STDERR, STDOUT
    from enarx.delivery.tenant import Attachment
    from enarx.formats.wire import FrameType
    from enarx.tenant.delivering import refused
    from enarx.tenant.deploy import Result

    client, keep, saved = _resolve(options)
    known = _ours(saved, keep)
    session.require_receipt(options)
    reader = Attachment(known.session, nonce=bytes(32))
    result = None
    for _, kind, payload in client.link(keep).entries(1, follow=False):
        if kind is FrameType.REFUSAL:
            raise refused(payload)
        record = reader.receive(kind, payload)
        if record is None:
            continue
        if record.kind in (STDOUT, STDERR):
            session.write(record.kind, record.data)
        elif record.final is not None:
            result = Result.of(known.session, reader.output, record.final)
    if result is not None:
        session.write_receipt(options.receipt, result)
        return session.conclude(result, options)
    console.say(
        "note: no end of it is there: it goes on, or is lost" + ("; there is no receipt" if options.receipt else "")
    )
    return console.EXIT_UNDECIDED if reader.output.lost else 0


def attest(options: argparse.Namespace) -> int:
    """Fresh evidence of the Keep that runs a job of ours, judged: 0 trusted, 126 refused, 127 undecided or silent."""
    from enarx.cli import attestation
    from enarx.tenant.deploy import attest as attest_session

    client, keep, saved = _resolve(options)
    known = _ours(saved, keep)
    judge = attestation.judge_of(options, known.session.package)
    match client.call("GET", f"/v1/keeps/{keep}"):
        case {"frames": int(frames)}:
            start = frames
        case _:
            start = 1
    attest_session(client.link(keep), known.session, judge, start=start)
    if options.json:
        console.show_json(judge.summary)
    return 0


def attach(options: argparse.Namespace) -> int:
    """Take up a session; Ctrl-C leaves it as it is."""
    from enarx.cli import session
    from enarx.tenant import deploy

    client, keep, saved = _resolve(options)
    known = _ours(saved, keep)
    session.require_receipt(options)
    run = deploy.Run(link=client.link(keep), session=known.session, write=session.write, stdin=0)
    try:
        result = session.serve(run, options.receipt)
    except KeyboardInterrupt:
        console.say(f"\ndetached; the workload goes on: enarx keep attach {keep}")
        return 0
    return session.conclude(result, options)


def stop(options: argparse.Namespace) -> int:
    """Ask the Keep under seal, if we are its owner, so that its end is proven; else have the host kill it."""
    from enarx.cli import session

    client, keep, saved = _resolve(options)
    if saved is not None and (result := session.stop(client.link(keep), saved.session, SETTLED)) is not None:
        console.say(f"stopped: {result.status.cause}")
        return 0
    client.call("POST", f"/v1/keeps/{keep}/stop")
    console.say("stopped by the host; what it did until then is not proven")
    return 0


def rm(options: argparse.Namespace) -> int:
    """Remove a Keep, its stored output and our session with it."""
    from enarx.tenant import sessions

    client, keep, saved = _resolve(options)
    client.call("DELETE", f"/v1/keeps/{keep}" + ("?force=true" if options.force else ""))
    if saved is not None:
        sessions.forget(saved)
    return 0


def prune(options: argparse.Namespace) -> int:
    """Remove every ended Keep of a host."""
    from enarx.cli import remote
    from enarx.tenant import sessions
    from enarx.tenant.http import ids

    client = remote.client(options)
    removed: Any = client.call("POST", "/v1/prune")
    names = ids(removed, "removed")
    for saved in _sessions():
        if saved.url == client.endpoint.url and saved.keep in names:
            sessions.forget(saved)
    if options.json:
        print(json.dumps(removed))
    else:
        print(f"removed {len(names)}", file=sys.stderr)
    return 0


def _resolve(options: argparse.Namespace) -> tuple[HostClient, str, Saved | None]:
    """The Keep that is meant: by our sessions first, which also know its host."""
    from enarx.cli import remote
    from enarx.tenant import sessions

    saved = sessions.find(options.keep, _sessions(), url=options.host.rstrip("/"))
    if saved is not None:
        return remote.client_of(saved, options), saved.keep, saved
    client = remote.client(options)
    matches = client.find(options.keep)
    if len(matches) != 1:
        count = f"{len(matches)} Keeps" if matches else "no Keep"
        hint = "enarx keep list; more digits of the id, where several begin alike"
        raise UsageError("keep-unknown", f"{count} of {client.endpoint.url} begin with {options.keep!r}", hint=hint)
    return client, matches[0], None


def _sessions() -> Sequence[Saved]:
    """All saved sessions; a file that is none is named and passed over."""
    from enarx.tenant import sessions

    saved, bad = sessions.known()
    for e in bad:
        console.say(f"note: {e.message}; passed over")
    return saved


def _ours(saved: Saved | None, keep: str) -> Saved:
    if saved is None:
        raise UsageError(
            "no-session",
            f"Keep {keep}: no session of ours, so nothing of it can be read",
            hint="only who deployed it holds its keys",
        )
    return saved


def _ago(started: object) -> str:
    if not isinstance(started, (int, float)) or not 0 <= started < 1 << 40:
        return ""
    seconds = max(0, int(time.time() - started))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"
