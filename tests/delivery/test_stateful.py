"""A host that does anything to the frames in between, driven by hypothesis.

Whatever it does, the tenant accepts only bytes that the Keep wrote, in order, with every gap known and every byte counted
that no signature covers. The Keep's stdin is a prefix of what the tenant sent. Everything else is a DeliveryError or a
ParseError. Pieces have 16 bytes here, so that checkpoints are frequent.
"""

from __future__ import annotations

from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from enarx.delivery.session import STDIN, STDOUT, Status
from enarx.errors import DeliveryError, ParseError
from enarx.formats.wire import FrameType
from tests.exchange import frames, payload, running

PIECE = 16


class Host(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.pieces = [mock.patch(f"enarx.delivery.{name}.PIECE", PIECE) for name in ("output", "reading")]
        for patch in self.pieces:
            patch.start()
        self.exchange, self.attachment = running()
        self.to_tenant: list[bytes] = []
        self.to_keep: list[bytes] = []
        self.written = b""
        self.sent = b""
        self.stdin = b""
        self.accepted: list[tuple[int, bytes, int]] = []
        self.ended = False
        self.status = None

    def teardown(self) -> None:
        for patch in self.pieces:
            patch.stop()

    @precondition(lambda self: not self.ended)
    @rule(data=st.binary(min_size=1, max_size=20))
    def keep_writes(self, data: bytes) -> None:
        self.to_tenant += [payload(frame) for frame in frames(self.exchange.keep.write(STDOUT, data))]
        self.written += data

    @precondition(lambda self: not self.ended)
    @rule()
    def keep_ends(self) -> None:
        final = self.exchange.keep.final(Status(cause="exit", code=7))
        self.to_tenant += [payload(frame) for frame in frames(final)]
        self.ended = True

    @precondition(lambda self: self.status is None)
    @rule(data=st.binary(min_size=1, max_size=20))
    def tenant_sends(self, data: bytes) -> None:
        self.to_keep.append(payload(self.attachment.send(STDIN, len(self.sent), data)))
        self.sent += data

    @precondition(lambda self: self.to_tenant)
    @rule(data=st.data())
    def host_gives_output(self, data: st.DataObject) -> None:
        frame = data.draw(st.sampled_from(self.to_tenant))
        self._give(self._mangled(data, frame))

    @precondition(lambda self: self.to_keep and not self.ended)
    @rule(data=st.data())
    def host_gives_input(self, data: st.DataObject) -> None:
        frame = self._mangled(data, data.draw(st.sampled_from(self.to_keep)))
        try:
            record = self.exchange.keep.input(frame)
        except (DeliveryError, ParseError):
            return
        if record is not None:
            assert record[0] == STDIN
            assert record[1] == len(self.stdin)
            self.stdin += record[2]

    @rule(junk=st.binary(max_size=60))
    def host_invents(self, junk: bytes) -> None:
        self._give(junk)

    def _mangled(self, data: st.DataObject, frame: bytes) -> bytes:
        if not data.draw(st.booleans()):
            return frame
        at = data.draw(st.integers(0, 8 * len(frame) - 1))
        broken = bytearray(frame)
        broken[at // 8] ^= 1 << at % 8
        return bytes(broken)

    def _give(self, frame: bytes) -> None:
        try:
            record = self.attachment.receive(FrameType.OUTPUT, frame)
        except (DeliveryError, ParseError):
            return
        assert record is not None
        if record.status is not None:
            self.status = record.status
        elif record.kind == STDOUT:
            self.accepted.append((record.offset, record.data, record.lost))

    @invariant()
    def what_is_accepted_was_written(self) -> None:
        end = 0
        for offset, data, _ in self.accepted:
            assert self.written[offset : offset + len(data)] == data
            assert offset >= end
            end = offset + len(data)

    @invariant()
    def stdin_is_a_beginning_of_what_was_sent(self) -> None:
        assert self.sent.startswith(self.stdin)

    @invariant()
    def a_status_is_the_keeps(self) -> None:
        assert self.status is None or (
            self.ended and self.status == Status(cause="exit", code=7, stdout=len(self.written))
        )

    @invariant()
    def what_is_missing_is_unproven(self) -> None:
        if self.status is None:
            return
        output = self.attachment.output
        missing = len(self.written) - sum(len(data) for _, data, _ in self.accepted)
        assert missing <= output.unproven[STDOUT] <= len(self.written)
        assert output.lost or not output.unproven[STDOUT]


Host.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestHost = Host.TestCase
