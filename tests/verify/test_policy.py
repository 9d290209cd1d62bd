from __future__ import annotations

from typing import Any

import pytest

from enarx.errors import UsageError
from enarx.record import names, record, replace
from enarx.verify.kinds import HARDWARE, KINDS
from enarx.verify.policy import (
    AnyOf,
    AppraisalPolicy,
    AtLeast,
    Exactly,
    Matcher,
    NoneOf,
    ReferenceValues,
    SimulatedPolicy,
    Unchecked,
)
from enarx.verify.values import Unknown

KIND = HARDWARE[0]
"""A kind for tests that work with any."""

SIMULATED_FIELDS: dict[str, Matcher] = {
    "measurement": Exactly(bytes(48)),
    "host_data": Exactly(bytes(32)),
    "debug": Exactly(False),
    "svn": AtLeast(1),
    "chip_id": AnyOf((bytes(32),)),
}
FIELDS: dict[str, Matcher] = {"kind": Exactly(KIND), **SIMULATED_FIELDS}


class Anything:
    """A class with the methods of a matcher."""

    values = ()

    def accepts(self, value: object) -> bool:
        return True

    def text(self) -> str:
        return "anything"


class Sly(Exactly):
    """A subclass of a matcher, which accepts everything."""

    def accepts(self, value: object) -> bool:
        return True


class SlyName(str):
    """A kind that is equal to every other."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(KIND)


def usage(make: Any) -> str:
    with pytest.raises(UsageError) as caught:
        make()
    return caught.value.code


@pytest.mark.parametrize(
    "kind",
    [
        Exactly("simulated"),
        AnyOf((KIND, "simulated")),
        AnyOf(("simulated",)),
        NoneOf((KIND,)),
        NoneOf(HARDWARE),
        Unchecked(reason="I want it to work"),
        AtLeast(1),
        Anything(),
        Sly(KIND),
        Exactly(SlyName(KIND)),
        None,
    ],
)
def test_no_policy_for_hardware_accepts_simulated(kind: Any) -> None:
    with pytest.raises(UsageError):
        AppraisalPolicy(**{**FIELDS, "kind": kind})


def test_nor_can_one_be_made_of_another() -> None:
    policy = AppraisalPolicy(**FIELDS)
    assert usage(lambda: replace(policy, kind=Exactly("simulated"))) == "policy-simulated"
    with pytest.raises(AttributeError):
        policy.kind = Exactly("simulated")  # type: ignore[misc]
    with pytest.raises(AttributeError):
        policy._simulated = True


@pytest.mark.parametrize("kind", HARDWARE)
def test_a_policy_for_hardware_says_no_to_simulated(kind: str) -> None:
    policy = AppraisalPolicy(**{**FIELDS, "kind": AnyOf((kind, HARDWARE[1]))})
    assert policy.kind.accepts(kind)
    assert not policy.kind.accepts("simulated")


@pytest.mark.parametrize(
    "kind",
    [Exactly(KIND), AnyOf((KIND, "simulated")), NoneOf((KIND,)), NoneOf(("simulated",)), Unchecked(reason="any")],
)
def test_a_policy_for_simulated_is_for_nothing_else(kind: Matcher) -> None:
    policy = SimulatedPolicy(**SIMULATED_FIELDS)
    assert policy.kind == Exactly("simulated")
    assert not any(policy.kind.accepts(other) for other in HARDWARE)
    with pytest.raises(UsageError):
        SimulatedPolicy(kind=kind, **SIMULATED_FIELDS)


def test_what_a_rule_for_the_kind_accepts_counts_not_what_it_names() -> None:
    policy = AppraisalPolicy(**{**FIELDS, "kind": NoneOf(("simulated", HARDWARE[-1]))})
    assert [kind for kind in KINDS if policy.kind.accepts(kind)] == [kind for kind in HARDWARE if kind != HARDWARE[-1]]


def test_a_kind_that_does_not_exist() -> None:
    assert usage(lambda: AppraisalPolicy(**{**FIELDS, "kind": Exactly("spn")})) == "policy-kind"


@pytest.mark.parametrize("missing", FIELDS)
def test_nothing_set_is_an_error(missing: str) -> None:
    with pytest.raises(TypeError, match=missing):
        AppraisalPolicy(**{k: v for k, v in FIELDS.items() if k != missing})
    assert usage(lambda: AppraisalPolicy(**{**FIELDS, missing: None})) == "policy-field"
    assert usage(lambda: AppraisalPolicy(**{**FIELDS, missing: Anything()})) == "policy-field"
    assert usage(lambda: AppraisalPolicy(**{**FIELDS, missing: Sly(1)})) == "policy-field"


@pytest.mark.parametrize(
    ("name", "matcher"),
    [
        ("measurement", Exactly("00" * 48)),
        ("host_data", AnyOf((bytes(32), None))),
        ("debug", Exactly(0)),
        ("debug", AtLeast(0)),
        ("svn", Exactly(True)),
        ("svn", AnyOf((1, "2"))),
        ("chip_id", Exactly(bytearray(32))),
    ],
)
def test_a_rule_names_values_of_the_type_of_its_claim(name: str, matcher: Matcher) -> None:
    assert usage(lambda: AppraisalPolicy(**{**FIELDS, name: matcher})) == "policy-type"


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "kind"])
def test_all_but_the_kind_can_be_left_unchecked(name: str) -> None:
    AppraisalPolicy(**{**FIELDS, name: Unchecked(reason="tested elsewhere")})


def test_matchers_are_exact_about_types() -> None:
    assert Exactly(False).accepts(False)
    assert not Exactly(False).accepts(0)
    assert not Exactly(1).accepts(True)
    assert not Exactly(b"1").accepts("1")
    assert AtLeast(3).accepts(3)
    assert not AtLeast(3).accepts(2)
    assert not AtLeast(0).accepts(True)
    assert not AtLeast(0).accepts("1")
    assert AnyOf((1, 2)).accepts(2)
    assert not AnyOf((1, 2)).accepts(3)
    assert not AnyOf((1, 2)).accepts(True)
    assert Unchecked(reason="tested elsewhere").accepts(None)


@pytest.mark.parametrize("matcher", [Exactly(1), AtLeast(0), AnyOf((1, 2))])
def test_what_is_unknown_matches_nothing(matcher: Matcher) -> None:
    assert not matcher.accepts(Unknown(reason="no list was at hand"))
    assert not matcher.accepts(None)


@pytest.mark.parametrize("value", [True, b"\1", "1", (), None])
def test_only_what_is_ordered_has_a_floor(value: object) -> None:
    assert usage(lambda: AtLeast(value)) == "policy-order"


@record(kw_only=False)
class Version:
    """Of two parts, neither of which makes up for the other."""

    firmware: int
    microcode: int

    def __ge__(self, other: Any) -> bool:
        return bool(self.firmware >= other.firmware and self.microcode >= other.microcode)


def test_a_floor_of_several_parts_holds_for_each() -> None:
    floor = AtLeast(Version(3, 100))
    assert floor.accepts(Version(3, 101))
    assert not floor.accepts(Version(4, 99))
    assert "firmware" in floor.text()


def test_a_floor_of_a_set_is_in_it() -> None:
    assert AtLeast(("a", "b")).accepts(("b", "c", "a"))
    assert not AtLeast(("a", "b")).accepts(("b", "c"))
    assert not AtLeast(("a",)).accepts("a")


@pytest.mark.parametrize("values", [(), [1], {1}, "ab"])
def test_any_of_none_is_an_error(values: Any) -> None:
    assert usage(lambda: AnyOf(values)) == "policy-empty"


@pytest.mark.parametrize("reason", ["", " ", "\n", None])
def test_leaving_out_needs_a_reason(reason: Any) -> None:
    assert usage(lambda: Unchecked(reason=reason)) == "policy-reason"


def test_rules_as_text() -> None:
    assert Exactly(b"\xab").text() == "ab"
    assert AtLeast(3).text() == "at least 3"
    assert AnyOf((b"\1", b"\2")).text() == "one of 01, 02"
    assert Unchecked(reason="because").text() == "anything (because)"


def test_reference_values() -> None:
    known = ReferenceValues(measurements=(("1.0", b"\1" * 48), ("1.1", b"\2" * 48)))
    assert known.matcher().accepts(b"\2" * 48)
    assert not known.matcher().accepts(b"\3" * 48)
    assert (known.name(b"\1" * 48), known.name(b"\3" * 48)) == ("1.0", None)
    assert usage(ReferenceValues(measurements=()).matcher) == "policy-empty"


def test_the_fields_are_those_tested_here() -> None:
    for policy in (AppraisalPolicy(**FIELDS), SimulatedPolicy(**SIMULATED_FIELDS)):
        assert tuple(rule.id for rule in policy.rules) == tuple(name.replace("_", "-") for name in FIELDS)
        assert set(names(policy)) == set(FIELDS)
