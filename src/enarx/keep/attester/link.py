"""The keeper's end of the link to its attester. It knows no kind of TEE: the kind comes over the link.

One packet is one message, in CBOR:

    attester  {"kind": text, "host_data": 32 bytes}     once, before anything else
    keeper    {"report_data": 64 bytes}
    attester  {"evidence": bytes, "endorsements": [bytes, ...]}, or {} if there is none this time

The attester is measured code, but hardware and firmware answer it and might take it over. So the keeper checks the form
of every message. An attester that breaks the form, or exits, is killed and reaped, and there is no more evidence from then
on. A running job continues: it does not need evidence.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from enarx.errors import ParseError, UnavailableError
from enarx.formats.wire import MAX_ENDORSED, MAX_EVIDENCE, decode, encode
from enarx.keep.children import Child

MAX_ANSWER = MAX_EVIDENCE + MAX_ENDORSED + (4 << 10)
"""Bytes of the largest packet, from either end."""

PATIENCE = 120.0
"""Seconds for the attester's first message, as long as a tenant has for its first. Hardware that needs longer is broken."""

MAX_KIND = 32
HOST_DATA = 32


class AttesterLink:
    """The keeper's end of the link to its attester. `child` is the attester's process, if this process forked it.

    The constructor waits for the attester's first message: PATIENCE seconds at most, and only while the other end of
    `control`, the Keep's control socket, is open. All methods raise UnavailableError 'no-evidence' if the attester fails.
    """

    def __init__(self, link: socket.socket, child: Child | None = None, *, control: int = -1) -> None:
        self._link = link
        self._child = child
        if not self._has_greeting(control):
            raise self._broken()
        value = self._receive()
        kind, host_data = value.get("kind"), value.get("host_data")
        if type(kind) is not str or type(host_data) is not bytes or len(value) != 2:
            raise self._broken()
        if not 0 < len(kind) <= MAX_KIND or len(host_data) != HOST_DATA:
            raise self._broken()
        self.kind: str = kind
        self.host_data: bytes = host_data

    def fileno(self) -> int:
        """The socket, for poll: readable once an answer has arrived or the attester has exited."""
        return self._link.fileno()

    def ask(self, report_data: bytes) -> None:
        """Request evidence over 64 bytes of report data, without waiting. Take its answer before the next request."""
        try:
            self._link.send(encode({"report_data": report_data}), socket.MSG_DONTWAIT)
        except OSError as e:
            raise self._broken() from e

    def answer(self) -> tuple[bytes, tuple[bytes, ...]]:
        """Wait for the requested evidence; return it with its endorsements."""
        value = self._receive()
        if not value:
            raise _unavailable()
        evidence, endorsements = value.get("evidence"), value.get("endorsements")
        if type(evidence) is not bytes or type(endorsements) is not list or len(value) != 2:
            raise self._broken()
        if any(type(item) is not bytes for item in endorsements):
            raise self._broken()
        if len(evidence) > MAX_EVIDENCE or sum(map(len, endorsements)) > MAX_ENDORSED:
            raise self._broken()
        return evidence, tuple(endorsements)

    def _has_greeting(self, control: int) -> bool:
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        if control >= 0:
            poll.register(control, 0)  # reports only that the host has closed its end
        return self._link.fileno() in dict(poll.poll(PATIENCE * 1000))

    def _receive(self) -> dict[str, Any]:
        try:
            packet = self._link.recv(MAX_ANSWER)
            value: Any = decode(packet, "attester's message") if packet else None
        except (OSError, ParseError) as e:
            raise self._broken() from e
        if type(value) is not dict:
            raise self._broken()
        return value

    def _broken(self) -> UnavailableError:
        """Kill and reap the attester, after it has exited or broken the form; return the error to raise."""
        if self._child is not None:
            self._child.kill()
            self._child.reap(wait=True)
        return _unavailable()


def _unavailable() -> UnavailableError:
    return UnavailableError("no-evidence", "the attester gave no evidence")
