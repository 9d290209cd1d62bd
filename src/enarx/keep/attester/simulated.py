"""Evidence from the simulated-hardware process, over the private link that it gave this Keep at its launch."""

from __future__ import annotations

import socket
from typing import Any

from enarx.errors import UnavailableError
from enarx.formats.package import byte_strings
from enarx.formats.wire import decode, encode

KIND = "simulated"
MAX_MESSAGE = 256 << 10


class SimulatedAttester:
    """Asks the hardware that started this Keep. `host_data` is what the launch was bound to: 32 bytes, zero in a pool."""

    kind = KIND

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self.host_data = byte_strings([self._receive({"host_data"})["host_data"]], 32, "launch host data")[0]

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        """Evidence over 64 bytes of report data, and the endorsements that go with it."""
        self.ask(report_data)
        return self.answer()

    def fileno(self) -> int:
        """For poll: readable once the answer is there."""
        return self._link.fileno()

    def ask(self, report_data: bytes) -> None:
        """Have evidence made over 64 bytes of report data; `answer` takes it, in the order of asking."""
        try:
            self._link.send(encode({"report_data": report_data}))
        except OSError as e:
            raise _silent() from e

    def answer(self) -> tuple[bytes, tuple[bytes, ...]]:
        """The evidence that was asked for, and the endorsements that go with it; waits for it."""
        answer = self._receive({"evidence", "endorsements"})
        return answer["evidence"], tuple(answer["endorsements"])

    def _receive(self, keys: set[str]) -> dict[str, Any]:
        try:
            message = self._link.recv(MAX_MESSAGE)
        except OSError as e:  # it has died over what it had not read
            raise _silent() from e
        value: Any = decode(message, "hardware's answer") if message else None
        if not isinstance(value, dict) or set(value) != keys:
            raise _silent()
        return value


def _silent() -> UnavailableError:
    return UnavailableError("no-evidence", "the hardware gave no evidence")
