"""Errors of the host's interface: what a client gets is a status and {"error": {"code", "message", "hint"}}."""

from __future__ import annotations

from typing import Any

STATUS = {
    "usage": 400,
    "frame-size": 413,
    "too-large": 413,
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "method": 405,
    "busy": 409,
    "not-ended": 409,
    "ended": 409,
    "cut": 400,
    "frame-type": 400,
    "slow": 408,
    "no-hardware": 422,
    "layers-missing": 422,
    "host-full": 503,
    "crowded": 503,
    "not-gone": 503,
    "not-removed": 503,
    "descriptors": 503,
    "host-memory": 503,
    "state-read-only": 503,
    "disk-full": 507,
    "internal": 500,
}
OTHER = 502


class HostError(Exception):
    """An answer that is an error; `checks` go with some of them."""

    def __init__(self, code: str, message: str, *, hint: str = "", checks: object = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.hint, self.checks = code, message, hint, checks

    @property
    def status(self) -> int:
        """The HTTP status of its code."""
        return STATUS.get(self.code, OTHER)

    @property
    def headers(self) -> dict[str, str]:
        """What RFC 9110 wants beside its status."""
        return {"WWW-Authenticate": "Bearer"} if self.status == STATUS["unauthorized"] else {}

    def value(self) -> dict[str, Any]:
        """The body."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint, "checks": self.checks}}

    @classmethod
    def of(cls, answer: dict[str, Any]) -> HostError:
        """From the answer of a supervisor or of the hardware."""
        return cls(
            str(answer.get("code", "host")),
            str(answer.get("message", "")),
            hint=str(answer.get("hint", "")),
            checks=answer.get("checks", ()),
        )
