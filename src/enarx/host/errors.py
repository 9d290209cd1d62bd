"""Errors of the host's interface: what a client gets is a status and {"error": {"code", "message", "hint"}}."""

from __future__ import annotations

from typing import Any

STATUS = {
    "usage": 400,
    "frame-size": 413,
    "too-large": 413,
    "unauthorized": 401,
    "not-found": 404,
    "busy": 409,
    "not-ended": 409,
    "ended": 409,
    "cut": 400,
    "no-hardware": 422,
    "layers-missing": 422,
    "host-full": 503,
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
