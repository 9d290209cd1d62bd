"""Any events in any order: the core raises nothing, moves only along the state table, and lets no plaintext out.

Hypothesis plays host, tenant, hardware and workload at once. The driver's three rules hold, all else is free.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from enarx.delivery.keep import ANY_PACKAGE
from enarx.delivery.messages import Attest
from enarx.delivery.session import STDIN, STDIN_END, STOP, Status
from enarx.delivery.states import TABLE
from enarx.delivery.tenant import CHUNK_BUFFER, Admission, Attachment, Session
from enarx.errors import DeliveryError, EnarxError, ParseError
from enarx.formats.wire import CHUNK, HEADER, FrameType, encode, frame, frame_header
from enarx.keep.core.actions import AskEvidence, Done, Send, Start, WriteStdin
from enarx.keep.core.machine import Core
from tests.exchange import CANARIES, KEEP_ENTROPY, KEYS, NONCE, NOW, OWNER, Content, frames, kind, manifest, payload
from tests.keep.core.driver import ROOMY, VANISHED
from tests.keep.core.pair import Clock

NEXT: dict[str, set[str]] = {}
for (before, _), after in TABLE.items():
    NEXT.setdefault(before, {before}).add(after)


def reachable(state: str) -> set[str]:
    """All states that the table's moves lead to."""
    states, new = {state}, {state}
    while new:
        new = set().union(*(NEXT.get(s, set()) for s in new)) - states
        states |= new
    return states


REACHABLE = {state: reachable(state) for state in {s for s, _ in TABLE} | set(TABLE.values())}


class Events(RuleBasedStateMachine):
    @initialize(pooled=st.booleans(), steps=st.integers(0, 3))
    def launch(self, pooled: bool, steps: int) -> None:
        """A Keep that an honest tenant has taken so many steps with: admission, delivery, the package."""
        self.clock = Clock()
        self.package = manifest()
        host_data = ANY_PACKAGE if pooled else self.package.digest
        self.core = Core(entropy=KEEP_ENTROPY, host_data=host_data, limits=ROOMY, now=self.clock())
        self.tenant = Admission(manifest=self.package, owner_seed=OWNER, nonce=NONCE)
        self.session: Session | None = None
        self.attachment: Attachment | None = None
        self.honest = self.tenant_frames()
        self.sent: list[bytes] = []
        self.from_keep: list[bytes] = []
        self.unwritten = 0
        self.stdin = 0
        self.asked = self.started = False
        self.done = 0
        self.before = self.core.state
        for _ in range(steps):
            self.tenant_goes_on()
            if self.asked:
                self.hardware_answers(b"evidence", there=True)
        assert self.core.state == ("fresh", "attested", "receiving", "session")[steps]

    def tenant_frames(self) -> Iterator[bytes]:
        """The frames of an honest tenant, for as long as the Keep answers as it should."""
        yield self.tenant.challenge()
        self.tenant.attestation(self.last(FrameType.ATTESTATION))
        delivery, self.session = self.tenant.delivery(entropy=KEYS, now=NOW)
        yield delivery
        buffer, plaintext = bytearray(CHUNK_BUFFER), Content().plaintext()
        assert len(plaintext) < CHUNK
        yield bytes(self.tenant.chunk(plaintext, buffer, final=True))

    def last(self, wanted: FrameType) -> bytes:
        found = [payload(f) for f in self.from_keep if kind(f) is wanted]
        if not found:
            raise DeliveryError("silent", "the Keep has not answered", state="")
        return found[-1]

    def act(self) -> None:
        while (action := self.core.next_action(self.clock())) is not None:
            assert not self.done, "an action after the last"
            if isinstance(action, Send):
                assert not any(canary in action.data for canary in CANARIES)
                self.from_keep += frames(action.data)
            self.asked = self.asked or isinstance(action, AskEvidence)
            self.started = self.started or isinstance(action, Start)
            self.unwritten += len(action.data) if isinstance(action, WriteStdin) else 0
            self.done += isinstance(action, Done)

    def give(self, data: bytes) -> None:
        try:
            found, _ = frame_header(data[: HEADER.size])
        except ParseError as e:
            self.core.malformed(e, self.clock())
        else:
            self.core.frame(found, memoryview(data)[HEADER.size :], self.clock(), os.urandom(32))
        self.act()

    @rule()
    def tenant_goes_on(self) -> None:
        try:
            data = next(self.honest, None)
        except EnarxError:
            data, self.honest = None, iter(())
        if data is not None:
            self.sent.append(data)
            self.give(data)

    @precondition(lambda self: self.session is not None)
    @rule(nonce=st.binary(min_size=32, max_size=32))
    def tenant_attaches(self, nonce: bytes) -> None:
        assert self.session is not None
        self.attachment = Attachment(self.session, nonce=nonce)
        self.sent.append(self.attachment.attach())
        self.give(self.sent[-1])
        for data in self.from_keep:
            if kind(data) is FrameType.ATTACHED:
                self.attachment.receive(kind(data), payload(data))

    @precondition(lambda self: self.attachment is not None)
    @rule(which=st.sampled_from([STDIN, STDIN, STDIN, STDIN_END, STOP, 99]), data=st.binary(max_size=20))
    def tenant_sends(self, which: int, data: bytes) -> None:
        assert self.attachment is not None
        try:
            self.sent.append(self.attachment.send(which, self.stdin, data))
        except DeliveryError:
            return
        self.stdin += len(data)
        self.give(self.sent[-1])

    @rule(nonce=st.binary(min_size=32, max_size=32))
    def tenant_asks_for_evidence(self, nonce: bytes) -> None:
        self.sent.append(frame(FrameType.ATTEST, Attest(nonce=nonce).to_bytes()))
        self.give(self.sent[-1])

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def host_repeats_or_mangles(self, data: st.DataObject) -> None:
        chosen = bytearray(data.draw(st.sampled_from(self.sent)))
        if data.draw(st.booleans()):
            at = data.draw(st.integers(8 * HEADER.size, 8 * len(chosen) - 1))
            chosen[at // 8] ^= 1 << at % 8
        self.give(bytes(chosen))

    @rule(found=st.sampled_from(list(FrameType)), junk=st.binary(max_size=60))
    def host_invents(self, found: FrameType, junk: bytes) -> None:
        self.give(frame(found, junk))

    @rule(head=st.sampled_from([b"\0\0\0\0\0", b"\0\0\0\5\x4d", b"\xff\xff\xff\xff\1"]))
    def host_sends_no_frame(self, head: bytes) -> None:
        self.give(head)

    @precondition(lambda self: self.asked)
    @rule(evidence=st.binary(min_size=1, max_size=60), there=st.booleans())
    def hardware_answers(self, evidence: bytes, there: bool) -> None:
        self.asked = False
        if there:
            self.core.evidence("simulated", evidence, (), self.clock())
        else:
            self.core.no_evidence()
        self.act()

    @rule(seconds=st.sampled_from([0.0, 0.3, 6.0, 130.0, 500.0]), behind=st.integers(-1000, 1000))
    def time_passes(self, seconds: float, behind: int) -> None:
        self.clock.seconds += seconds
        self.clock.behind = behind
        self.core.tick(self.clock())
        self.act()

    @rule(code=st.sampled_from(["compiler", "disk-limit"]), memory=st.booleans())
    def driver_fails(self, code: str, memory: bool) -> None:
        if memory:
            self.core.out_of_memory(self.clock())
        else:
            self.core.failed(DeliveryError(code, "it failed", state=""), self.clock())
        self.act()

    @rule(which=st.sampled_from([1, 2]), data=st.binary(min_size=1, max_size=60))
    def workload_writes(self, which: int, data: bytes) -> None:
        self.core.output(which, b"canary-stdout" + data)
        self.act()

    @precondition(lambda self: self.unwritten)
    @rule(data=st.data())
    def workload_reads(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, self.unwritten))
        self.unwritten -= count
        self.core.stdin_written(count)
        self.act()

    @rule(what=st.sampled_from(["loaded", "stdin closed", "compile failed"]))
    def workload_goes_on(self, what: str) -> None:
        if what == "loaded":
            self.core.loaded(self.clock())
        elif what == "stdin closed":
            self.unwritten = 0
            self.core.stdin_closed()
        else:
            self.core.compile_failed("no code")
        self.act()

    @precondition(lambda self: self.started)
    @rule(result=st.one_of(st.binary(max_size=20), st.just(encode({"cause": "exit", "code": 3}))))
    def workload_ends(self, result: bytes) -> None:
        self.core.ended(result, VANISHED, self.clock())
        self.act()

    @invariant()
    def moves_are_those_of_the_table(self) -> None:
        assert self.core.state in REACHABLE[self.before]
        self.before = self.core.state

    @invariant()
    def an_end_is_one_end(self) -> None:
        assert self.done == int(self.core.over)
        assert self.core.over or self.core.state not in ("ended", "refused")
        if self.core.over:
            assert self.core.deadline is None

    @invariant()
    def what_was_sealed_can_be_read(self) -> None:
        """Whatever happened, the Keep's own output opens from record 0 on, and ends once."""
        if self.session is None:
            return
        opener = self.session.opener()
        records = [opener.open(payload(f)) for f in self.from_keep if kind(f) is FrameType.OUTPUT]
        assert opener.lost == 0
        statuses = [record.status for record in records if record.status is not None]
        assert bool(statuses) == (self.core.state == "ended")
        assert all(isinstance(status, Status) and status.time >= NOW for status in statuses)


Events.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestEvents = Events.TestCase
