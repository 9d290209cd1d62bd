"""`enarx run`: a Keep on this machine, for one workload."""

from __future__ import annotations

import argparse

from enarx.cli.options import Parser, add_backend, add_delivery, add_skip_layer, add_workload


def declare(parser: Parser) -> None:
    """Declare the options of `enarx run`."""
    parser.runs(
        run,
        "enarx run --simulate hello.wasm",
        "enarx run --simulate --dir ./data::/data --out results::/out report.wasm -- --year 2026",
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
    from enarx.api import local_host

    try:
        return _run(options)
    finally:
        local_host.close_unused()


def _run(options: argparse.Namespace) -> int:
    from enarx.api.local import LocalStart
    from enarx.cli import attestation, session, workload

    session.require_receipt(options)
    verdict = attestation.Verdict(explain=options.explain)
    starting = LocalStart(
        workload.from_options(options, secrets=True),
        session.hooks(verdict),
        session.STDIN,
        session.STDOUT,
        session.STDERR,
        out=workload.out(options),
        backend=options.backend,
        simulate=options.simulate,
        skip_layers=options.unsafe_skip_layer,
    )
    with starting.start() as job:
        result = session.wait(job, options.receipt)
    return session.conclude(result, options, attestation=verdict.summary)
