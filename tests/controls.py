"""Every refusal of evidence has a control: the same input, unchanged, is accepted.

A test that sees changed evidence refused proves nothing if the unchanged evidence is refused as well. Before its certificates
begin, for example, everything fails. So a test names an input that is accepted, and the one thing that it changes:

    GOOD = Control(examine_snp, evidence=REPORT, endorsements=(ARK, ASK, VCEK, CRL), roots=ROOTS, now=NOW)

    assert GOOD.but(evidence=flipped(REPORT)).status == "not authentic"

`but` first makes sure that GOOD is accepted, and then judges with the change: time, endorsements, roots and policy stay the same.
`watch`, which `tests/conftest.py` puts around every test, makes sure that no test does without: a test that sees a refusal in
another way fails. `tests/house/test_controls.py` proves that. Bytes that are no evidence at all end in ParseError, whatever the
time; tests of parsers need no control.
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
"""How many controls are at work: a control may judge by another."""


def accepted(outcome: object) -> bool:
    """Is it what is given for good evidence? A result or an examination says so by its status, a command by its exit code."""
    if isinstance(outcome, VerifiedEvidence):
        return True
    if isinstance(outcome, Ran):
        return outcome.code == 0
    status = getattr(outcome, "status", None)
    assert isinstance(status, str), f"{outcome!r} is no outcome of a judgement"
    return status in ACCEPTED


def failed(outcome: Any) -> set[str]:
    """The checks that failed."""
    checks = json.loads(outcome.out)["checks"] if isinstance(outcome, Ran) else [c._asdict() for c in outcome.checks]
    return {check["id"] for check in checks if check["outcome"] == FAILED}


class Ran(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def command(capsys: pytest.CaptureFixture[str], **words: list[str]) -> Control[Ran]:
    """A command line in parts, each an input."""

    def run(**words: list[str]) -> Ran:
        capsys.readouterr()
        code = main([word for part in words.values() for word in part])
        return Ran(code, *capsys.readouterr())

    return Control(run, **words)


class Control(Generic[_T]):
    """What is accepted: `judge` takes these inputs by name."""

    def __init__(self, judge: Callable[..., _T], **inputs: Any) -> None:
        self.judge, self.inputs, self.fails = judge, inputs, set[str]()
        self._good = False

    def but(self, **changes: Any) -> _T:
        """The outcome with other inputs. If it is a refusal, exactly one of them is another: more need a control of their own."""
        assert changes.keys() <= self.inputs.keys(), f"no such input: {', '.join(changes.keys() - self.inputs.keys())}"
        with _covered():
            self._require_accepted()
            try:
                outcome = self.judge(**{**self.inputs, **changes})
            except EnarxError:
                self._require_one(changes)
                raise
            if not accepted(outcome):
                self._require_one(changes)
            return outcome

    def with_(self, **changes: Any) -> Control[_T]:
        """Another control, which has to be accepted itself."""
        return Control(self.judge, **{**self.inputs, **changes})

    def failing(self, *checks: str) -> Control[_T]:
        """A control for evidence of which there is none that is accepted, for nobody made it: a real machine that is behind, a
        document without a nonce. What stands in for acceptance is that every other check holds, but those that rest on these.
        """
        other = self.with_()
        other.fails = set(checks)
        return other

    def _require_accepted(self) -> None:
        if self._good:
            return
        try:
            outcome: object = self.judge(**self.inputs)
        except EnarxError as e:
            raise AssertionError(f"the control is not accepted: {e.code}: {e.message}") from e
        if self.fails:
            wanted = " and ".join(sorted(self.fails))
            assert failed(outcome) == self.fails, f"wanted {wanted} to fail alone: {outcome!r:.2000}"
        else:
            assert accepted(outcome), f"the control is not accepted: {outcome!r:.2000}"
        self._good = True

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


def _of_examination(found: object) -> bool:
    """Does it only pass on that evidence is not authentic, which its examination has said before?"""
    return isinstance(found, AttestationResult) and found.claims is None and found.status != REFUSED


@contextmanager
def watch() -> Iterator[list[str]]:
    """Every refusal that was seen without a control, as text."""
    strays: list[str] = []

    def watched(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any, **kwargs: Any) -> Any:
            found = make(*args, **kwargs)
            if not _under_control and not accepted(found) and not _of_examination(found):
                against = [check.id for check in found.checks if check.outcome not in ("passed", "skipped")]
                strays.append(f"{found.status} ({', '.join(against[:3])})")
            return found

        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "examination", watched(Ledger.examination))
        for name in ("appraise", "replay"):
            module = import_module(f"enarx.verify.{name}")  # `enarx.verify.appraise` is also a function of the package
            patch.setattr(module, "result", watched(module.result))
        yield strays
