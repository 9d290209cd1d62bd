"""One declaration of a claim is all that its record, its policy class and the rules of its policies need."""

from __future__ import annotations

from typing import Any

import pytest

from enarx.errors import UsageError
from enarx.record import names
from enarx.verify.claims import EXECUTABLES, HARDWARE, Claims, claim, claims_of, declared
from enarx.verify.kinds import HARDWARE as KINDS_OF_HARDWARE
from enarx.verify.kinds import KINDS, find
from enarx.verify.matchers import AtLeast, Exactly, Matcher, NoneOf, Unchecked
from enarx.verify.policy import policy_for
from enarx.verify.policy_file import policy_type
from enarx.verify.values import Bits, Unknown

KIND = KINDS_OF_HARDWARE[0]
"""A kind for tests that work with any."""


@claims_of(KIND)
class Own(Claims):
    """Claims of a kind of hardware."""

    svn: int = claim("The firmware's version.", suggest=AtLeast(3), supports=HARDWARE)
    features: Bits | Unknown = claim(
        "What it can do.", suggest=AtLeast(Bits(1)), decides=EXECUTABLES, hint="an old one"
    )
    parts: tuple[str, ...] | Unknown = claim("What it is made of.", suggest=Unchecked(reason="anything"))


COMMON: dict[str, Any] = {
    "kind": KIND,
    "measurement": b"",
    "host_data": b"",
    "report_data": b"",
    "debug": False,
    "svn": 3,
    "chip_id": b"",
}
RULES: dict[str, Matcher] = {
    **{name: Unchecked(reason="not here") for name in COMMON if name not in ("kind", "report_data")},
    "kind": Exactly(KIND),
    "features": AtLeast(Bits(1)),
    "parts": NoneOf(("a",)),
}


def test_the_record_has_the_claims_in_order() -> None:
    assert names(Own) == (*names(Claims), "features", "parts")
    claims = Own(**COMMON, features=Bits(1), parts=("a",))
    assert (claims.svn, claims.parts) == (3, ("a",))
    with pytest.raises(AttributeError):
        claims.parts = ()  # type: ignore[misc]


@pytest.mark.parametrize("missing", ["features", "svn"])
def test_a_declaration_is_no_default(missing: str) -> None:
    given: dict[str, Any] = {**COMMON, "features": Bits(1), "parts": ()}
    del given[missing]
    with pytest.raises(TypeError, match=missing):
        Own(**given)


def test_the_type_is_that_of_the_field() -> None:
    types = {name: declaration.value_type for name, declaration in declared(Own).items()}
    assert {name: types[name] for name in ("features", "parts", "svn", "chip_id", "debug")} == {
        "features": Bits,
        "parts": tuple,
        "svn": int,
        "chip_id": bytes,
        "debug": bool,
    }


def test_a_claim_may_be_declared_again() -> None:
    base, own = declared(Claims), declared(Own)
    assert (own["svn"].meaning, own["svn"].trustworthiness_claim) == ("The firmware's version.", HARDWARE)
    assert own["svn"].hint == base["svn"].hint != ""
    assert base["svn"].suggest is None
    assert own["debug"] == base["debug"]
    assert own["kind"].suggest == Exactly(KIND)


def test_a_field_without_declaration_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"Bare\.left_out is not declared"):

        @claims_of(KIND)
        class Bare(Claims):
            left_out: int


def test_the_policy_has_a_rule_for_each() -> None:
    policy = policy_for(Own)(**RULES)
    assert type(policy).__name__ == "OwnPolicy"
    assert [rule.id for rule in policy.rules] == [
        name.replace("_", "-") for name in names(Own) if name != "report_data"
    ]
    assert next(rule.hint for rule in policy.rules if rule.name == "features") == "an old one"


@pytest.mark.parametrize(
    ("name", "matcher"), [("features", AtLeast(1)), ("parts", NoneOf((1,))), ("svn", Exactly(True))]
)
def test_and_takes_values_of_its_type_alone(name: str, matcher: Matcher) -> None:
    with pytest.raises(UsageError) as caught:
        policy_for(Own)(**{**RULES, name: matcher})
    assert caught.value.code == "policy-type"


@pytest.mark.parametrize("kind", KINDS)
def test_every_claim_of_every_kind_is_explained(kind: str) -> None:
    for declaration in declared(find(kind).claims()).values():
        assert declaration.meaning.endswith("."), declaration.name
        assert declaration.meaning[0].isupper() or declaration.meaning[0].isdigit(), declaration.name
        assert not declaration.advice or declaration.advice.endswith("."), declaration.name


@pytest.mark.parametrize("kind", KINDS_OF_HARDWARE)
def test_every_suggested_rule_is_of_the_claims_type(kind: str) -> None:
    policy = policy_type(kind)
    policy(**{name: declaration.suggest for name, declaration in policy.claims().items()})
