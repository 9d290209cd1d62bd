"""`enarx deploy`: deliver a workload to a Keep on a host that nobody trusts."""

from __future__ import annotations

import argparse

from enarx.cli import console
from enarx.cli.options import Parser, add_backend, add_delivery, add_endpoint, add_workload
from enarx.errors import BackendError, EnarxError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.api.jobs import Job, Result
    from enarx.cli.session import Stages


def declare(parser: Parser) -> None:
    """Declare the options of `enarx deploy`."""
    parser.runs(
        deploy,
        "enarx deploy --simulated-root root.pub hello.wasm",
        "enarx deploy --host https://host.example:8443 --token-file token --simulated-root root.pub --detach job.wasm",
    )
    add_workload(parser)
    add_delivery(parser)
    add_endpoint(parser)
    add_backend(parser)
    parser.add_argument(
        "--simulated-root",
        metavar="FILE",
        help="accept simulated evidence under this root: NOT protected from the host's owner",
    )
    parser.add_argument(
        "--measurement",
        action="append",
        default=[],
        metavar="HEX",
        help="accept this Keep image (default: this release's)",
    )
    parser.add_argument("--name", metavar="NAME", default="", help="name the Keep; the host sees the name")
    parser.add_argument(
        "--detach", action="store_true", help="leave once delivered, with an empty stdin; attach later for the result"
    )
    parser.add_argument(
        "--invite", metavar="FILE", default="", help="write the invitation for providers and recipients of the workload"
    )
    parser.add_argument("--no-pool", action="store_true", help="launch a Keep for this package alone")


def deploy(options: argparse.Namespace) -> int:
    """Launch, attest, deliver; then stay attached, or leave once the Keep has accepted the package.

    Returns the workload's exit code; 0 for a job that was left.
    """
    from enarx.api.remote import RemoteStart
    from enarx.cli import attestation, parties, remote, session, workload
    from enarx.record import replace

    _check(options)
    verdict = attestation.Verdict(explain=options.explain)
    waiting = parties.Waiting()
    stages = session.Stages(quiet=options.json)
    starting = RemoteStart(
        workload.from_options(options, secrets=True),
        replace(session.hooks(verdict, stages), contributed=waiting.took),
        *((None, None, None) if options.detach else (session.STDIN, session.STDOUT, session.STDERR)),
        out=workload.out(options),
        host=remote.host(options),
        backend=options.backend,
        accepted=attestation.simulated(options),
        pool=not options.no_pool,
        detach=options.detach,
        invite=options.invite,
        invite_required=True,
        name=options.name,
    )
    if options.detach:
        console.note("only the session file written now can read this job's results; without it they are lost")
    with stages:
        job = starting.start()
        if job.invitation is not None:
            waiting.expect(job.session, options.invite)
        if job.detached:
            if session.has_input():
                console.note(
                    "a detached job has an empty stdin: the input of this command was not sent; --dir sends files"
                )
            console.say(f"session: {job.session_file}")
            for place in options.out:
                console.note(f"its results, once it has ended: enarx keep attach {job.keep} --out {place}")
            print(job.keep, flush=True)
            return 0
        result = _attached(job, options, stages)
    if result is None:
        return 0
    return session.conclude(result, options, attestation=verdict.summary)


def _check(options: argparse.Namespace) -> None:
    """BackendError without a root to verify evidence by; UsageError for options that exclude each other."""
    from enarx.cli import session

    if not options.simulated_root:
        raise BackendError(
            "no-hardware",
            "no evidence would be trusted: this release has no Keep that hardware protects from the host's owner",
            hint="to try without that protection: --simulated-root FILE; the host has it as root.pub, and its daemon logs the path",
        )
    if options.detach and options.tty:
        message = "--detach leaves the job without a terminal, and --tty shows it one"
        raise UsageError("tty", message, hint="leave out one of the two")
    if options.detach and options.receipt:
        hint = "enarx keep attach KEEP --receipt FILE, or enarx keep logs, once the job has ended"
        raise UsageError("receipt", "--detach leaves before there is a result, and so no receipt", hint=hint)
    session.require_receipt(options)


def _attached(job: Job, options: argparse.Namespace, stages: Stages) -> Result | None:
    """Wait for the end, and remove the Keep. Ctrl-C removes it too; after any other error the job keeps its session.

    Returns None if the results are for recipients: then the Keep stays for them.
    """
    from enarx.cli import session

    try:
        result = session.wait(job, options.receipt, stages)
    except (EnarxError, OSError) as e:
        if isinstance(e, EnarxError) and e.code == "results-sealed":
            job.detach(close_stdin=False)
            console.note(e.message)
            console.note(f"the Keep stays for its recipients; when they have their results: enarx keep rm {job.keep}")
            return None
        job.detach(close_stdin=False)
        console.note(f"the session is kept: enarx keep logs {job.keep}, or enarx keep rm --force {job.keep}")
        raise
    finally:
        job.close()
    return result
