"""`enarx run`: a Keep on this machine, for one workload."""

from __future__ import annotations

import argparse

from enarx.cli import attestation, console, local_host, session, workload
from enarx.errors import BackendError, UsageError
from enarx.tenant.deploy import admit
from enarx.tenant.link import LocalLink

HARDWARE = ("snp", "tdx", "sgx")


def run(options: argparse.Namespace) -> int:
    """Start the host side, deploy to it, and be attached until the end."""
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
