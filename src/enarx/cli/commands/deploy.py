"""`enarx deploy`: deliver a workload to a Keep on a host that nobody trusts."""

from __future__ import annotations

import argparse
import os

from enarx.cli import console
from enarx.cli.options import Parser, add_backend, add_delivery, add_endpoint, add_workload
from enarx.errors import BackendError, EnarxError, UnavailableError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.cli.attestation import SimulatedJudge
    from enarx.delivery.tenant import Session
    from enarx.tenant.deploy import Run
    from enarx.tenant.http import HostClient
    from enarx.tenant.sessions import Saved


def declare(parser: Parser) -> None:
    """`enarx deploy`."""
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
    parser.add_argument("--detach", action="store_true", help="leave once delivered; attach later for the result")
    parser.add_argument("--no-pool", action="store_true", help="launch a Keep for this package alone")


def deploy(options: argparse.Namespace) -> int:
    """Launch, attest, deliver; then stay attached, or leave once the Keep has accepted the package under seal."""
    from enarx.cli import attestation, remote, session, workload
    from enarx.tenant.deploy import admit

    _check(options)
    package, owners = workload.build(options, secrets=workload.secrets(options))
    judge = attestation.SimulatedJudge(
        package.manifest.digest,
        root_file=options.simulated_root,
        measurements=tuple(options.measurement),
        pooled=not options.no_pool,
        explain=options.explain,
    )
    client = remote.client(options)
    if options.detach:
        console.say("note: only the session file written now can read this job's results; without it they are lost")
    keep = client.launch(
        kind="process",
        package=package.manifest.digest if options.no_pool else None,
        memory=package.manifest.config.limits.memory,
        compile=package.compile,
        disk=package.disk,
    )
    link = client.link(keep)
    kept: list[Saved] = []
    try:
        delivered = admit(
            link,
            package,
            owners,
            judge,
            progress=console.Progress("delivering"),
            opened=lambda opened: kept.append(_kept(options, client, keep, opened)),
        )
    except (EnarxError, KeyboardInterrupt) as e:
        if options.detach and kept and isinstance(e, UnavailableError):
            console.say(f"note: whether Keep {keep} runs the job is not known; the session is kept: {kept[0].path}")
        else:
            _remove(client, keep, *kept)
        raise
    if options.detach and delivered.accepted:
        session.settle(link, delivered)
        console.say(f"session: {kept[0].path}")
        print(keep, flush=True)
        return 0
    return _attached(options, client, kept[0], session.attached(link, delivered), judge)


def _check(options: argparse.Namespace) -> None:
    """UsageError for options that exclude each other."""
    from enarx.cli import session

    if not options.simulated_root:
        raise BackendError(
            "no-hardware",
            f"no Keep of kind {options.backend} can be had: this release has none that hardware protects from the host's owner",
            hint="to try without that protection: --simulated-root FILE, which the host has as root.pub",
        )
    if options.backend not in ("auto", "process"):
        raise UsageError("backend", f"--simulated-root goes with the kind process, not {options.backend}")
    if options.detach and options.receipt:
        hint = "enarx keep attach KEEP --receipt FILE, or enarx keep logs, once the job has ended"
        raise UsageError("receipt", "--detach leaves before there is a result to give a receipt of", hint=hint)
    session.require_receipt(options)


def _attached(options: argparse.Namespace, client: HostClient, saved: Saved, run: Run, judge: SimulatedJudge) -> int:
    """Until the end; then nothing is left behind. Ctrl-C stops the workload; what else goes wrong leaves it its session."""
    from enarx.cli import session

    try:
        result = session.serve(run, options.receipt)
    except KeyboardInterrupt:
        _remove(client, saved.keep, saved)
        raise
    except (EnarxError, OSError):
        console.say(f"note: the session is kept: enarx keep logs {saved.keep}, or enarx keep rm --force {saved.keep}")
        raise
    _remove(client, saved.keep, saved)
    return session.conclude(result, options, attestation=judge.summary)


def _remove(client: HostClient, keep: str, saved: Saved | None = None) -> None:
    """The Keep has no more use, nor has its session: a host that fails at removing it has its own prune."""
    from enarx.tenant.sessions import forget

    if saved is not None:
        forget(saved)
    try:
        client.call("DELETE", f"/v1/keeps/{keep}?force=true")
    except EnarxError as e:
        console.say(f"note: Keep {keep} was not removed: {e.message}")


def _kept(options: argparse.Namespace, client: HostClient, keep: str, opened: Session) -> Saved:
    """The session, on disk before anything that it is needed for is sent."""
    from enarx.cli import remote
    from enarx.tenant.sessions import Saved

    where = client.endpoint
    token_file = remote.token_file(options)
    saved = Saved(
        keep=keep,
        url=where.url,
        token_file=os.path.abspath(token_file) if token_file else "",
        ca=os.path.abspath(where.ca) if where.ca else "",
        certificate=os.path.abspath(where.certificate) if where.certificate else "",
        key=os.path.abspath(where.key) if where.key else "",
        session=opened,
    )
    saved.save()
    return saved
