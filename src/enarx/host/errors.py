"""Errors of the host's interface: a status, and a body with code, message, hint and checks (`http/schemas.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from enarx.host.faults import FAULTS

STATUS = {
    "usage": 400,
    "malformed": 400,
    "frame-size": 413,
    "too-large": 413,
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "method": 405,
    "slow": 408,
    "busy": 409,
    "key-reused": 409,
    "name-taken": 409,
    "not-ended": 409,
    "ended": 409,
    "cut": 400,
    "frame-type": 400,
    "no-hardware": 422,
    "layers-missing": 422,
    "target": 414,
    "headers": 431,
    "internal": 500,
    "host-full": 503,
    "crowded": 503,
    "descriptors": 503,
    "host-memory": 503,
    "not-gone": 503,
    "not-removed": 503,
    "state-read-only": 503,
    "http-version": 505,
    "disk-full": 507,
}
OTHER = 502
"""The status of every other code: a backend, a supervisor or the launcher refused or failed."""


class HostError(Exception):
    """An answer that is an error. `checks` name the missing layers of the sandbox where that is the reason."""

    def __init__(self, code: str, message: str, *, hint: str = "", checks: Iterable[Iterable[object]] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.checks = code, message, hint, checks

    @property
    def status(self) -> int:
        """The HTTP status of its code."""
        return STATUS.get(self.code, OTHER)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that RFC 9110 requires with its status."""
        return {"WWW-Authenticate": "Bearer"} if self.status == STATUS["unauthorized"] else {}

    @classmethod
    def of_system(cls, e: OSError) -> HostError | None:
        """The error for clients that stands for a failure of the operating system; None if the failure is a bug of this program."""
        fault = FAULTS.get(e.errno or 0)
        return cls(fault[0], fault[1], hint=fault[2]) if fault is not None else None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> HostError:
        """From an answer of a supervisor or of the launcher that is not `ok`."""
        return cls(
            str(answer.get("code", "host")),
            str(answer.get("message", "")),
            hint=str(answer.get("hint", "")),
            checks=answer.get("checks", ()),
        )
