"""Every refusal of evidence has a control: the same input, unchanged, is accepted.

A test that sees changed evidence refused proves nothing if the unchanged evidence is refused as well. Before its certificates
become valid, for example, all evidence is refused. So a test names an input that is accepted, and the one thing that it changes:

    GOOD = Control(examine_snp, evidence=REPORT, endorsements=(ARK, ASK, VCEK, CRL), roots=ROOTS, now=NOW)

    assert GOOD.but(evidence=flipped(REPORT)).status == "not authentic"

`but` first requires that GOOD is accepted, and then calls the subject with the change: time, endorsements, roots and policy stay
the same. `watch`, which `tests/conftest.py` puts around every test, finds refusals that come about in another way, and the test
fails. `tests/house/test_controls.py` proves that. Bytes that are not the format end in ParseError whatever the time, so tests of
parsers need no control.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Generic, NamedTuple, TypeVar

import pytest

from enarx.cli.main import main
from enarx.errors import EnarxError
from enarx.verify.examination import Ledger, VerifiedEvidence
from enarx.verify.result import AUTHENTIC, FAILED, REFUSED, TRUSTED, AttestationResult

_T = TypeVar("_T")

ACCEPTED = (AUTHENTIC, TRUSTED)

_under_control = 0
"""The number of nested calls of `Control.but`: the subject of a control may use another control."""


def accepted(outcome: object) -> bool:
    """Whether an outcome is that of good evidence: by the status of a result or an examination, or the exit code of a command."""
    if isinstance(outcome, VerifiedEvidence):
        return True
    if isinstance(outcome, Ran):
        return outcome.code == 0
    status = getattr(outcome, "status", None)
    assert isinstance(status, str), f"{outcome!r} is not the outcome of a verifier"
    return status in ACCEPTED


def failed(outcome: Any) -> set[str]:
    """The ids of the checks that failed."""
    checks = json.loads(outcome.out)["checks"] if isinstance(outcome, Ran) else [c._asdict() for c in outcome.checks]
    return {check["id"] for check in checks if check["outcome"] == FAILED}


class Ran(NamedTuple):
    """The exit code and output of a command."""

    code: int
    out: str
    err: str


def command(capsys: pytest.CaptureFixture[str], **words: list[str]) -> Control[Ran]:
    """A control for a command: each argument is a part of its command line."""

    def run(**words: list[str]) -> Ran:
        capsys.readouterr()
        code = main([word for part in words.values() for word in part])
        return Ran(code, *capsys.readouterr())

    return Control(run, **words)


class Control(Generic[_T]):
    """Inputs that `subject`, called with them by name, accepts."""

    def __init__(self, subject: Callable[..., _T], **inputs: Any) -> None:
        self.subject, self.inputs, self.fails = subject, inputs, set[str]()
        self._accepted = False

    def but(self, **changes: Any) -> _T:
        """The outcome with changed inputs. A refusal counts only if one input differs; more need a control of their own."""
        assert changes.keys() <= self.inputs.keys(), f"no such input: {', '.join(changes.keys() - self.inputs.keys())}"
        with _covered():
            self._require_accepted()
            try:
                outcome = self.subject(**{**self.inputs, **changes})
            except EnarxError:
                self._require_one(changes)
                raise
            if not accepted(outcome):
                self._require_one(changes)
            return outcome

    def with_(self, **changes: Any) -> Control[_T]:
        """A control with changed inputs, which must itself be accepted."""
        return Control(self.subject, **{**self.inputs, **changes})

    def failing(self, *checks: str) -> Control[_T]:
        """A control for evidence that no policy accepts, such as a real machine that is behind, or a document without a nonce.

        Instead of being accepted, it must fail exactly these checks.
        """
        other = self.with_()
        other.fails = set(checks)
        return other

    def _require_accepted(self) -> None:
        if self._accepted:
            return
        try:
            outcome: object = self.subject(**self.inputs)
        except EnarxError as e:
            raise AssertionError(f"the control is not accepted: {e.code}: {e.message}") from e
        if self.fails:
            wanted = " and ".join(sorted(self.fails))
            assert failed(outcome) == self.fails, f"wanted {wanted} to fail alone: {outcome!r:.2000}"
        else:
            assert accepted(outcome), f"the control is not accepted: {outcome!r:.2000}"
        self._accepted = True

    def _require_one(self, changes: Mapping[str, Any]) -> None:
        others = [name for name, value in changes.items() if value != self.inputs[name]]
        assert others or self.fails, "the control itself was refused"
        assert len(others) <= 1, f"refused, but {' and '.join(others)} are not the control's: one of them is to blame"


@contextmanager
def _covered() -> Iterator[None]:
    global _under_control
    _under_control += 1
    try:
        yield
    finally:
        _under_control -= 1


def _repeats_examination(outcome: object) -> bool:
    """Whether a result only repeats that evidence is not authentic, which was watched when it was examined."""
    return isinstance(outcome, AttestationResult) and outcome.claims is None and outcome.status != REFUSED


@contextmanager
def watch() -> Iterator[list[str]]:
    """Collect every refusal without a control, as text."""
    strays: list[str] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*args: Any, **kwargs: Any) -> Any:
            outcome = function(*args, **kwargs)
            if not _under_control and not accepted(outcome) and not _repeats_examination(outcome):
                against = [check.id for check in outcome.checks if check.outcome not in ("passed", "skipped")]
                strays.append(f"{outcome.status} ({', '.join(against[:3])})")
            return outcome

        return watching

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "examination", watched(Ledger.examination))
        for name in ("appraise", "replay"):
            module = import_module(f"enarx.verify.{name}")  # `enarx.verify.appraise` is also a function of the package
            patch.setattr(module, "result", watched(module.result))
        yield strays
