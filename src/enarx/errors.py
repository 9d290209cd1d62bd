"""Every error that Enarx raises, sorted by who is at fault and what the caller can do next.

    EnarxError                code, message, hint
    |- ParseError             malformed bytes                            the peer's fault
    |- VerificationError      not authentic: signature, chain, time      the peer's fault
    |- AppraisalError         authentic, but not acceptable              carries all checks
    |- DeliveryError          the peer violated the protocol             carries the state
    |- UnavailableError       undecided or lost: retry                   never means trusted
    |- BackendError           this host cannot launch the Keep           carries checks with remedies
    `- UsageError             wrong call or configuration                the caller's fault

`code` is a stable kebab-case word for programs. `message` is for people: subject, got, wanted, and the rule's source, in
lower case and without secrets. `hint` names the next action, and may be empty.
"""

from __future__ import annotations

MAX_MESSAGE = 4096
"""Characters of a message or a hint. Both often quote input, which may have any length."""


class EnarxError(Exception):
    """The base class of all errors; catch it at the outermost edge only."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        self.code = code
        self.message = _short(message)
        self.hint = _short(hint)
        super().__init__(self.message)


class ParseError(EnarxError):
    """The bytes do not follow the format `what`; `offset` is the byte at which parsing stopped."""

    def __init__(self, code: str, message: str, *, what: str, offset: int = 0, hint: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.what = what
        self.offset = offset


class VerificationError(EnarxError):
    """The evidence is not authentic: a signature, a certificate chain or a validity period fails."""


class AppraisalError(EnarxError):
    """The evidence is authentic, but the policy refuses it; `result` is the AttestationResult with all checks."""

    def __init__(self, code: str, message: str, *, result: object, hint: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.result = result


class DeliveryError(EnarxError):
    """The peer (the host, or anyone behind it) violated the protocol in `state`."""

    def __init__(self, code: str, message: str, *, state: str, hint: str = "") -> None:
        super().__init__(code, message, hint=hint)
        self.state = state


class UnavailableError(EnarxError):
    """The question is undecided, or the answer was lost. Retry; this never means trusted."""


class BackendError(EnarxError):
    """This host cannot launch such a Keep; `checks` are triples of name, missing prerequisite, remedy."""

    def __init__(
        self, code: str, message: str, *, checks: tuple[tuple[str, str, str], ...] = (), hint: str = ""
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.checks = checks


class UsageError(EnarxError):
    """The call, the options or the configuration are wrong."""


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 4]} ..."
