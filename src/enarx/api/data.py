"""Several owners of data: look at a Keep that one is invited to, contribute a part to it, and receive its results.

Everything works with an invitation alone: without an account at the host, and without trust in the owner. The caller's own
policy decides about the Keep's evidence, as in `enarx.deploy`. The functions describe a `Call`, which `data_sync` makes at
once and `aio` in a thread.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Self, TypedDict, TypeVar, Unpack

from enarx.api.acceptance import Acceptance, EvidenceVerifier, accepting
from enarx.api.jobs import Result
from enarx.api.start import Hooks
from enarx.api.streams import Sink, writer
from enarx.api.workloads import FIXED, Out, Path, out_of
from enarx.delivery.contribution import Contributor
from enarx.delivery.session import STDERR, STDOUT
from enarx.delivery.suite import HpkeKey
from enarx.errors import UnavailableError, UsageError, VerificationError
from enarx.formats.package import Manifest
from enarx.formats.text import hex_bytes
from enarx.record import record
from enarx.record import replace as changed
from enarx.tenant import contributing, deploy, owners, receiving, recipients
from enarx.tenant.connection import Endpoint
from enarx.tenant.http import HostClient
from enarx.tenant.invitations import Invitation
from enarx.verify import AppraisalPolicy, AttestationResult

T = TypeVar("T")
NOWHERE = Out()


class Options(TypedDict, total=False):
    """The arguments that `preview`, `contribute` and `receive` share.

    package         the package digest that the Keep must run, 32 bytes or 64 hexadecimal digits; None: the invitation's
    host            the daemon, a URL or an Endpoint, where the invitation's address does not work from here
    simulated_root  accept simulated evidence under this root: the path of the host's root.pub, or its 32 bytes
    measurements    with it: Keep images to accept, 48 bytes or 96 hexadecimal digits each; none: this release's
    policy          accept what this appraisal policy accepts: the policy, or the path of its file
    endorsements    with it: certificates, revocation lists and collateral, as bytes
    hooks           callbacks: progress, attested and note
    """

    package: bytes | str | None
    host: str | Endpoint
    simulated_root: bytes | Path | None
    measurements: Sequence[bytes | str]
    policy: AppraisalPolicy | Path | None
    endorsements: Sequence[bytes]
    hooks: Hooks | None


@record(hidden=("attestation",))
class Preview:
    """What a Keep is for, before anything is sealed to it: all of it is proven by the evidence, under the caller's policy.

    `manifest` has the module's digest, the configuration, the limits, the owners, and every provider and recipient. `parts`
    are the digests of the parts that the Keep has confirmed so far, by provider's name.
    """

    package: bytes
    session: bytes
    manifest: Manifest
    parts: tuple[tuple[str, bytes], ...]
    attestation: AttestationResult | None

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the providers whose part the Keep has not confirmed."""
        have = dict(self.parts)
        return tuple(provider.name for provider in self.manifest.providers if provider.name not in have)


@record(hidden=("preview",))
class Contribution:
    """A part that the Keep has confirmed. The final record and every receipt of the run name its `digest`.

    `earlier` is whether the Keep had the part already, so that nothing was sent now.
    """

    provider: str
    digest: bytes
    earlier: bool
    preview: Preview


Agree = Callable[[Preview, str, contributing.Provision], bool]
"""Asked once the evidence is accepted, with the provider's name and its part; nothing is sealed unless it returns True."""


class Visit:
    """One exchange with the Keep of an invitation. `abort`, from any thread, ends it soon with UnavailableError."""

    def __init__(self, invitation: Invitation, accepted: Acceptance, hooks: Hooks, given: Endpoint) -> None:
        self.invitation, self.hooks = invitation, hooks
        self.verifier = EvidenceVerifier(accepted, invitation.package, pooled=True, on_result=hooks.attested)
        self._client = HostClient(invitation.endpoint(given))
        self.link = self._client.link(invitation.keep)

    @classmethod
    def described(cls, invitation: Invitation | Path, options: Options) -> Self:
        """The visit for these arguments of the functions below. UsageError; VerificationError for another package."""
        if unknown := options.keys() - Options.__annotations__.keys():
            raise UsageError("option", f"no option is called {', '.join(sorted(unknown))}")
        accepted = accepting(
            options.get("simulated_root"),
            options.get("measurements", ()),
            options.get("policy"),
            options.get("endorsements", ()),
        )
        if not isinstance(invitation, Invitation):
            invitation = Invitation.load(os.fspath(invitation))
        package, host = options.get("package"), options.get("host", "")
        if package is not None:
            require_package(invitation, package)
        given = host if isinstance(host, Endpoint) else Endpoint(url=host)
        return cls(invitation, accepted, options.get("hooks") or Hooks(), given)

    def abort(self) -> None:
        """Close all connections; a call in progress raises."""
        self.link.close()

    def close(self) -> None:
        """Close the connections to the host."""
        self.link.close()
        self._client.close()

    def preview(self) -> Preview:
        """What the Keep is for. Raises as `enarx.preview`."""
        side = self._side(None)
        exchange = contributing.Exchange(self.link, side)
        try:
            exchange.join(self.verifier)
            return self._seen(side, exchange)
        finally:
            exchange.close()
            self.close()

    def contribute(
        self, seed: bytes, dirs: Mapping[str, str], secrets: Mapping[str, bytes], agree: Agree
    ) -> Contribution:
        """Contribute the part of the provider whose Ed25519 seed this is. Raises as `enarx.contribute`."""
        side = self._side(seed)
        exchange = contributing.Exchange(self.link, side)
        try:
            exchange.join(self.verifier)
            seen, provider = self._seen(side, exchange), side.provider
            if provider.key in exchange.parts:
                digest = exchange.parts[provider.key]
                return Contribution(provider=provider.name, digest=digest, earlier=True, preview=seen)
            provision = contributing.provision(seen.manifest, provider, dirs=dirs, secrets=secrets)
            if not agree(seen, provider.name, provision):
                raise UsageError("not-agreed", "nothing was sealed, and nothing was sent")
            digest = exchange.contribute(provision, self.hooks.progress)
            seen = self._seen(side, exchange)
            return Contribution(provider=provider.name, digest=digest, earlier=False, preview=seen)
        finally:
            exchange.close()
            self.close()

    def receive(
        self, key: HpkeKey, write: Callable[[int, bytes], object], *, wait: bool, out: Out = NOWHERE
    ) -> tuple[Result | None, bool]:
        """Read the output as a recipient, and put output directories into place once the run has ended.

        Returns the result without its output, None without `wait` while the run goes on, and whether output was dropped.
        Raises as `enarx.receive`.
        """
        wanted = self.invitation
        reading = receiving.Reading(
            key, self.verifier, package=wanted.package, session=wanted.session, write=write, unpack=out.results
        )
        try:
            out.check()  # now, rather than after a long wait
            ended = self._read(reading, wait=wait)
            if ended is None:
                return None, reading.lost
            result = Result.of(ended, self.verifier.result)
            if reading.results is not None:
                result = changed(result, directories=reading.results.finish(ended.final))
            return result, reading.lost
        finally:
            if reading.results is not None:
                reading.results.discard()
            self.close()

    def _read(self, reading: receiving.Reading, *, wait: bool) -> deploy.Result | None:
        """Read to the end of the run or, without `wait`, what the Keep has sent so far; None if that was not the end."""
        if wait:
            note = self.hooks.note
            return receiving.follow(self.link, reading, lambda e: note(f"{e.message}; connecting again"))
        for _, kind, payload in self.link.entries(0, follow=False):
            done = reading.take(kind, payload)
            if done is not None:
                return done
        if reading.granted is None:
            hint = "it starts when every provider's part has come: enarx data show lists them"
            raise UnavailableError("not-granted", "the run has not begun, or has ended before it began", hint=hint)
        return None

    def _side(self, seed: bytes | None) -> Contributor:
        wanted = self.invitation
        return Contributor(package=wanted.package, nonce=os.urandom(32), seed=seed, session=wanted.session)

    def _seen(self, side: Contributor, exchange: contributing.Exchange) -> Preview:
        manifest = side.manifest
        parts = tuple((p.name, exchange.parts[p.key]) for p in manifest.providers if p.key in exchange.parts)
        return Preview(
            package=manifest.digest,
            session=side.session,
            manifest=manifest,
            parts=parts,
            attestation=self.verifier.result,
        )


def require_package(invitation: Invitation, package: bytes | str) -> None:
    """VerificationError unless the invitation is for this package; UsageError if it is malformed."""
    try:
        wanted = hex_bytes(package, 32) if isinstance(package, str) else package
    except ValueError as e:
        raise UsageError("hex", f"package: {e}") from None
    if wanted != invitation.package:
        message = f"the invitation is for package {invitation.package.hex()}, wanted {wanted.hex()}"
        raise VerificationError("other-package", message, hint="ask the coordinator which of them it runs")


class Call(Generic[T]):
    """A call of `preview`, `contribute` or `receive`, described and not made yet.

    `make` works in the caller's thread. `abort`, from another thread, has it give up soon, with UnavailableError.
    """

    def __init__(self, visit: Visit, make: Callable[[], T]) -> None:
        self.make, self.abort = make, visit.abort


def preview(invitation: Invitation | Path, **options: Unpack[Options]) -> Call[Preview]:
    """What the Keep of an invitation is for, proven by its evidence; no key is needed, and nothing is sealed.

    invitation  the path of the file that the coordinator sent, or an enarx.Invitation

    Also: package, host, simulated_root, measurements, policy, endorsements, hooks (enarx.api.data.Options).

    UsageError; AppraisalError or VerificationError if the Keep is not acceptable; DeliveryError if the Keep or its host
    breaks the protocol; UnavailableError.
    """
    visit = Visit.described(invitation, options)
    return Call(visit, visit.preview)


def contribute(
    invitation: Invitation | Path,
    *,
    key: Path,
    dirs: Mapping[str, Path] | None = None,
    secrets: Mapping[str, bytes] | None = None,
    agree: Callable[[Preview], bool] | None = None,
    **options: Unpack[Options],
) -> Call[Contribution]:
    """Seal a provider's part to the Keep of an invitation; returns once the Keep has confirmed it under its signature.

    invitation  the path of the file that the coordinator sent, or an enarx.Invitation
    key         the file of the provider's private owner key
    dirs        {guest path: directory of this machine}, for exactly the directories that the provider provides
    secrets     {name: value}, for exactly the secrets that it provides
    agree       called with the Preview before anything is sealed; False refuses. It may be left out if `package` is given

    The other arguments are those of `preview`, and so are the errors. An interrupted call may be repeated.
    """
    if agree is None and options.get("package") is None:
        hint = "package=DIGEST, or agree=lambda preview: ..."
        raise UsageError("not-agreed", "neither package nor agree says what the data may be used for", hint=hint)
    seed = private_seed(os.fspath(key))
    places = {guest: os.fspath(host) for guest, host in (dirs or {}).items()}
    visit = Visit.described(invitation, options)

    def agreed(seen: Preview, *_: object) -> bool:
        return agree is None or agree(seen)

    return Call(visit, lambda: visit.contribute(seed, places, secrets or {}, agreed))


def receive(
    invitation: Invitation | Path,
    *,
    key: Path,
    stdout: Sink = None,
    stderr: Sink = None,
    out: Mapping[str, Path] | None = None,
    replace: bool = False,
    times: str = FIXED,
    **options: Unpack[Options],
) -> Call[Result]:
    """The results of a run, as one of its recipients; waits for the end of the run.

    invitation  the path of the file that the coordinator sent, or an enarx.Invitation
    key         the file of the recipient's private key
    stdout      a binary file or descriptor for the output as it arrives; None: Result.stdout
    stderr      a binary file or descriptor for the output as it arrives; None: Result.stderr
    out         {guest path: directory of this machine} for output directories; the others are verified and counted
    replace     replace a directory in `out` that is not empty, as a whole
    times       "keep" gives files the times that they had in the Keep

    The other arguments are those of `preview`, and so are the errors. UnavailableError `not-granted` if the run ended before
    every part had come, `output-lost` if the host dropped output.
    """
    pair = recipients.load(os.fspath(key))
    visit = Visit.described(invitation, options)
    places = out_of(out, replace=replace, times=times)
    return Call(visit, lambda: _received(visit, pair, stdout, stderr, places))


def _received(visit: Visit, pair: HpkeKey, stdout: Sink, stderr: Sink, out: Out) -> Result:
    kept = {STDOUT: io.BytesIO(), STDERR: io.BytesIO()}
    sinks = {STDOUT: writer(stdout) or kept[STDOUT].write, STDERR: writer(stderr) or kept[STDERR].write}
    result, lost = visit.receive(pair, lambda kind, data: sinks[kind](data), wait=True, out=out)
    assert result is not None  # with `wait` there is a result or an error
    if lost:
        hint = "how the run ended is proven, what it wrote is not"
        raise UnavailableError("output-lost", "the host dropped output", hint=hint)
    return changed(result, stdout=kept[STDOUT].getvalue(), stderr=kept[STDERR].getvalue())


def private_seed(path: str) -> bytes:
    """The seed of the private owner key in a file. UsageError."""
    return owners.load((path,)).seed
