"""What a policy file for SNP says, and what is wrong with others: TCBs by product, and masks of bits."""

from __future__ import annotations

import re
from typing import Any

import pytest

from enarx.errors import UsageError
from enarx.verify.kinds.snp.claims import Parts, Tcb
from enarx.verify.policy import AnyOf, AtLeast, Bits, Exactly, Matcher, NoneOf, Unchecked
from enarx.verify.policy_file import read_policy, template
from enarx.verify.policy_template import rule_as_toml

SNP = template("snp").replace('{ unchecked = "not in every report" }', "{ at_least = 0x1 }")


def test_values() -> None:
    policy = read_policy(SNP, "p")
    assert policy.launch_mitigations == AtLeast(Bits(1))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SNP.replace("0x1 }", '"1" }'), "a mask of bits"),
        (SNP.replace("0x1 }", "-1 }"), "a mask of bits"),
        (SNP.replace("microcode = 219", "microcode = 256"), "wanted 0 to 255"),
        (SNP.replace("microcode = 219", "ucode = 219"), "unknown key 'ucode'"),
        (SNP.replace(", microcode = 219", ""), "milan without microcode"),
        (SNP.replace("genoa = { bootloader", "genoa = { fmc = 0, bootloader"), "unknown key 'fmc'"),
        (SNP.replace("milan = {", "rome = {"), "unknown key 'rome'"),
        (re.sub(r"(?m)^reported_tcb.*\n", "", SNP) + "reported_tcb = 3", "wanted a table"),
        (re.sub(r"(?m)^reported_tcb.*\n", "", SNP) + "reported_tcb = {}", "without a product"),
    ],
)
def test_values_that_are_none(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_policy(text, "p")


HUGE = f"0x{'f' * 5000}"


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("debug = false", f"debug = {HUGE}", "debug"),
        ("svn = ", f"svn = {HUGE} # ", "svn"),
        (
            "launch_mitigations = { at_least = 0x1 }",
            f"launch_mitigations.at_least = {HUGE}",
            "launch_mitigations.at_least",
        ),
        ("microcode = 219", f"microcode = {HUGE}", "reported_tcb.at_least.milan.microcode"),
    ],
)
def test_integers_have_64_bits(old: str, new: str, path: str) -> None:
    with pytest.raises(UsageError, match=rf"^p:\d+:\d+: {re.escape(path)} is an integer of more than 64 bits$"):
        read_policy(SNP.replace(old, new, 1), "p")


@pytest.mark.parametrize(
    "matcher",
    [
        Exactly(Tcb(turin=Parts(fmc=1, snp=2))),
        AtLeast(Tcb(milan=Parts(snp=20), genoa=Parts(microcode=255))),
        AnyOf((Tcb(milan=Parts()), Tcb(genoa=Parts(), turin=Parts()))),
        NoneOf((Tcb(milan=Parts(tee=9)),)),
        Unchecked(reason='a reason with "quotes", \\ and ü'),
    ],
)
def test_rules_are_written_as_they_are_read(matcher: Matcher) -> None:
    lines = [line for line in template("snp").splitlines() if not line.startswith("reported_tcb")]
    policy: Any = read_policy("\n".join((*lines, rule_as_toml("reported_tcb", matcher))), "p")
    assert policy.reported_tcb == matcher
