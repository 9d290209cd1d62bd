"""Every error that Enarx raises, sorted by whose fault it is and what the caller does next.

    EnarxError                code, message, hint
    |- ParseError             the bytes are not the format               the peer's fault
    |- VerificationError      not authentic: signature, chain, time      the peer's fault
    |- AppraisalError         authentic, but not acceptable              carries every check
    |- DeliveryError          the peer broke the protocol                carries the state it was in
    |- UnavailableError       could not decide, or lost: retry           never means trusted
    |- BackendError           this host cannot launch it                 carries checks with remedies
    `- UsageError             the caller or the configuration is wrong

`code` is a stable kebab-case word for machines; `message` is for people: subject, got, wanted, where the rule stands,
in lower case and never with a secret in it. `hint` says what to do next, and may be empty.
"""

from __future__ import annotations

MAX_MESSAGE = 4096
"""Characters of a message or a hint: what was given is often in it, and may be of any length."""


class EnarxError(Exception):
    """Base of all; catch it at the outermost edge only."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        self.code = code
        self.message = _short(message)
        self.hint = _short(hint)
        super().__init__(self.message)


class ParseError(EnarxError):
    """The bytes are not the format `what`; `offset` is where reading stopped, in bytes."""

    def __init__(self, code: str, message: str, *, what: str, offset: int = 0, hint: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.what = what
        self.offset = offset


class VerificationError(EnarxError):
    """The evidence is not authentic."""


class AppraisalError(EnarxError):
    """The evidence is authentic but the policy does not accept it; `result` is the AttestationResult, all checks in it."""

    def __init__(self, code: str, message: str, *, result: object, hint: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.result = result


class DeliveryError(EnarxError):
    """The peer (the host, or whoever speaks through it) broke the protocol while it was in `state`."""

    def __init__(self, code: str, message: str, *, state: str, hint: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.state = state


class UnavailableError(EnarxError):
    """It could not be decided, or was lost on the way. Retry; it never means trusted."""


class BackendError(EnarxError):
    """This host cannot launch such a Keep; `checks` are (name, what is missing, remedy)."""

    def __init__(
        self, code: str, message: str, *, checks: tuple[tuple[str, str, str], ...] = (), hint: str = ""
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.checks = checks


class UsageError(EnarxError):
    """The caller or the configuration is wrong."""


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 4]} ..."
