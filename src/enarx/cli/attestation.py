"""Evidence put before the verifier, and the verdict put before people: one line, or with --explain every check."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from enarx.cli import console
from enarx.cli.local_host import code_paths
from enarx.errors import AppraisalError, UsageError
from enarx.image.contents import files
from enarx.image.measure import DigestCache, measure
from enarx.tenant.deploy import Claim
from enarx.tenant.paths import cache_dir, private_dir, state_dir
from enarx.verify import AttestationResult, Roots, attestation_result, verify_and_appraise
from enarx.verify.policy import AnyOf, Exactly, ReferenceValues, SimulatedPolicy, Unchecked

ANY_PACKAGE = bytes(32)
MAX_POLICY = 1 << 20
LOUD = "SIMULATED: no hardware protects this workload from the owner of the machine it runs on"


def own_measurement() -> bytes:
    """What the Keep of this installation measures: the reference value for Keeps of the same release and platform."""
    cache = DigestCache(os.path.join(private_dir(cache_dir()), "digests.json"))
    return measure(files(tuple(code_paths())), cache).value


class SimulatedJudge:
    """Accepts simulated evidence under a root that the user gave or owns, for one package, of a known Keep.

    `local` is for a Keep on this machine, whose simulated hardware is the user's own. `now` is the time to judge at, in
    unix seconds, if it is not the present. `summary` is the result once there is one, as plain values.
    """

    def __init__(
        self,
        package: bytes,
        *,
        local: bool = False,
        root_file: str = "",
        measurements: tuple[str, ...] = (),
        pooled: bool = False,
        explain: bool = False,
        now: int | None = None,
    ) -> None:
        self._now = now
        self._package = package
        self._root_file = root_file
        self._local = local
        self._given = measurements
        self._pooled = pooled
        self._explain = explain
        self.summary: dict[str, Any] | None = None

    def __call__(self, claim: Claim) -> None:
        """As tenant.deploy.Judge; shows what it found."""
        console.warn(LOUD)
        try:
            result = verify_and_appraise(
                claim.kind,
                claim.evidence,
                claim.endorsements,
                policy=self._policy(),
                roots=Roots(simulated=(self._root(),)),
                report_data=claim.report_data,
                now=int(time.time()) if self._now is None else self._now,
            )
        except AppraisalError as e:
            if isinstance(e.result, AttestationResult):
                self.summary = show(e.result, self._package, explain=self._explain)
            raise
        self.summary = show(result, self._package, explain=self._explain)

    def _policy(self) -> SimulatedPolicy:
        """The Keep must be one that we know, launched for this package, or for none yet where a pool is allowed."""
        host_data: Exactly | AnyOf = Exactly(self._package)
        if self._pooled:
            host_data = AnyOf((self._package, ANY_PACKAGE))
        return SimulatedPolicy(
            measurement=self._references().matcher(),
            host_data=host_data,
            debug=Exactly(False),
            svn=Unchecked(reason="simulated hardware has one version"),
            chip_id=Unchecked(reason="simulated hardware is known by its root"),
        )

    def _references(self) -> ReferenceValues:
        if not self._given:
            return ReferenceValues(measurements=(("this installation", own_measurement()),))
        return ReferenceValues(measurements=tuple((text, _hex(text, 48, "--measurement")) for text in self._given))

    def _root(self) -> bytes:
        path = os.path.join(state_dir(), "simulated", "root.pub") if self._local else self._root_file
        return _root_of(path)


class PolicyJudge:
    """Accepts evidence of any kind that a policy file accepts, with endorsements from files before those that came along.

    `root_file` is the root to believe for a policy that accepts simulated evidence.
    """

    def __init__(
        self,
        package: bytes,
        *,
        policy_file: str,
        endorsement_files: list[str],
        root_file: str = "",
        explain: bool = False,
        now: int | None = None,
    ) -> None:
        from enarx.cli.evidence_files import endorsements, load  # what `enarx run` does not wait for
        from enarx.verify.policy_file import read_policy

        self._package = package
        self._policy = read_policy(load(policy_file, MAX_POLICY).decode(errors="replace"), policy_file)
        self._given = endorsements(endorsement_files)
        self._roots = Roots(simulated=(_root_of(root_file),)) if root_file else Roots()
        self._explain = explain
        self._now = now
        self.summary: dict[str, Any] | None = None

    def __call__(self, claim: Claim) -> None:
        """As tenant.deploy.Judge; shows the result, and which of the user's own endorsements it does not rest on."""
        from enarx.cli.evidence_files import show_unused

        result = attestation_result(
            claim.kind,
            claim.evidence,
            (*self._given.items, *claim.endorsements),
            policy=self._policy,
            roots=self._roots,
            report_data=claim.report_data,
            now=int(time.time()) if self._now is None else self._now,
        )
        self.summary = show(result, self._package, explain=self._explain)
        own = [
            (self._given.sources[one.place], one.reason) for one in result.unused if one.place < len(self._given.items)
        ]
        show_unused([{"source": source, "reason": reason} for source, reason in (*self._given.unused, *own)])
        result.require_trusted()


def judge_of(options: argparse.Namespace, package: bytes, *, now: int | None = None) -> SimulatedJudge | PolicyJudge:
    """The judge that --simulated-root or --policy asks for; UsageError without one of them."""
    if not options.simulated_root and not options.policy:
        raise UsageError(
            "judge",
            "nothing says what evidence is acceptable",
            hint="--policy FILE [--endorsements FILE ...], or --simulated-root FILE [--measurement HEX]",
        )
    if options.policy:
        if options.measurement:
            raise UsageError("judge", "--measurement goes with --simulated-root: a policy names its own")
        return PolicyJudge(
            package,
            policy_file=options.policy,
            endorsement_files=options.endorsements,
            root_file=options.simulated_root,
            explain=options.explain,
            now=now,
        )
    if options.endorsements:
        raise UsageError("judge", "--endorsements go with --policy: simulated evidence brings its own")
    return SimulatedJudge(
        package,
        root_file=options.simulated_root,
        measurements=tuple(options.measurement),
        pooled=True,
        explain=options.explain,
        now=now,
    )


def show(result: AttestationResult, package: bytes, *, explain: bool) -> dict[str, Any]:
    """Put a verdict before people, with `explain` every check; returns it as plain values."""
    claims = result.claims
    measured = claims.measurement.hex()[:16] if claims else "unknown"
    console.say(
        f"attestation: {result.status} ({result.kind}), Keep {measured}, package {package.hex()[:16]}",
        colour="32;1" if result.status == "trusted" else "31;1",
    )
    for check in result.checks if explain else ():
        console.say(
            f"  {check.outcome:11} {check.id}: got {check.got}, wanted {check.wanted} [{check.anchor}; {check.where}]"
        )
    if explain:
        console.say(f"  expires: {console.expiry(result.expires, result.ends_first)}")
    for endorsement in result.unused if explain else ():
        console.say(f"  unused      endorsement {endorsement.place}: {endorsement.reason}")
    return result.to_value()


def _root_of(path: str) -> bytes:
    """The public key in a simulated root's file."""
    try:
        with open(path, encoding="ascii") as file:
            return _hex(file.read(256).strip(), 32, path)
    except OSError as e:
        raise UsageError("simulated-root", f"{path}: {e.strerror}", hint="the host has it as root.pub") from e
    except UnicodeDecodeError as e:
        raise UsageError(
            "simulated-root", f"{path}: cannot be read as a simulated root", hint="the host has it as root.pub"
        ) from e


def _hex(text: str, size: int, what: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        raise UsageError("hex", f"{what}: wanted {2 * size} hexadecimal digits")
    return value
