"""Evidence put before the verifier, and the verdict put before people: one line, or with --explain every check."""

from __future__ import annotations

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
from enarx.verify import AttestationResult, Roots, evaluate
from enarx.verify.policy import AnyOf, Exactly, ReferenceValues, SimulatedPolicy, Unchecked

ANY_PACKAGE = bytes(32)
LOUD = "SIMULATED: no hardware protects this workload from the owner of the machine it runs on"


def own_measurement() -> bytes:
    """What the Keep of this installation measures: the reference value for Keeps of the same release and platform."""
    cache = DigestCache(os.path.join(private_dir(cache_dir()), "digests.json"))
    return measure(files(tuple(code_paths())), cache).value


class SimulatedJudge:
    """Accepts simulated evidence under a root that the user gave or owns, for one package, of a known Keep.

    `local` is for a Keep on this machine, whose simulated hardware is the user's own. `summary` is the result once
    there is one, as plain values.
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
    ) -> None:
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
            result = evaluate(
                claim.kind,
                claim.evidence,
                claim.endorsements,
                policy=self._policy(),
                roots=Roots(simulated=(self._root(),)),
                report_data=claim.report_data,
                now=int(time.time()),
            )
        except AppraisalError as e:
            if isinstance(e.result, AttestationResult):
                self._show(e.result)
            raise
        self._show(result)

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
        try:
            with open(path, encoding="ascii") as file:
                return _hex(file.read(256).strip(), 32, path)
        except (OSError, UnicodeDecodeError) as e:
            raise UsageError(
                "simulated-root", f"{path}: can not be read as a simulated root", hint="the host has it as root.pub"
            ) from e

    def _show(self, result: AttestationResult) -> None:
        self.summary = result.to_value()
        claims = result.claims
        measured = claims.measurement.hex()[:16] if claims else "unknown"
        console.say(
            f"attestation: {result.status} ({result.kind}), Keep {measured}, package {self._package.hex()[:16]}",
            colour="32;1" if result.status == "trusted" else "31;1",
        )
        if self._explain:
            for check in result.checks:
                console.say(
                    f"  {check.outcome:11} {check.id}: got {check.got}, wanted {check.wanted} [{check.anchor}; {check.where}]"
                )
            console.say(f"  expires: {console.expiry(result.expires, result.ends_first)}")
            for one in result.unused:
                console.say(f"  unused      endorsement {one.place}: {one.reason}")


def _hex(text: str, size: int, what: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != size:
        raise UsageError("hex", f"{what}: wanted {2 * size} hexadecimal digits")
    return value
