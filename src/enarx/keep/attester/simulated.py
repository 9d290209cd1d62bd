"""Simulated evidence, which the simulator signs. It passed its report link to this Keep at the launch (docs/spec/host.md)."""

from __future__ import annotations

import os
from typing import Any

from enarx.errors import ParseError, UnavailableError
from enarx.formats.package import byte_strings
from enarx.formats.wire import decode, encode
from enarx.keep import sandbox

MAX_MESSAGE = 256 << 10


class SimulatedAttester:
    """Asks the simulator that launched this Keep. `device` is the Keep's end of the report link, a packet socket."""

    kind = "simulated"
    profile = sandbox.ATTESTER
    directories: tuple[str, ...] = ()

    def __init__(self, device: int) -> None:
        self._device = device
        self.host_data = byte_strings([self._receive({"host_data"})["host_data"]], 32, "launch host data")[0]

    def attest(self, report_data: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        """Evidence about this Keep over 64 bytes of report data, and the chip's certificate."""
        try:
            os.write(self._device, encode({"report_data": report_data}))
        except OSError as e:
            raise _unavailable() from e
        answer = self._receive({"evidence", "endorsements"})
        return answer["evidence"], tuple(answer["endorsements"])

    def _receive(self, keys: set[str]) -> dict[str, Any]:
        """Return the simulator's next packet, which must be a map with exactly these keys."""
        try:
            value: Any = decode(os.read(self._device, MAX_MESSAGE), "the simulator's answer")
        except (OSError, ParseError) as e:
            raise _unavailable() from e
        if not isinstance(value, dict) or set(value) != keys:
            raise _unavailable()
        return value


def _unavailable() -> UnavailableError:
    return UnavailableError("no-evidence", "the simulator gave no evidence")
