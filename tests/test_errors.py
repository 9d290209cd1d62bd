"""Errors carry a code, a message and a hint of bounded length, and what their class promises."""

from __future__ import annotations

import inspect

import pytest

from enarx import errors
from enarx.errors import MAX_MESSAGE, EnarxError, ParseError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, EnarxError)]
MORE: dict[str, dict[str, object]] = {
    "ParseError": {"what": "package", "offset": 7},
    "AppraisalError": {"result": object()},
    "DeliveryError": {"state": "receiving"},
    "BackendError": {"checks": (("kvm", "missing", "load it"),)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_has_its_parts(kind: type[EnarxError]) -> None:
    more = MORE.get(kind.__name__, {})
    error = kind("some-code", "subject: got 1, wanted 2", hint="do this", **more)  # type: ignore[arg-type]
    assert (error.code, error.message, error.hint) == ("some-code", str(error), "do this")
    assert {name: getattr(error, name) for name in more} == more


@pytest.mark.parametrize("kind", KINDS)
def test_the_tree_at_the_top_names_each_error(kind: type[EnarxError]) -> None:
    assert f"- {kind.__name__} " in (errors.__doc__ or "") or kind is EnarxError


def test_texts_are_cut_where_they_are_too_long() -> None:
    error = ParseError("code", "x" * (MAX_MESSAGE + 1), what="w", hint="y" * MAX_MESSAGE)
    assert len(error.message) == len(error.hint) == MAX_MESSAGE
    assert error.message.endswith("x ...")
    assert error.hint.endswith("y")
