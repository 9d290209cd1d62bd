"""Policies as files: strict, with the place of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from enarx.errors import UsageError
from enarx.record import names
from enarx.verify import Roots
from enarx.verify.kinds import HARDWARE, find
from enarx.verify.policy import AnyOf, AtLeast, Bits, Exactly, Matcher, NoneOf, SimulatedPolicy, Unchecked
from enarx.verify.policy_file import policy_type, read_policy, template
from enarx.verify.policy_template import rule_as_toml
from enarx.verify.roots import PIN
from tests.verify.kinds import VECTORS

GOOD = """kind = "simulated"
measurement = { any_of = ["00ff", "01"] }
host_data = "0a"
debug = false
svn = { at_least = 3 }
chip_id = { none_of = ["aa"] }
"""


def test_every_rule() -> None:
    policy = read_policy(GOOD, "p.toml")
    assert policy == SimulatedPolicy(
        kind=Exactly("simulated"),
        measurement=AnyOf((b"\x00\xff", b"\1")),
        host_data=Exactly(b"\n"),
        debug=Exactly(False),
        svn=AtLeast(3),
        chip_id=NoneOf((b"\xaa",)),
    )


def test_unchecked_has_its_reason() -> None:
    policy = read_policy(GOOD.replace("svn = { at_least = 3 }", 'svn = { unchecked = "why" }'), "p")
    assert policy.svn == Unchecked(reason="why")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("debug = false\n", "", "p:1:1: no rule for debug"),
        ("debug", "debugg", "p:4:1: unknown key 'debugg'"),
        ("= false", "= 0", "p:4:1: debug is 0, wanted true or false"),
        ('"simulated"', '"simulatd"', "p:1:1: kind 'simulatd' is not known"),
        ('kind = "simulated"\n', "", "no kind of TEE"),
        ('"0a"', '"0"', "p:3:1: host_data wants bytes as hexadecimal"),
        ('"0a"', "7", "p:3:1: host_data wants bytes as hexadecimal"),
        ("{ at_least = 3 }", "{ at_least = true }", "wanted an integer"),
        ("{ at_least = 3 }", "{ at_least = 3, any_of = [3] }", "more than one rule"),
        ("{ at_least = 3 }", "{ any_of = [] }", "at least one value"),
        ("{ at_least = 3 }", '{ unchecked = " " }', "a reason in words"),
        ("{ at_least = 3 }", "{ atleast = 3 }", "wanted an integer"),
        ('host_data = "0a"', 'host_data = { at_least = "0a" }', "no higher and lower"),
        ("svn", "svn = 3\nsvn", "not TOML"),
    ],
)
def test_what_is_wrong_and_where(old: str, new: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_policy(GOOD.replace(old, new), "p")
    assert said in caught.value.message


@pytest.mark.parametrize("kind", HARDWARE)
def test_a_policy_to_begin_with_reads_and_accepts_no_measurement(kind: str) -> None:
    policy = read_policy(template(kind), kind)
    assert type(policy) is policy_type(kind)
    assert isinstance(policy.measurement, Exactly)
    assert not any(policy.measurement.value)
    assert policy.debug == Exactly(False)
    assert set(names(policy)) == set(policy.claims())


@pytest.mark.parametrize("kind", HARDWARE)
def test_a_policy_to_begin_with_is_what_it_was(kind: str) -> None:
    assert read_policy(template(kind), kind).id == f"ni:///sha-256;{VECTORS[kind].policy_id}"


@pytest.mark.parametrize("kind", HARDWARE)
def test_a_policy_to_begin_with_explains_every_claim(kind: str) -> None:
    paragraphs = template(kind).split("\n\n")[1:]
    claims = policy_type(kind).claims()
    assert [paragraph.startswith("# ") for paragraph in paragraphs] == [True] * len(claims)
    for paragraph, claim in zip(paragraphs, claims.values(), strict=True):
        words = " ".join(line.removeprefix("# ") for line in paragraph.splitlines() if line.startswith("#"))
        assert words == f"{claim.meaning} {claim.advice}".strip()
        assert all(len(line) <= 100 for line in paragraph.splitlines() if line.startswith("#"))


def test_no_policy_to_begin_with_for_what_protects_nothing() -> None:
    with pytest.raises(UsageError, match="simulated"):
        template("simulated")


def test_bits_and_sets() -> None:
    assert AtLeast(Bits(5)).accepts(Bits(7))
    assert not AtLeast(Bits(5)).accepts(Bits(6))
    assert AnyOf(("a", "b")).accepts(("b",))
    assert not AnyOf(("a", "b")).accepts(("b", "c"))
    assert NoneOf(("a",)).accepts(("b",))
    assert not NoneOf(("a",)).accepts(("b", "a"))
    assert NoneOf((b"a",)).accepts(b"b")
    assert not NoneOf((b"a",)).accepts(b"a")
    assert not NoneOf((b"a",)).accepts("a")
    assert NoneOf((Bits(6),)).accepts(Bits(9))
    assert not NoneOf((Bits(6),)).accepts(Bits(2))
    assert not NoneOf((6,)).accepts(Bits(9))
    assert NoneOf((Bits(6),)).text() == "none of 0x6"
    with pytest.raises(UsageError):
        NoneOf(())


def test_text_of_what_is_refused() -> None:
    assert NoneOf(("a", "b")).text() == "none of a, b"


@pytest.mark.parametrize("kind", [kind for kind in HARDWARE if "pcrs" in policy_type(kind).claims()])
def test_at_least_these_registers(kind: str) -> None:
    named = [
        line if not line.startswith("pcrs = ") else 'pcrs = { at_least = ["4:00", "9:ff"] }'
        for line in template(kind).splitlines()
    ]
    policy: Any = read_policy("\n".join(named), "p")
    assert policy.pcrs == AtLeast(("4:00", "9:ff"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"x = {'[' * 490}{{'a'=1}}{']' * 490}", "p:1:37: nested more than 32 deep"),
        (f"a{'.a' * 60_000} = 1", "p:1:64: a key of more than 32 parts"),
    ],
)
def test_depth_has_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_policy(text, "p")
    assert caught.value.message == said


def test_no_policy_of_no_kind() -> None:
    with pytest.raises(UsageError, match="is not a kind"):
        policy_type("enigma")


def test_a_pin_is_of_32_bytes() -> None:
    name = next(roots.name for kind in HARDWARE for roots in find(kind).roots if roots.form == PIN)
    with pytest.raises(UsageError, match="32 bytes"):
        Roots(**{name: (b"short",)})


@pytest.mark.parametrize(
    ("matcher", "line"),
    [
        (Exactly(True), "x = true"),
        (Exactly(b"\xab"), 'x = "ab"'),
        (Exactly(("a", "b")), 'x = ["a", "b"]'),
        (AtLeast(("4:00",)), 'x = { at_least = ["4:00"] }'),
        (AtLeast(7), "x = { at_least = 7 }"),
        (NoneOf((Bits(6),)), "x = { none_of = [0x6] }"),
        (AnyOf(("a" * 50, "b" * 50)), f'x = {{ any_of = [\n  "{"a" * 50}",\n  "{"b" * 50}",\n] }}'),
        (Unchecked(reason='"'), 'x = { unchecked = "\\"" }'),
    ],
)
def test_rules_are_written_as_toml(matcher: Matcher, line: str) -> None:
    assert rule_as_toml("x", matcher) == line
