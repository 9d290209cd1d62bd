"""`enarx deploy`: deliver a workload to a Keep on a host that nobody trusts."""

from __future__ import annotations

import argparse
import os

from enarx.cli import attestation, console, remote, session, workload
from enarx.cli.commands.run import no_hardware
from enarx.delivery.tenant import Session
from enarx.errors import EnarxError, UsageError
from enarx.tenant.deploy import Run, admit
from enarx.tenant.http import HostClient
from enarx.tenant.sessions import Saved, forget


def deploy(options: argparse.Namespace) -> int:
    """Launch, attest, deliver; then stay attached, or leave."""
    if not options.simulated_root:
        raise no_hardware(options.backend)
    if options.backend not in ("auto", "process"):
        raise UsageError("backend", f"--simulated-root goes with the kind process, not {options.backend}")
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
        disk=package.disk,
    )
    link = client.link(keep)
    try:
        opened = admit(link, package, owners, judge, progress=console.Progress("delivering"))
        saved = _saved(options, client, keep, opened)
        path = saved.save()
    except (EnarxError, KeyboardInterrupt):
        _remove(client, keep)
        raise
    if options.detach:
        session.settle(link, opened)
        console.say(f"session: {path}")
        print(keep, flush=True)
        return 0
    return _attached(options, client, saved, Run(link=link, session=opened, write=session.write, stdin=0), judge)


def _attached(
    options: argparse.Namespace, client: HostClient, saved: Saved, run: Run, judge: attestation.SimulatedJudge
) -> int:
    """Until the end; then nothing is left behind. Ctrl-C stops the workload."""
    try:
        result = session.serve(run)
    except KeyboardInterrupt:
        _remove(client, saved.keep, saved)
        raise
    _remove(client, saved.keep, saved)
    return session.conclude(result, options, attestation=judge.summary)


def _remove(client: HostClient, keep: str, saved: Saved | None = None) -> None:
    """The Keep has no more use, nor has its session: a host that fails at removing it has its own prune."""
    if saved is not None:
        forget(saved)
    try:
        client.call("DELETE", f"/v1/keeps/{keep}?force=true")
    except EnarxError as e:
        console.say(f"note: Keep {keep} was not removed: {e.message}")


def _saved(options: argparse.Namespace, client: HostClient, keep: str, opened: Session) -> Saved:
    where = client.endpoint
    token_file = remote.token_file(options)
    return Saved(
        keep=keep,
        url=where.url,
        token_file=os.path.abspath(token_file) if token_file else "",
        ca=os.path.abspath(where.ca) if where.ca else "",
        certificate=os.path.abspath(where.certificate) if where.certificate else "",
        key=os.path.abspath(where.key) if where.key else "",
        session=opened,
    )
