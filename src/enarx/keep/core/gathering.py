"""The wait for the parts of further owners of data (docs/spec/contributions.md). A Keep has it with the profile `providers`.

The package is accepted and the session open, but the workload starts only when every provider's part has come. Each provider
has a slot of its own. Only what its key signed or its stream's key sealed moves a slot, so a frame that someone else sends in
a provider's name is skipped or declined, and leaves its attempt as it was. A fault of a part ends that attempt: the
provider may begin again. After the start this is an ordinary `Workload`, which still answers a Join.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator

from enarx.delivery.content import FilePiece, Trees
from enarx.delivery.keep import KeepProtocol
from enarx.delivery.messages import open_keys as read_keys
from enarx.delivery.messages import report_data, same
from enarx.delivery.sharing import (
    OBSERVER,
    PART_HEADER,
    ROLE_PROVIDE,
    Contributed,
    Contribution,
    Declined,
    Grant,
    Invitation,
    Join,
    PartReceiver,
    contributed_transcript,
    contribution_binding,
    grant_info,
    grant_transcript,
)
from enarx.delivery.states import SESSION
from enarx.delivery.stream import Confirmer, Opener
from enarx.delivery.suite import HpkeKey, commit_keys, derive, hpke_seal, verify_signature
from enarx.errors import DeliveryError, EnarxError, ParseError
from enarx.formats.package import Manifest, Node
from enarx.formats.sharing import Provider
from enarx.formats.wire import CHUNK, FrameType, frame
from enarx.keep.core.actions import Action, DropStdin, ReplaceTrees, Start, StoreSecrets
from enarx.keep.core.deadlines import CONFIRM_EVERY, Deadlines, Now
from enarx.keep.core.limits import in_pages
from enarx.keep.core.workload import Workload
from enarx.record import record, replace

Answer = Callable[[str, bytes, tuple[bytes, ...]], bytes]
"""From kind, evidence and endorsements to the frame that answers a request."""

Ask = Callable[[object, Callable[[], tuple[bytes, Answer]]], None]
"""Requests evidence for a party, unless a request of that party waits already: the core calls back for report data and answer."""


@record(hidden=("key",))
class _Invited:
    """An invitation that was sent: its HPKE key, and the SHA-256 of the Join and of the invitation."""

    key: HpkeKey
    join: bytes
    invitation: bytes


class _Attempt:
    """A part while it is received. `message` and `join` are the SHA-256 of its Contribution and its Join."""

    def __init__(
        self, message: bytes, join: bytes, keys: bytes, bound: bytes, receiver: PartReceiver, now: Now
    ) -> None:
        stream_key, secret = read_keys(keys)
        self.message, self.join, self.receiver = message, join, receiver
        self.opener = Opener(stream_key)
        self.confirmer = Confirmer(derive(secret, bound, "received"))
        self.confirmed = now.clock


class _Slot:
    """What the Keep holds of one provider, or of all observers.

    `waiting` is the newest Join that was not answered, with fresh bytes. `size` is the room that its files take, in bytes.
    `digest` is that of the accepted part.
    """

    def __init__(self, index: int, provider: Provider | None) -> None:
        self.index, self.provider = index, provider
        self.waiting: tuple[bytes, bytes] | None = None
        self.invited: _Invited | None = None
        self.attempt: _Attempt | None = None
        self.size = 0
        self.digest = b""


class Gathering(Workload):
    """The workload of a manifest with providers or recipients, from its acceptance on.

    `start` is the action that will start it, complete but for the providers' secrets. `ask` requests evidence. `entropy` is
    32 fresh bytes, for the secret of the output. `unfinished` is whether `advance` has more to do with the newest chunk.
    """

    def __init__(
        self,
        protocol: KeepProtocol,
        manifest: Manifest,
        actions: deque[Action],
        *,
        start: Start,
        ask: Ask,
        entropy: bytes,
        deadlines: Deadlines,
        compile_seconds: float,
        now: Now,
    ) -> None:
        self._held: list[Action] | None = []
        super().__init__(protocol, manifest.config, actions, compile_seconds=compile_seconds, now=now)
        self._manifest, self._order, self._ask, self._deadlines = manifest, start, ask, deadlines
        self._slots = {p.key: _Slot(i, p) for i, p in enumerate(manifest.providers)}
        self._observers = _Slot(len(self._slots), None)
        self._buffer = memoryview(bytearray(CHUNK if self._slots else 0))
        self._steps: Iterator[Action] | None = None
        self._current = self._observers
        self._secrets: dict[str, bytes] = {}
        self._secret = derive(entropy, protocol.session, "output for recipients")
        self._sealed = tuple(self._seal(i) for i in range(len(manifest.recipients)))
        self.deadline = now.clock + manifest.config.limits.contributions

    @property
    def unfinished(self) -> bool:
        """Whether `advance` has more actions of the newest chunk."""
        return self._steps is not None

    def begin(self, now: Now) -> None:
        """Start the workload if every part has come: grant the output to the recipients, and release what waited."""
        if self._held is None or self._verdict is not None or not all(slot.digest for slot in self._slots.values()):
            return
        if self._sealed:
            terms = self._protocol.grant(self._secret)
            signed = grant_transcript(self._protocol.session, self._protocol.package, self._sealed)
            signature = self._protocol.sign(signed)
            grant = Grant(**terms, manifest=self._manifest.raw, sealed=self._sealed, signature=signature)
            self._send(frame(FrameType.GRANT, grant.to_bytes()))
            self._name_parts()
        variables = [
            (s.env, self._secrets[s.name].decode()) for s in self._config.secrets if s.env and s.name in self._secrets
        ]
        held, self._held, self._buffer = self._held, None, self._buffer[:0]
        self._actions.append(replace(self._order, env=(*self._order.env, *variables)))
        self._actions.extend(held)
        self._start = now.clock
        self.deadline = now.clock + self._compile_seconds

    def tick(self, now: Now) -> None:
        """End the run if its deadline has passed: that of the parts, until the start."""
        if self._held is None:
            super().tick(now)
        elif self.deadline is not None and now.clock >= self.deadline:
            late = ", ".join(slot.provider.name for slot in self._slots.values() if slot.provider and not slot.digest)
            self.kill("refused", f"parts-missing: no part came within {self._limits.contributions:g} s from {late}")

    def frame(self, kind: FrameType, payload: memoryview, now: Now, entropy: bytes) -> None:
        """A frame of a provider arrived, or of anyone in its name. What cannot be parsed is skipped."""
        if kind is FrameType.PART:
            self._part(payload, now)
            return
        data = bytes(payload)
        try:
            message = Join.from_bytes(data) if kind is FrameType.JOIN else Contribution.from_bytes(data)
        except ParseError:
            return
        try:
            if isinstance(message, Join):
                self._join(message, data, entropy)
            else:
                self._contribution(message, hashlib.sha256(data).digest(), now)
        except (EnarxError, MemoryError) as e:
            slot = self._slots.get(message.provider, self._observers)
            invited = slot.invited.join if slot.invited else bytes(32)
            self._decline(message.provider, hashlib.sha256(data).digest() if kind is FrameType.JOIN else invited, e)

    def advance(self, now: Now) -> None:
        """Append the next action for the newest chunk; a fault of the part ends its attempt."""
        assert self._steps is not None
        try:
            action = next(self._steps, None)
        except (EnarxError, MemoryError) as e:
            self.failed(e)
            return
        if action is None:
            self._steps = None
            self.begin(now)
        else:
            self._actions.append(action)

    def failed(self, error: Exception) -> bool:
        """End the attempt whose action could not be performed; returns False if the action was not an attempt's."""
        steps, self._steps = self._steps, None
        if steps is not None:
            self._drop(self._current, error)
        return steps is not None

    # --- a provider ----------------------------------------------------------------------------------------------

    def _slot(self, key: bytes) -> _Slot:
        slot = self._observers if key == OBSERVER else self._slots.get(key)
        if slot is None:
            raise _refused("not-a-provider", "the manifest names no provider with this key")
        return slot

    def _join(self, join: Join, data: bytes, entropy: bytes) -> None:
        slot = self._slot(join.provider)
        if not same(join.package, self._protocol.package):
            raise _refused("other-package", "this Keep runs another package")
        if slot.provider is not None:
            verify_signature(join.provider, join.signature, join.signed, code="join-signature", state=SESSION)
        slot.waiting = (data, entropy)
        self._ask(slot.index, lambda: self._invite(slot))

    def _invite(self, slot: _Slot) -> tuple[bytes, Answer]:
        """Take the Join that waits; returns the report data for its invitation, and the function that makes it."""
        assert slot.waiting is not None
        (data, entropy), slot.waiting = slot.waiting, None
        protocol, join = self._protocol, hashlib.sha256(data).digest()
        key = HpkeKey(b"".join(derive(entropy, join, f"invitation {i}") for i in range(3)))

        def answer(kind: str, evidence: bytes, endorsements: tuple[bytes, ...]) -> bytes:
            invitation = Invitation(
                kind=kind,
                evidence=evidence,
                endorsements=endorsements,
                hpke=key.public,
                identity=protocol.identity,
                session=protocol.session,
                manifest=self._manifest.raw,
                request=join,
            ).to_bytes()
            slot.invited = _Invited(key=key, join=join, invitation=hashlib.sha256(invitation).digest())
            if slot.waiting is not None:
                self._ask(slot.index, lambda: self._invite(slot))
            return frame(FrameType.INVITATION, invitation)

        bound = (data, key.public, protocol.identity, protocol.session, protocol.package)
        return report_data(ROLE_PROVIDE, *bound), answer

    def _contribution(self, message: Contribution, digest: bytes, now: Now) -> None:
        slot = self._slot(message.provider)
        if slot.provider is None or slot.digest:
            raise _refused("contributed-already", "a part that was accepted cannot be replaced")
        if slot.attempt is not None and same(digest, slot.attempt.message):
            self._confirm(slot, slot.attempt, now)
            return
        if slot.invited is None:
            raise _refused("not-invited", "the provider has no invitation that it did not use yet")
        bound = contribution_binding(
            join=slot.invited.join,
            invitation=slot.invited.invitation,
            session=self._protocol.session,
            package=self._protocol.package,
            commitment=message.commitment,
        )
        verify_signature(message.provider, message.signature, bound, code="provider-signature", state=SESSION)
        invited, slot.invited = slot.invited, None
        keys = invited.key.open(message.sealed, info=bound)
        if not same(commit_keys(keys), message.commitment):
            raise _refused("key-commitment", "the provider did not sign the sealed keys")
        if slot.attempt is not None:
            self._drop(slot, _refused("begun-again", "the provider has begun again"))
        receiver = PartReceiver(self._manifest, slot.provider)
        slot.attempt = _Attempt(digest, invited.join, keys, bound, receiver, now)

    def _part(self, payload: memoryview, now: Now) -> None:
        """Open a chunk of a part. One that its provider did not seal, or that came before, is skipped."""
        if len(payload) < PART_HEADER.size:
            return
        index, number = PART_HEADER.unpack_from(payload)
        slot = next((slot for slot in self._slots.values() if slot.index == index), self._observers)
        attempt = slot.attempt
        if attempt is None or number != attempt.opener.next or attempt.opener.finished:
            return
        try:
            size = attempt.opener.open_into(payload[PART_HEADER.size :], self._buffer)
        except DeliveryError:
            return
        self._current, self._steps = slot, self._take(slot, attempt, self._buffer[:size], now)

    def _take(self, slot: _Slot, attempt: _Attempt, data: memoryview, now: Now) -> Iterator[Action]:
        """Yield the actions that store a chunk of a part; after the last chunk, accept the part."""
        for part in attempt.receiver.feed(data):
            if isinstance(part, Trees):
                self._reserve(slot, part.trees)
                yield ReplaceTrees(tuple((i, part.trees[i]) for i in self._dirs(slot)))
            elif isinstance(part, FilePiece):
                yield part
        if not attempt.opener.finished:
            if attempt.opener.next % CONFIRM_EVERY == 0 or now.clock - attempt.confirmed >= self._deadlines.confirm:
                self._confirm(slot, attempt, now)
            return
        attempt.receiver.finish()
        assert attempt.receiver.head is not None
        yield StoreSecrets(attempt.receiver.head.secrets)
        self._accept(slot, attempt)

    def _reserve(self, slot: _Slot, trees: list[list[Node]]) -> None:
        slot.size = sum(in_pages(node.size) for nodes in trees for node in nodes)
        if sum(other.size for other in self._slots.values()) > self._limits.disk:
            raise _refused("disk-limit", f"the parts need more than limits.disk, {self._limits.disk} bytes")

    def _accept(self, slot: _Slot, attempt: _Attempt) -> None:
        assert slot.provider is not None
        assert attempt.receiver.head is not None
        protocol, key, digest = self._protocol, slot.provider.key, attempt.receiver.digest
        slot.digest, slot.attempt = digest, None
        self._secrets |= dict(attempt.receiver.head.secrets)
        self._name_parts()
        signature = protocol.sign(contributed_transcript(protocol.session, protocol.package, key, digest))
        message = Contributed(provider=key, digest=digest, signature=signature)
        self._send(frame(FrameType.CONTRIBUTED, message.to_bytes()))

    def _name_parts(self) -> None:
        """Have the final record name the parts that have come."""
        assert self._protocol.output is not None
        parts = [[key, slot.digest] for key, slot in self._slots.items() if slot.digest]
        self._protocol.output.providers = parts

    def _confirm(self, slot: _Slot, attempt: _Attempt, now: Now) -> None:
        attempt.confirmed = now.clock
        payload = bytes([slot.index]) + attempt.confirmer.confirm(attempt.opener.next)
        self._send(frame(FrameType.PART_RECEIVED, payload))

    def _drop(self, slot: _Slot, error: Exception) -> None:
        """End an attempt, and erase what it stored."""
        assert slot.attempt is not None
        assert slot.provider is not None
        attempt, slot.attempt, slot.size = slot.attempt, None, 0
        self._actions.append(ReplaceTrees(tuple((i, []) for i in self._dirs(slot))))
        self._decline(slot.provider.key, attempt.join, error)

    def _decline(self, provider: bytes, request: bytes, error: Exception) -> None:
        code = error.code if isinstance(error, EnarxError) else "keeper-memory"
        self._send(frame(FrameType.DECLINED, Declined(provider=provider, request=request, code=code).to_bytes()))

    def _dirs(self, slot: _Slot) -> list[int]:
        return self._manifest.dirs_of(slot.provider) if slot.provider else []

    def _feed(self, action: Action) -> None:
        """Hold back what is for stdin until the start. A new attachment sends again what was held."""
        if self._held is None:
            super()._feed(action)
        elif isinstance(action, DropStdin):
            self._held.clear()
        else:
            self._held.append(action)

    def _seal(self, index: int) -> bytes:
        recipient, protocol = self._manifest.recipients[index], self._protocol
        try:
            return hpke_seal(self._secret, recipient.key, info=grant_info(protocol.session, protocol.package, index))
        except DeliveryError:
            raise _refused("recipient-key", f"the key of recipient {recipient.name} is not valid") from None


def _refused(code: str, message: str) -> DeliveryError:
    return DeliveryError(code, message, state=SESSION)
