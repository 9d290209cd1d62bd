"""`enarx run`: a Keep on this machine, for one workload."""

from __future__ import annotations

import argparse

from enarx.cli import console
from enarx.cli.options import Parser, add_backend, add_delivery, add_skip_layer, add_workload
from enarx.errors import BackendError, UsageError


def declare(parser: Parser) -> None:
    """`enarx run`."""
    parser.runs(
        run,
        "enarx run --simulate hello.wasm",
        "enarx run --simulate --dir ./data::/data report.wasm -- --year 2026",
        "enarx run --simulate --secret signing-key=@key.bin payroll.wasm",
    )
    add_workload(parser)
    add_delivery(parser)
    which = parser.exclusive()
    add_backend(which)
    which.add_argument("--simulate", action="store_true", help="no hardware: NOT protected from this machine's owner")
    add_skip_layer(parser)


def run(options: argparse.Namespace) -> int:
    """Start the host side, deploy to it, and stay attached until the end; returns the workload's exit code."""
    from enarx.cli import local_host

    try:
        if not options.simulate:
            raise BackendError(
                "no-hardware",
                f"no Keep of kind {options.backend} can be started: this machine has no hardware that this release can drive",
                hint="see: enarx platform; to try without protection from this machine's owner: --simulate",
            )
        return _simulated(options)
    finally:
        local_host.close_unused()


def _simulated(options: argparse.Namespace) -> int:
    from enarx.cli import attestation, local_host, session, workload
    from enarx.tenant.deploy import admit
    from enarx.tenant.link import LocalLink

    session.require_receipt(options)
    package, owners = workload.build(options, secrets=workload.secrets(options))
    _require_files(package.manifest.config.limits.open_files)
    host = local_host.take()
    link = LocalLink(host.path)
    try:
        host.launch(
            kind="process",
            package=package.manifest.digest,
            memory=package.manifest.config.limits.memory,
            compile=package.compile,
            disk=package.disk,
            skip_layers=options.unsafe_skip_layer,
        )
        judge = attestation.SimulatedJudge(package.manifest.digest, local=True, explain=options.explain)
        delivered = admit(link, package, owners, judge, progress=console.Progress("delivering"))
        result = session.serve(session.attached(link, delivered), options.receipt)
        return session.conclude(result, options, attestation=judge.summary)
    finally:
        link.close()
        host.close()


def _require_files(open_files: int) -> None:
    """The Keep would refuse it: here the machine is the same, and nothing has to be delivered to know."""
    from enarx.host import descriptors

    if open_files > descriptors.most():
        said = f"limits.open_files is {open_files}, this machine's hard limit leaves {descriptors.most()}"
        raise UsageError("open-files", said, hint="raise it (ulimit -Hn), or lower open_files")
