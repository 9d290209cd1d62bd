"""Replay of boot event logs (docs/attestation/eventlog.md).

Nothing in a log is signed. It proves something only as far as its digests replay to verified registers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from enarx.errors import ParseError, UsageError
from enarx.formats.evidence.eventlog import (
    ACTION,
    EFI_ACTION,
    GPT,
    IPL,
    OMIT_BOOT_DEVICES,
    S_CRTM_VERSION,
    SEPARATOR,
    VARIABLE_BOOT2,
    VARIABLE_DRIVER_CONFIG,
    VARIABLES,
    WHAT,
    Event,
    EventLog,
    Variable,
)
from enarx.formats.text import hex_bytes
from enarx.record import record
from enarx.verify.claims import Claims
from enarx.verify.kinds import KINDS, Registers, find
from enarx.verify.result import (
    FAILED,
    NOT_CHECKED,
    NOT_REACHED,
    PASSED,
    REFUSED,
    UNDECIDED,
    AttestationResult,
    Check,
    result,
)

WHERE = "docs/attestation/eventlog.md"
CHECKS = ("event-log",)
"""The id of the check that is made here."""

DATA, VALUE, TEXT, NOTHING = "data", "value", "text", ""
"""The part of an event that its digest covers."""

MEASURED = frozenset(
    {SEPARATOR, ACTION, S_CRTM_VERSION, OMIT_BOOT_DEVICES, VARIABLE_DRIVER_CONFIG, VARIABLE_BOOT2, GPT, EFI_ACTION}
)
"""Types whose digest has to be that of the event's data (PFP 10.4.1). For others it covers code, tables or files outside the
log, or whatever the boot loader's author chose."""

LOCALITY = b"StartupLocality\0"


@record()
class Layout:
    """The registers of a log: their names by index, and the indexes of those that are compared even without events."""

    names: Mapping[int, str]
    boot: range


PCRS = Layout(names={i: f"pcr{i}" for i in range(24)}, boot=range(8))
"""Of a TPM. Firmware extends each of PCR 0 to 7, at least by a separator (PFP 3.3.4)."""

RTMRS = Layout(names={i + 1: f"rtmr{i}" for i in range(4)}, boot=range(1, 4))
"""Of a trust domain (UEFI 2.10, 38.4.1). Index 0 is MRTD, which no event extends; RTMR 3 is used after the boot. Without a
boot loader that measures, RTMR 2 stays zeros."""


@record()
class Register:
    """A replayed register.

    given       the register's value in the verified evidence; None if the evidence lacks it
    events      positions in the log of the events that extend it
    separators  the number of separators; with more than one it is open where the firmware's part ends
    false       positions of events whose digest does not cover their data, although their type requires it
    """

    name: str
    replayed: bytes
    given: bytes | None
    events: tuple[int, ...]
    separators: int
    false: tuple[int, ...]

    @property
    def equal(self) -> bool | None:
        """Whether it replays to its verified value; None without one."""
        return None if self.given is None else self.given == self.replayed


@record()
class Replay:
    """The replay of a log in one bank.

    registers  those that events extend, and those that are compared in any case
    strays     positions of events in nonexistent registers
    silent     verified registers that have been extended but have no events: they were extended after the boot, or all of
               their events were removed from the log
    """

    bank: str
    registers: tuple[Register, ...]
    strays: tuple[int, ...]
    silent: tuple[str, ...]

    @property
    def compared(self) -> tuple[Register, ...]:
        """The registers with a verified value."""
        return tuple(register for register in self.registers if register.given is not None)


def replay(log: EventLog, layout: Layout, bank: str, given: Mapping[int, bytes] | None = None) -> Replay:
    """Replay a log and compare its registers with verified values, by index. ParseError if the log lacks this bank."""
    if bank not in log.banks:
        raise ParseError(
            "eventlog-bank", f"no digests of {bank}, but of {', '.join(log.banks) or 'nothing'}", what=WHAT
        )
    given = given or {}
    into: dict[int, list[int]] = {index: [] for index in layout.boot if index in given}
    strays: list[int] = []
    for i, event in enumerate(log.events):
        if event.extends:
            (into.setdefault(event.register, []) if event.register in layout.names else strays).append(i)
    first = _startup(log.events)
    registers = tuple(
        _register(log, layout.names[index], bank, into[index], given.get(index), 0 if index else first)
        for index in sorted(into)
    )
    silent = tuple(
        name for index, name in layout.names.items() if index not in into and _extended(given.get(index, b""))
    )
    return Replay(bank=bank, registers=registers, strays=tuple(strays), silent=silent)


def _extended(value: bytes) -> bool:
    """Whether a register was extended: initial values are all zeros or all ones (TCG PC Client Platform TPM Profile)."""
    return bool(value.strip(b"\0") and value.strip(b"\xff"))


def _startup(events: tuple[Event, ...]) -> int:
    """The locality in the initial value of PCR 0 (PFP 10.4.5.3), if the log names it before the first event of PCR 0; else 0."""
    for event in events:
        if event.register == 0 and event.extends:
            break
        if event.register == 0 and event.data[:-1] == LOCALITY:
            return event.data[-1]
    return 0


def _register(log: EventLog, name: str, bank: str, positions: list[int], given: bytes | None, first: int) -> Register:
    value = first.to_bytes(hashlib.new(bank).digest_size, "big")
    events = [log.events[i] for i in positions]
    for event in events:
        value = hashlib.new(bank, value + event.digest(bank)).digest()
    return Register(
        name=name,
        replayed=value,
        given=given,
        events=tuple(positions),
        separators=sum(event.type == SEPARATOR for event in events),
        false=tuple(i for i in positions if log.events[i].type in MEASURED and binding(log.events[i], bank) != DATA),
    )


def binding(event: Event, bank: str) -> str:
    """The part of an event's data that its digest covers: all of it, a variable's value, a text without its prefix, or nothing.

    Once the register matches, this part is proven. The type of an event never is.
    """
    digest = event.digest(bank)
    return next((what for what, part in _parts(event) if hashlib.new(bank, part).digest() == digest), NOTHING)


def _parts(event: Event) -> list[tuple[str, bytes]]:
    """The candidates for what a digest covers. Boot managers omit a variable's name, GRUB omits `grub_cmd: ` and the final NUL."""
    parts = [(DATA, event.data)]
    if event.type in VARIABLES:
        try:
            parts.append((VALUE, Variable.from_bytes(event.data).value))
        except ParseError:
            pass
    elif event.type == IPL and b": " in event.data:
        parts.append((TEXT, event.data.rstrip(b"\0").partition(b": ")[2]))
    return parts


def appraise_event_log(before: AttestationResult, log: bytes) -> AttestationResult:
    """1. The log replays to every verified register that its events extend, and to those that are compared in any case. Events
    in these registers whose type requires it have the digest of their data.

    Returns the result with this check added. A log never improves a result. UsageError if evidence of the kind has no
    registers.
    """
    require_registers(before.kind)
    check = _check(before, log)
    status = before.status
    if check.outcome == FAILED:
        status = REFUSED
    elif check.outcome == NOT_CHECKED and status != REFUSED:
        status = UNDECIDED
    return result(
        status,
        before.kind,
        (*before.checks, check),
        at=before.at,
        claims=before.claims,
        forecast=before.forecast,
        policy=before.policy,
        unused=before.unused,
    )


def require_registers(kind: str) -> Callable[[Claims], Registers]:
    """The function that extracts a kind's registers from its claims. UsageError if the kind has none."""
    registers_of = find(kind).registers
    if registers_of is None:
        others = [name for name in KINDS if find(name).registers is not None]
        raise UsageError(
            "event-log",
            f"evidence of kind {kind} has no registers for an event log",
            hint=f"of {', '.join(others)}",
        )
    return registers_of


def registers(claims: Claims) -> Registers:
    """The registers in verified claims that a log has to replay to. UsageError if there are none."""
    return require_registers(claims.kind)(claims)


def _check(before: AttestationResult, log: bytes) -> Check:
    if before.claims is None:
        return _log_check(before, NOT_REACHED, "verified registers", "none", "")
    layout, bank, given = registers(before.claims)
    try:
        replayed = replay(EventLog.from_bytes(log), layout, bank, given)
    except ParseError as e:
        return _log_check(before, FAILED, f"a log with digests of {bank}", e.message, "not the log of this boot")
    compared = replayed.compared
    names = ", ".join(register.name for register in compared)
    if not compared:
        return _log_check(
            before, NOT_CHECKED, "events in a verified register", "none", "the quote is of other registers"
        )
    wrong = [register.name for register in compared if not register.equal]
    false = [f"event {i}" for register in compared for i in register.false]
    if wrong or false:
        got = f"different: {', '.join((*wrong, *false))[:500]}"
        hint = "events are missing or altered, or the register was extended by something outside the log"
        return _log_check(before, FAILED, f"{names} as verified", got, hint)
    silent = f", no events of {', '.join(replayed.silent)}" if replayed.silent else ""
    strays = f", and {len(replayed.strays)} events in nonexistent registers" if replayed.strays else ""
    return _log_check(before, PASSED, f"{names} as verified", f"the same{silent}{strays}", "")


def _log_check(before: AttestationResult, outcome: str, wanted: str, got: str, hint: str) -> Check:
    anchor = before.checks[0].anchor
    return Check(
        id=CHECKS[0], outcome=outcome, wanted_value=wanted, got_value=got, anchor=anchor, where=f"{WHERE}, 1", hint=hint
    )


def pcr_values(pcrs: tuple[str, ...]) -> dict[int, bytes]:
    """The values of a TPM's registers by index, from claims in the form index:value."""
    return {int(index): hex_bytes(value) for index, value in (text.split(":") for text in pcrs)}
