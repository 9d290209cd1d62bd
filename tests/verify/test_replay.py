"""Event logs lead to verified registers or are refused; of what they say no more is believed than was measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, UsageError
from enarx.formats.evidence.eventlog import (
    ACTION,
    IPL,
    SEPARATOR,
    VARIABLE_AUTHORITY,
    VARIABLE_BOOT,
    VARIABLE_BOOT2,
    EventLog,
)
from enarx.record import replace
from enarx.verify import AttestationResult, Roots, TrustAnchor, examine, unappraised
from enarx.verify.appraise import unverified
from enarx.verify.kinds import KINDS, find
from enarx.verify.replay import (
    CHECKS,
    DATA,
    NOTHING,
    PCRS,
    RTMRS,
    TEXT,
    VALUE,
    Layout,
    appraise_event_log,
    binding,
    replay,
)
from enarx.verify.result import (
    AUTHENTIC,
    FAILED,
    NOT_AUTHENTIC,
    NOT_CHECKED,
    NOT_REACHED,
    PASSED,
    REFUSED,
    TRUSTED,
    UNDECIDED,
    result,
)
from tests.controls import Control
from tests.forge import eventlog as forge
from tests.forge import tpm
from tests.forge.eventlog import SHA384, event, extended, header, locality, pc, spec, td

GO = "eventlog/go-eventlog"
LOG = pc()


def quoted(pcrs: dict[int, bytes], digest: bytes | None = None) -> AttestationResult:
    """Of a TPM whose registers hold this. Skips the test if this tree has no such kind."""
    if "tpm" not in KINDS:
        pytest.skip("no kind tpm")
    pcrs = dict(sorted(pcrs.items()))
    message = tpm.quote(pcrs, **({} if digest is None else {"digest": digest}))
    made = examine(
        "tpm", tpm.attestation(message, pcrs=pcrs), (), roots=Roots(tpm=(TrustAnchor(tpm.spki(tpm.rsa_key())),)), now=0
    )
    return unappraised(made.verified()) if made.status == AUTHENTIC else unverified(made)


def appraising(log: bytes, pcrs: dict[int, bytes], digest: bytes | None) -> AttestationResult:
    return appraise_event_log(quoted(pcrs, digest), log)


HELD = {**extended(LOG), 10: bytes(32)}
GOOD = Control(appraising, log=LOG, pcrs=HELD, digest=None)
"""A log, beside a quote of registers that hold what it makes of them."""


def appraised(log: bytes = LOG, pcrs: dict[int, bytes] | None = None) -> AttestationResult:
    return GOOD.but(log=log, pcrs=HELD if pcrs is None else pcrs)


def outcome(found: AttestationResult) -> str:
    return {check.id: check.outcome for check in found.checks}["event-log"]


def without(i: int) -> bytes:
    return pc([made for j, made in enumerate(forge.events()) if j != i])


ONLY: dict[str, Callable[[], AttestationResult]] = {"event-log": lambda: appraised(without(0))}
"""Of each check what fails it, and nothing else."""


def test_a_log_that_leads_to_the_registers() -> None:
    found = appraised()
    assert {check.outcome for check in found.checks} == {PASSED}
    assert found.status == AUTHENTIC
    assert "pcr8" in found.checks[-1].wanted
    assert "pcr10" not in found.checks[-1].wanted


@pytest.mark.parametrize("id", ONLY)
def test_each_check_fails_alone(id: str) -> None:
    found = ONLY[id]()
    assert [check.id for check in found.checks if check.outcome != PASSED] == [id]
    assert found.status == REFUSED


def test_the_table_is_complete() -> None:
    assert tuple(ONLY) == CHECKS


def swapped() -> bytes:
    made = forge.events()
    return pc([made[0], made[1], *made[2:-2], made[-1], made[-2]])


def moved() -> bytes:
    made = forge.events()
    return pc([made[0], made[10], *made[1:10], *made[11:]])


SEPARATOR_3 = event(3, SEPARATOR, bytes(4))

DEFECTS = {
    **{f"without event {i}": without(i) for i in range(len(forge.events()) - 1)},
    "an event more": pc([*forge.events(), event(0, ACTION, b"more")]),
    "an event twice": pc([forge.events()[0], *forge.events()]),
    "two in another order": moved(),
    "into another register": pc([forge.events()[0].replace(b"\7\0\0\0", b"\6\0\0\0", 1), *forge.events()[1:]]),
    "one not extended": pc([forge.events()[0].replace(b"\1\0\0\x80", b"\3\0\0\0", 1), *forge.events()[1:]]),
    "another locality": pc([locality(3), *forge.events()]),
    "another text of an action": LOG.replace(b"Exit Boot", b"Calm Boot"),
    "another value of a variable": LOG.replace(b"t\0\1", b"t\0\0"),
    "another separator": LOG.replace(SEPARATOR_3, SEPARATOR_3[:-4] + b"\1\0\0\0"),
    "no log": b"what is no log",
    "a log cut": LOG[:-1],
    "a bank too few": td(),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_is_refused(name: str) -> None:
    assert DEFECTS[name] != LOG
    found = appraised(DEFECTS[name])
    assert (outcome(found), found.status) == (FAILED, REFUSED)
    assert found.checks[-1].hint


def test_no_bit_that_was_measured_can_be_changed() -> None:
    """What may be changed is what is never measured: types, texts that no digest is of, and the other bank."""
    log = EventLog.from_bytes(LOG)
    at = len(LOG) - len(forge.events()[-1])
    for i, made in enumerate(log.events[:-1]):
        start = LOG.index(made.digest("sha256"))
        for bit in range(0, 256, 5):
            changed = bytearray(LOG)
            changed[start + bit // 8] ^= 1 << bit % 8
            assert outcome(appraised(bytes(changed))) == FAILED, i
    assert outcome(appraised(LOG[: at + 4] + b"\x77" + LOG[at + 5 :])) == PASSED


def test_two_that_went_into_different_registers_have_no_order() -> None:
    assert outcome(appraised(swapped())) == PASSED


def test_registers_that_were_not_quoted_prove_nothing() -> None:
    values = extended(LOG)
    assert outcome(appraised(pcrs={i: values[i] for i in (0, 7)})) == PASSED
    found = appraised(pcrs={16: bytes(32)})
    assert (outcome(found), found.status) == (NOT_CHECKED, UNDECIDED)


def test_what_the_log_leaves_out_together_is_named() -> None:
    held = {**extended(LOG), 10: b"\1" * 32, 16: bytes(32), 17: b"\xff" * 32}
    assert appraised(pcrs=held).checks[-1].got == "the same, no events of pcr10"
    found = appraised(without(len(forge.events()) - 1), held)
    assert (outcome(found), found.checks[-1].got) == (PASSED, "the same, no events of pcr8, pcr10")


def test_a_log_that_leaves_a_register_of_the_boot_out() -> None:
    empty = appraised(pc([]))
    assert (outcome(empty), empty.status) == (FAILED, REFUSED)
    assert "pcr0, pcr1" in empty.checks[-1].got


def test_nothing_is_held_against_evidence_that_is_not_authentic() -> None:
    found = GOOD.but(digest=bytes(32))
    assert (outcome(found), found.status) == (NOT_REACHED, NOT_AUTHENTIC)


@pytest.mark.parametrize("status", [TRUSTED, REFUSED, UNDECIDED])
def test_a_log_makes_nothing_better(status: str) -> None:
    def appraising(case: tuple[str, AttestationResult, bytes]) -> AttestationResult:
        status, found, log = case
        before = result(status, found.kind, found.checks, at=0, claims=found.claims)
        return appraise_event_log(before, log)

    good, other = quoted(extended(LOG)), quoted({16: bytes(32)})
    accepted = Control(appraising, case=(TRUSTED, good, LOG))
    assert accepted.but(case=(status, good, LOG)).status == status
    assert accepted.but(case=(status, good, pc([]))).status == REFUSED
    assert accepted.but(case=(status, other, LOG)).status == (REFUSED if status == REFUSED else UNDECIDED)


def test_kinds_without_registers() -> None:
    good = quoted(extended(LOG))
    kind = next(kind for kind in KINDS if find(kind).registers is None)
    with pytest.raises(UsageError, match=f"{kind} has no registers"):
        appraise_event_log(result(AUTHENTIC, kind, good.checks, at=0), LOG)


def trust_domain(directory: Path, values: dict[int, bytes]) -> AttestationResult:
    """A real one's result with these registers: only Intel could sign them."""
    quote = (directory / "tdx/dcap-qvl/quote.bin").read_bytes()
    given = (directory / "collateral/assembled/own-tdx_dcap-qvl.json").read_bytes()
    good = unappraised(examine("tdx", quote, (given,), roots=Roots(), now=1_751_328_000).verified())
    claims: Any = good.claims
    changed = replace(claims, **{f"rtmr{i - 1}": values.get(i, bytes(48)) for i in range(1, 5)})
    return result(AUTHENTIC, "tdx", good.checks, at=0, claims=changed)


def test_trust_domains(evidence_dir: Path) -> None:
    values = extended(td(), "sha384")
    good = Control(appraise_event_log, before=trust_domain(evidence_dir, values), log=td())
    for log in (td(), td(padding=b"\xff" * 99)):
        assert outcome(good.but(log=log)) == PASSED
    for log in (pc(), td([]), td(forge.events((SHA384,), range(1, 4), 4))):
        assert outcome(good.but(log=log)) == FAILED
    later = trust_domain(evidence_dir, {**values, 4: b"\1" * 48})
    assert outcome(appraise_event_log(later, td())) == PASSED


def test_a_startup_from_another_locality() -> None:
    log = pc([locality(3), *forge.events()])
    started = GOOD.with_(log=log, pcrs=extended(log, first=3))
    assert outcome(started.but()) == PASSED
    assert outcome(started.but(pcrs=extended(log))) == FAILED


@pytest.mark.parametrize(
    "log",
    [
        pc([*forge.events(), locality(3)]),
        pc([locality(3, register=1), *forge.events()]),
        pc([event(0, 3, b"StartupLocality\0"), *forge.events()]),
        pc([event(0, 3, b"StartupLocalitx\0\3"), *forge.events()]),
    ],
    ids=["late", "elsewhere", "short", "another"],
)
def test_what_says_nothing_of_the_locality(log: bytes) -> None:
    assert outcome(appraised(log)) == PASSED


def bindings(type: int, data: bytes, measured: bytes) -> str:
    return binding(EventLog.from_bytes(pc([event(0, type, data, measured)])).events[0], "sha256")


def test_what_of_an_event_is_measured() -> None:
    boot = forge.variable("Boot0000", b"disk")
    assert bindings(ACTION, b"text", b"text") == DATA
    assert bindings(ACTION, b"text", b"another") == NOTHING
    assert bindings(VARIABLE_BOOT, boot, boot) == bindings(VARIABLE_BOOT2, boot, boot) == DATA
    assert bindings(VARIABLE_BOOT, boot, b"disk") == bindings(VARIABLE_AUTHORITY, boot, b"disk") == VALUE
    assert bindings(VARIABLE_BOOT, b"no variable", b"disk") == NOTHING
    assert bindings(IPL, b"grub_cmd: set a: b\0", b"set a: b") == TEXT
    assert bindings(IPL, b"/grub.cfg\0", b"") == NOTHING
    assert bindings(0x0C, b"grub_cmd: set\0", b"set") == NOTHING


def test_registers_as_the_log_makes_them() -> None:
    log = EventLog.from_bytes(pc([*forge.events(), event(0, SEPARATOR, bytes(4)), event(99, ACTION, b"lost")]))
    found = replay(log, PCRS, "sha256", {0: bytes(32), 8: extended(LOG)[8]})
    by_name = {register.name: register for register in found.registers}
    assert found.strays == (len(log.events) - 1,)
    assert [register.name for register in found.compared] == ["pcr0", "pcr8"]
    assert (by_name["pcr0"].separators, by_name["pcr0"].events) == (2, (1, 2, 10, 13))
    assert (by_name["pcr0"].equal, by_name["pcr1"].equal, by_name["pcr8"].equal) == (False, None, True)
    assert by_name["pcr2"].replayed == hashlib.sha256(bytes(32) + hashlib.sha256(bytes(4)).digest()).digest()
    with pytest.raises(ParseError, match="no digests of sha384, but of sha1, sha256"):
        replay(log, PCRS, "sha384")
    with pytest.raises(ParseError, match="but of nothing"):
        replay(EventLog.from_bytes(header(spec(((0x12, 32),)))), PCRS, "sha256")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 15), st.binary(max_size=40)), max_size=12))
def test_replay_of_whatever_events(made: list[tuple[int, int, bytes]]) -> None:
    log = pc([event(register, type, data) for register, type, data in made])
    layout: Layout
    for layout in (PCRS, RTMRS):
        found = replay(EventLog.from_bytes(log), layout, "sha256")
        expected = extended(log)
        for register in found.registers:
            index = next(i for i, name in layout.names.items() if name == register.name)
            assert register.replayed == expected[index]


@given(st.binary(max_size=400))
def test_whatever_the_bytes(data: bytes) -> None:
    assert outcome(appraised(data)) == FAILED


@given(st.integers(0, len(LOG) - 1), st.integers(0, 255))
def test_whatever_byte_is_changed(at: int, byte: int) -> None:
    """A log that still passes leads to the very same registers."""
    log = LOG[:at] + bytes([byte]) + LOG[at + 1 :]
    if outcome(appraised(log)) == PASSED:
        assert extended(log) == extended(LOG)


COS = {
    1: "3fa2f61f395b7f5feefb4ec2df61297f109ad8abcd6410c1b7df60f21f37b19297fc35e544039c7e1edece752afd17f6",
    2: "f62dbc072bd5d3f3438b7b35c39a727f5aea2ffc2473f43723953f530daf62504f0a7944aa62c41a86e8a878c2b122c1",
    3: "4969684dc87381fc3b3134176c8d8806eaf0a901859f5f70cfae8d17714b46c10a8de219048c9fc09f11f381a6fbe7c1",
}
DUPE = {
    1: "a4de2df23e9611299123ba4359c42a5e578b0f8488bf1bba8ef5606d9ea5d81c97c064b482a5eac537d166bd0f0f752d",
    2: "0ee9366c928a77092f55e9e114c7394181fd264699155f0df77d23577618d5f650568a17d379355a07bd846e552f4e20",
    3: COS[3],
}
"""What go-eventlog's own tests (ccel/replay_test.go) say that these trust domains' registers held."""


@pytest.mark.parametrize(
    ("name", "values", "separators"),
    [
        ("cos-113-intel-tdx.bin", COS, [1, 1, 0]),
        ("cos-113-intel-tdx-dupe-separator.bin", DUPE, [2, 0, 0]),
        ("cos-113-intel-tdx-dupe-separator-unpadded.bin", DUPE, [2, 0, 0]),
    ],
)
def test_real_trust_domains(evidence_dir: Path, name: str, values: dict[int, str], separators: list[int]) -> None:
    data = (evidence_dir / GO / name).read_bytes()
    held = {index: bytes.fromhex(value) for index, value in values.items()}
    log = EventLog.from_bytes(data)
    found = replay(log, RTMRS, "sha384", held)
    assert [register.equal for register in found.registers] == [True] * 3
    assert [register.separators for register in found.registers] == separators
    assert not any(register.false for register in found.registers)
    assert found.strays == ()
    assert sum(binding(event, "sha384") == TEXT for event in log.events) == 15
    real = Control(appraise_event_log, before=trust_domain(evidence_dir, held), log=data)
    assert outcome(real.but()) == PASSED
    swapped = {**held, 1: held[2], 2: held[1]}
    assert outcome(real.but(before=trust_domain(evidence_dir, swapped))) == FAILED


@pytest.mark.parametrize("name", ["gce-cos-85-nonce9009", "gce-cos-85-no-nonce"])
def test_real_tpms(evidence_dir: Path, name: str) -> None:
    """The attestation carries the log of its boot."""
    evidence = pytest.importorskip("enarx.formats.evidence.tpm")
    data = (evidence_dir / f"tpm/go-tpm-tools/{name}.pb").read_bytes()
    log: Any = dict(evidence._fields(data))[3]
    assert EventLog.from_bytes(log).to_bytes() == log
    good = unappraised(examine("tpm", data, (), roots=Roots(), now=0).verified())
    beside = Control(appraise_event_log, before=good, log=log)
    found = beside.but()
    assert (outcome(found), found.status) == (PASSED, AUTHENTIC)
    held = dict(evidence.Evidence.from_bytes(data).pcrs)
    by_name = {register.name: register for register in replay(EventLog.from_bytes(log), PCRS, "sha384", held).compared}
    assert set(by_name) == {f"pcr{i}" for i in range(10)}
    quit = log.replace(b"Exit Boot Services Invocation", b"Exit Boot Services invocation")
    assert outcome(beside.but(log=quit)) == FAILED
