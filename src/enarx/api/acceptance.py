"""Which evidence a tenant accepts: simulated evidence under a root of its choice, or what an appraisal policy accepts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from enarx.api.local_host import code_paths, require_keep
from enarx.errors import UsageError
from enarx.formats.text import hex_bytes
from enarx.image.contents import files
from enarx.image.measure import DigestCache, measure
from enarx.record import record
from enarx.tenant.deploy import ReceivedEvidence
from enarx.tenant.paths import cache_dir, private_dir, read_file, state_dir
from enarx.verify import AppraisalPolicy, AttestationResult, Roots, attestation_result
from enarx.verify.policy import AnyOf, Exactly, ReferenceValues, SimulatedPolicy, Unchecked

ANY_PACKAGE = bytes(32)
"""The package digest of a Keep that was launched for no package in particular."""

MAX_POLICY = 1 << 20
ROOT_SIZE, MEASUREMENT_SIZE = 32, 48


@record()
class Acceptance:
    """What makes evidence acceptable.

    With a `policy`, evidence is verified with `endorsements` (certificates, revocation lists, collateral, as received) and with
    those that accompany it, and appraised by the policy; `simulated_root` is then the root for a policy of simulated evidence.

    Without a policy, simulated evidence under `simulated_root` is accepted, from a Keep that measures one of `measurements`
    (48 bytes each; by default the measurement of this installation's Keep). The root is an Ed25519 public key of 32 bytes, or
    the path of its file, which is read when the evidence arrives.
    """

    simulated_root: bytes | str | None = None
    measurements: tuple[bytes, ...] = ()
    policy: AppraisalPolicy | None = None
    endorsements: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.policy is None and self.simulated_root is None:
            hint = "name an appraisal policy, or the root of simulated hardware"
            raise UsageError("judge", "nothing says what evidence is acceptable", hint=hint)


class EvidenceVerifier:
    """Accepts evidence that is authentic and acceptable, of a Keep for one package: a `enarx.tenant.deploy.Verifier`.

    `package` is the digest of the package. `pooled` accepts a Keep that was launched for no package yet. `on_result` is
    called with each result, trusted or not, and the digest, before trust is required. `now` is the time to appraise at, in unix
    seconds; None is the present. `result` is the last AttestationResult; None before there is one.
    """

    def __init__(
        self,
        acceptance: Acceptance,
        package: bytes,
        *,
        pooled: bool,
        on_result: Callable[[AttestationResult, bytes], None] | None = None,
        now: int | None = None,
    ) -> None:
        self._acceptance = acceptance
        self._package = package
        self._pooled = pooled
        self._on_result = on_result
        self._now = now
        self.result: AttestationResult | None = None

    def __call__(self, received: ReceivedEvidence) -> None:
        """Return if the evidence is trusted.

        AppraisalError with the result, VerificationError, ParseError; UnavailableError if it cannot be decided.
        """
        self.result = attestation_result(
            received.kind,
            received.evidence,
            (*self._acceptance.endorsements, *received.endorsements),
            policy=self._acceptance.policy or self._simulated_policy(),
            roots=self._roots(),
            report_data=received.report_data,
            now=int(time.time()) if self._now is None else self._now,
        )
        if self._on_result is not None:
            self._on_result(self.result, self._package)
        self.result.require_trusted()

    def _roots(self) -> Roots:
        root = self._acceptance.simulated_root
        if root is None:
            return Roots()
        return Roots(simulated=(read_root(root) if isinstance(root, str) else root,))

    def _simulated_policy(self) -> SimulatedPolicy:
        """A known Keep image, launched for this package, or for none yet where a pool is allowed."""
        return SimulatedPolicy(
            measurement=_references(self._acceptance.measurements).matcher(),
            host_data=AnyOf((self._package, ANY_PACKAGE)) if self._pooled else Exactly(self._package),
            debug=Exactly(False),
            svn=Unchecked(reason="simulated hardware has one version"),
            chip_id=Unchecked(reason="simulated hardware is known by its root"),
        )


def local() -> Acceptance:
    """Accepts evidence of this machine's simulated hardware, whose root belongs to the user."""
    return Acceptance(simulated_root=os.path.join(state_dir(), "simulated", "root.pub"))


def accepting(
    simulated_root: bytes | str | os.PathLike[str] | None,
    measurements: Sequence[bytes | str] = (),
    policy: AppraisalPolicy | str | os.PathLike[str] | None = None,
    endorsements: Sequence[bytes] = (),
) -> Acceptance:
    """The Acceptance for these arguments of `deploy`.

    UsageError if they exclude each other, or if the measurement of this installation's Keep is asked for and there is none.
    """
    if policy is not None and measurements:
        raise UsageError("judge", "measurements go with a simulated root: a policy names its own")
    if policy is None and endorsements:
        raise UsageError("judge", "endorsements go with a policy: simulated evidence brings its own")
    if isinstance(policy, (str, os.PathLike)):
        policy = read_policy(policy)
    if simulated_root is not None and not isinstance(simulated_root, bytes):
        simulated_root = os.fspath(
            simulated_root
        )  # read when evidence arrives: a new host creates the file at its first launch
    if policy is None and simulated_root is not None and not measurements:
        require_keep()  # before a host launches a Keep that cannot be appraised
    return Acceptance(
        simulated_root=simulated_root,
        measurements=tuple(map(measurement, measurements)),
        policy=policy,
        endorsements=tuple(endorsements),
    )


def own_measurement() -> bytes:
    """The measurement of this installation's Keep, 48 bytes: the reference value for Keeps of this release and platform."""
    cache = DigestCache(os.path.join(private_dir(cache_dir()), "digests.json"))
    return measure(files(tuple(code_paths())), cache).value


def read_root(path: str | os.PathLike[str]) -> bytes:
    """The public key in the file of a simulated root: 64 hexadecimal digits. UsageError."""
    name, hint = os.fspath(path), "the host has it as root.pub; its daemon logs the path as simulated_root"
    data = read_file(name, 256, code="simulated-root", hint=hint)
    try:
        return hexadecimal(data.decode("ascii").strip(), ROOT_SIZE, name)
    except UnicodeDecodeError as e:
        raise UsageError("simulated-root", f"{name}: cannot be read as a simulated root", hint=hint) from e
    except UsageError as e:
        raise UsageError(e.code, e.message, hint=hint) from None


def read_policy(path: str | os.PathLike[str]) -> AppraisalPolicy:
    """The appraisal policy in a file (docs/attestation.md). UsageError."""
    from enarx.verify import policy_file  # reading TOML takes 10 ms that most runs need not wait for

    name = os.fspath(path)
    return policy_file.read_policy(read_file(name, MAX_POLICY).decode(errors="replace"), name)


def measurement(value: bytes | str) -> bytes:
    """A measurement of a Keep image, 48 bytes, from bytes or hexadecimal digits. UsageError."""
    if isinstance(value, str):
        return hexadecimal(value, MEASUREMENT_SIZE, "measurement")
    if len(value) != MEASUREMENT_SIZE:
        raise UsageError("hex", f"measurement: {len(value)} bytes, wanted {MEASUREMENT_SIZE}")
    return value


def hexadecimal(text: str, size: int, name: str, *, code: str = "hex") -> bytes:
    """The bytes of `2 * size` hexadecimal digits; `name` says what they are. UsageError with `code`."""
    try:
        return hex_bytes(text, size)
    except ValueError as e:
        raise UsageError(code, f"{name}: {e}") from None


def _references(measurements: tuple[bytes, ...]) -> ReferenceValues:
    if not measurements:
        return ReferenceValues(measurements=(("this installation", own_measurement()),))
    return ReferenceValues(measurements=tuple((value.hex(), value) for value in measurements))
