"""Which evidence the options accept, and how a verdict is shown: one line, or with --explain every check."""

from __future__ import annotations

import argparse
from typing import Any

from enarx.api.acceptance import Acceptance, EvidenceVerifier, accepting
from enarx.api.start import WARNING
from enarx.cli import console
from enarx.errors import UsageError
from enarx.verify import AttestationResult
from enarx.verify.kinds import SIMULATED


class Verdict:
    """Shows each result as it is reached; `summary` is the last, as plain values for --json, or None."""

    def __init__(self, *, explain: bool) -> None:
        self._explain = explain
        self.summary: dict[str, Any] | None = None

    def __call__(self, result: AttestationResult, package: bytes) -> None:
        """Show a result, as `Hooks.attested` does."""
        if result.kind == SIMULATED:
            console.warn(WARNING)
        claims = result.claims
        measured = claims.measurement.hex()[:16] if claims else "unknown"
        console.say(
            f"attestation: {result.status} ({result.kind}), Keep {measured}, package {package.hex()[:16]}",
            colour="32;1" if result.status == "trusted" else "31;1",
        )
        if self._explain:
            _explain(result)
        self.summary = result.to_value()


class FileVerdict(Verdict):
    """A `Verdict` that also lists the endorsements from the user's files that the verdict does not use."""

    def __init__(self, paths: list[str], *, explain: bool) -> None:
        from enarx.cli.evidence_files import endorsements  # most commands take none

        super().__init__(explain=explain)
        self.given = endorsements(paths)

    def __call__(self, result: AttestationResult, package: bytes) -> None:
        """Show a result, and the unused endorsements."""
        from enarx.cli.evidence_files import show_unused

        super().__call__(result, package)
        own = [u for u in result.unused if u.place < len(self.given.items)]
        unused = [*self.given.unused, *((self.given.sources[u.place], u.reason) for u in own)]
        show_unused([{"source": source, "reason": reason} for source, reason in unused])


def verifier(
    options: argparse.Namespace, package: bytes, *, now: int | None = None
) -> tuple[EvidenceVerifier, Verdict]:
    """The verifier for --policy or --simulated-root, and the `Verdict` that shows its result. UsageError without either.

    `package` is the digest that the evidence must be for; `now` is the time of appraisal in unix seconds, by default the
    current time.
    """
    accepted, verdict = acceptable(options)
    return EvidenceVerifier(accepted, package, pooled=True, on_result=verdict, now=now), verdict


def acceptable(options: argparse.Namespace) -> tuple[Acceptance, Verdict]:
    """What --policy or --simulated-root accept, and the `Verdict` that shows a result. UsageError without either."""
    if not options.simulated_root and not options.policy:
        raise UsageError(
            "judge",
            "nothing says what evidence is acceptable",
            hint="--policy FILE [--endorsements FILE ...], or --simulated-root FILE [--measurement HEX]",
        )
    if options.endorsements and not options.policy:
        raise UsageError("judge", "--endorsements go with --policy: simulated evidence brings its own")
    verdict = FileVerdict(options.endorsements, explain=options.explain)
    accepted = accepting(
        options.simulated_root or None, options.measurement, options.policy or None, verdict.given.items
    )
    return accepted, verdict


def simulated(options: argparse.Namespace) -> Acceptance:
    """Accepts the evidence that --simulated-root and --measurement describe. UsageError."""
    return accepting(options.simulated_root, options.measurement)


def _explain(result: AttestationResult) -> None:
    for check in result.checks:
        console.say(
            f"  {check.outcome:11} {check.id}: got {check.got}, wanted {check.wanted} [{check.anchor}; {check.where}]"
        )
    console.say(f"  expires: {console.expiry(result.expires, result.ends_first)}")
    for endorsement in result.unused:
        console.say(f"  unused      endorsement {endorsement.place}: {endorsement.reason}")
