"""The wait for the parts of further owners of data (docs/spec/contributions.md). A Keep has it with the profile `providers`.

The package is accepted and the session open, but the workload starts only when every provider's part has come. Each provider
has a slot of its own. Only what its key signed or its stream's key sealed changes a slot, so a frame that someone else sends
in a provider's name is skipped or declined, and leaves its attempt as it was. A fault of a part ends that attempt: the
provider may begin again. After the start this is an ordinary `Workload`, which still answers a Join.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator

from enarx.delivery import sharing
from enarx.delivery.content import FilePiece, Trees
from enarx.delivery.keep import KeepProtocol
from enarx.delivery.messages import VERSION, open_keys, report_data, same
from enarx.delivery.states import SESSION
from enarx.delivery.stream import Confirmer, Opener
from enarx.delivery.suite import HpkeKey, commit_keys, derive, hpke_seal, verify_signature
from enarx.errors import DeliveryError, EnarxError, ParseError
from enarx.formats.sharing import Provider
from enarx.formats.wire import CHUNK, FrameType, encode, frame
from enarx.keep.core.actions import Action, DropStdin, ReplaceTrees, StoreSecrets
from enarx.keep.core.deadlines import CONFIRM_EVERY, Deadlines, Now
from enarx.keep.core.limits import in_pages
from enarx.keep.core.workload import Workload
from enarx.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.keep.core.machine import Package

Answer = Callable[[str, bytes, tuple[bytes, ...]], bytes]
"""From kind, evidence and endorsements to the frame that answers a request."""

Ask = Callable[[object, Callable[[], tuple[bytes, Answer]]], None]
"""Requests evidence for a party, unless a request of that party waits already: the core calls back for report data and answer."""


class _Attempt:
    """A part while it is received. `message` is the SHA-256 of its Contribution."""

    def __init__(self, message: bytes, keys: bytes, bound: bytes, receiver: sharing.PartReceiver, now: Now) -> None:
        stream_key, secret = open_keys(keys)
        self.message, self.receiver, self.confirmed = message, receiver, now.clock
        self.opener, self.confirmer = Opener(stream_key), Confirmer(derive(secret, bound, "received"))


class _Slot:
    """What the Keep holds of one provider.

    `invited` has the newest invitation's HPKE key, until it is used, and the SHA-256 of Join and Invitation. `size` is the
    room that the files of its part take, in bytes; `digest` is set once the part was accepted.
    """

    def __init__(self, index: int, provider: Provider) -> None:
        self.index, self.provider = index, provider
        self.invited: tuple[HpkeKey, bytes, bytes] | None = None
        self.attempt: _Attempt | None = None
        self.size = 0
        self.digest = b""


class Gathering(Workload):
    """The workload of a package with providers or recipients, from its acceptance on. `ask` requests evidence.

    `steps` are a slot and the rest of the actions for its newest chunk, None if there are none.
    """

    def __init__(
        self, protocol: KeepProtocol, package: Package, actions: deque[Action], ask: Ask, deadlines: Deadlines, now: Now
    ) -> None:
        self._held: list[Action] | None = []
        manifest, seconds = package.manifest, package.compile_seconds
        super().__init__(protocol, manifest.config, actions, compile_seconds=seconds, now=now)
        self._manifest, self._order, self._ask, self._deadlines = manifest, package.start(), ask, deadlines
        self._slots = {p.key: _Slot(i, p) for i, p in enumerate(manifest.providers)}
        self._buffer = memoryview(bytearray(CHUNK))
        self.steps: tuple[_Slot, Iterator[Action]] | None = None
        self._secrets: dict[str, bytes] = {}
        self._secret = derive(package.entropy, protocol.session, "output for recipients")
        self._sealed = tuple(
            hpke_seal(self._secret, recipient.key, info=sharing.grant_info(protocol.session, protocol.package, i))
            for i, recipient in enumerate(manifest.recipients)
        )
        self.deadline = now.clock + self._limits.contributions

    def begin(self, now: Now) -> None:
        """Start the workload if every part has come: grant the output to the recipients, and release what waited."""
        if self._held is None or self._verdict is not None or not all(slot.digest for slot in self._slots.values()):
            return
        protocol = self._protocol
        if self._sealed:
            terms = protocol.grant(self._secret, self._manifest)
            signature = protocol.sign(sharing.grant_transcript(protocol.session, protocol.package, self._sealed))
            self._answer(FrameType.GRANT, terms=terms, sealed=list(self._sealed), signature=signature)
        secrets = [s for s in self._manifest.config.secrets if s.env is not None and s.name in self._secrets]
        env = (*self._order.env, *((s.env or "", self._secrets[s.name].decode()) for s in secrets))
        self._actions.extend((replace(self._order, env=env), *self._held))
        self._held, self._buffer = None, self._buffer[:0]
        self._start = now.clock
        self.deadline = now.clock + self._compile_seconds

    def tick(self, now: Now) -> None:
        """End the run if its deadline has passed: that of the parts, until the start."""
        if self._held is None:
            super().tick(now)
        elif self.deadline is not None and now.clock >= self.deadline:
            late = ", ".join(slot.provider.name for slot in self._slots.values() if not slot.digest)
            self.kill("refused", f"parts-missing: no part came within {self._limits.contributions:g} s from {late}")

    def frame(self, kind: FrameType, payload: memoryview, now: Now, entropy: bytes) -> None:
        """A frame of a provider arrived, or of anyone in its name. What cannot be parsed is skipped."""
        if kind is FrameType.PART:
            self._part(payload, now)
            return
        data, message = bytes(payload), sharing.Join if kind is FrameType.JOIN else sharing.Contribution
        try:
            parsed = message.from_bytes(data)
        except ParseError:
            return
        digest = hashlib.sha256(data).digest()
        try:
            if isinstance(parsed, sharing.Join):
                self._join(parsed, data, digest, entropy)
            else:
                self._contribution(parsed, digest, now)
        except (EnarxError, MemoryError) as e:
            self._decline(parsed.provider, digest, e)

    def advance(self, now: Now) -> None:
        """Append the next action for the newest chunk; a fault of the part ends its attempt."""
        assert self.steps is not None
        try:
            action = next(self.steps[1], None)
        except (EnarxError, MemoryError) as e:
            self.failed(e)
            return
        if action is not None:
            self._actions.append(action)
        else:
            self.steps = None
            self.begin(now)

    def failed(self, error: Exception) -> bool:
        """End the attempt whose action could not be performed; returns False if the action was not an attempt's."""
        steps, self.steps = self.steps, None
        if steps is not None and steps[0].attempt is not None:
            self._drop(steps[0], steps[0].attempt, error)
        return steps is not None

    def _join(self, join: sharing.Join, data: bytes, digest: bytes, entropy: bytes) -> None:
        slot = self._slots.get(join.provider)
        if slot is None and join.provider != sharing.OBSERVER:
            raise _refused("not-a-provider", "the manifest names no provider with this key")
        if not same(join.package, self._protocol.package):
            raise _refused("other-package", "this Keep runs another package")
        if slot is not None:
            verify_signature(join.provider, join.signature, join.signed, code="join-signature", state=SESSION)
        if slot is None or slot.invited is None or not same(slot.invited[1], digest):
            self._ask(join.provider, lambda: self._invite(slot, data, digest, entropy))

    def _invite(self, slot: _Slot | None, data: bytes, digest: bytes, entropy: bytes) -> tuple[bytes, Answer]:
        """Return the report data for an invitation with a fresh HPKE key, and the function that makes it from evidence."""
        key = HpkeKey(b"".join(derive(entropy, digest, f"invitation {i}") for i in range(3)))
        own = {
            "hpke": key.public,
            "identity": self._protocol.identity,
            "session": self._protocol.session,
        }

        def answer(kind: str, evidence: bytes, endorsements: tuple[bytes, ...]) -> bytes:
            given = {"kind": kind, "evidence": evidence, "endorsements": list(endorsements)}
            rest = {"version": VERSION, "manifest": self._manifest.raw, "request": digest}
            invitation = encode(own | given | rest)
            if slot is not None:
                slot.invited = (key, digest, hashlib.sha256(invitation).digest())
            return frame(FrameType.INVITATION, invitation)

        return report_data(sharing.ROLE_PROVIDE, data, *own.values(), self._protocol.package), answer

    def _contribution(self, message: sharing.Contribution, digest: bytes, now: Now) -> None:
        slot = self._slots.get(message.provider)
        if slot is None or slot.digest:
            raise _refused("contributed-already" if slot else "not-a-provider", "the Keep needs no part from this key")
        if slot.attempt is not None and same(digest, slot.attempt.message):
            self._confirm(slot, slot.attempt, now)
            return
        if slot.invited is None:
            raise _refused("not-invited", "the provider has no invitation that it did not use yet")
        key, join, invitation = slot.invited
        session = (self._protocol.session, self._protocol.package)
        bound = sharing.contribution_binding(join, invitation, *session, message.commitment)
        verify_signature(message.provider, message.signature, bound, code="provider-signature", state=SESSION)
        slot.invited = None
        keys = key.open(message.sealed, info=bound)
        if not same(commit_keys(keys), message.commitment):
            raise _refused("key-commitment", "the provider did not sign the sealed keys")
        if slot.attempt is not None:
            self._drop(slot, slot.attempt, _refused("begun-again", "the provider has begun again"))
        slot.attempt = _Attempt(digest, keys, bound, sharing.PartReceiver(self._manifest, slot.provider), now)

    def _part(self, payload: memoryview, now: Now) -> None:
        """Open a chunk of a part. One that its provider did not seal, or that is not the next, is skipped."""
        index, number = sharing.PART_HEADER.unpack_from(payload) if len(payload) > sharing.PART_HEADER.size else (-1, 0)
        slot = next((slot for slot in self._slots.values() if slot.index == index), None)
        attempt = slot.attempt if slot is not None else None
        if slot is None or attempt is None or number != attempt.opener.next or attempt.opener.finished:
            return
        try:
            size = attempt.opener.open_into(payload[sharing.PART_HEADER.size :], self._buffer)
        except DeliveryError:
            return
        self.steps = (slot, self._take(slot, attempt, self._buffer[:size], now))

    def _take(self, slot: _Slot, attempt: _Attempt, data: memoryview, now: Now) -> Iterator[Action]:
        """Yield the actions that store a chunk of a part; after the last chunk, accept the part."""
        for part in attempt.receiver.feed(data):
            if isinstance(part, Trees):
                slot.size = sum(in_pages(node.size) for nodes in part.trees for node in nodes)
                if sum(other.size for other in self._slots.values()) > self._limits.disk:
                    raise _refused("disk-limit", "the parts need more than limits.disk")
                yield ReplaceTrees(tuple((i, part.trees[i]) for i in slot.provider.numbers(self._manifest.config)))
            elif isinstance(part, FilePiece):
                yield part
        if attempt.opener.finished:
            attempt.receiver.finish()
            yield StoreSecrets(attempt.receiver.secrets)
            self._accept(slot, attempt)
        elif attempt.opener.next % CONFIRM_EVERY == 0 or now.clock - attempt.confirmed >= self._deadlines.confirm:
            self._confirm(slot, attempt, now)

    def _accept(self, slot: _Slot, attempt: _Attempt) -> None:
        protocol, key, digest = self._protocol, slot.provider.key, attempt.receiver.digest
        slot.digest, slot.attempt = digest, None
        self._secrets |= attempt.receiver.secrets
        protocol.parts = sorted([*protocol.parts, [key, digest]])
        signature = protocol.sign(sharing.contributed_transcript(protocol.session, protocol.package, key, digest))
        self._answer(FrameType.CONTRIBUTED, provider=key, digest=digest, signature=signature)

    def _confirm(self, slot: _Slot, attempt: _Attempt, now: Now) -> None:
        attempt.confirmed = now.clock
        self._send(frame(FrameType.PART_RECEIVED, bytes([slot.index]) + attempt.confirmer.confirm(attempt.opener.next)))

    def _drop(self, slot: _Slot, attempt: _Attempt, error: Exception) -> None:
        """End an attempt, and erase what it stored."""
        slot.attempt, slot.size = None, 0
        self._actions.append(ReplaceTrees(tuple((i, []) for i in slot.provider.numbers(self._manifest.config))))
        self._decline(slot.provider.key, attempt.message, error)

    def _decline(self, provider: bytes, request: bytes, error: Exception) -> None:
        code = error.code if isinstance(error, EnarxError) else "keeper-memory"
        self._answer(FrameType.DECLINED, provider=provider, request=request, code=code)

    def _answer(self, kind: FrameType, **fields: object) -> None:
        self._send(frame(kind, encode({"version": VERSION, **fields})))

    def _feed(self, action: Action) -> None:
        """Hold back what is for stdin until the start. A new attachment sends again what was held."""
        if self._held is None:
            super()._feed(action)
        else:
            self._held = [] if isinstance(action, DropStdin) else [*self._held, action]


def _refused(code: str, message: str) -> DeliveryError:
    return DeliveryError(code, message, state=SESSION)
