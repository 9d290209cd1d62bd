"""What a boot event log says is believed as far as it replays to registers that were verified (docs/attestation/eventlog.md)."""

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
"""What of an event its digest is of."""

MEASURED = frozenset(
    {SEPARATOR, ACTION, S_CRTM_VERSION, OMIT_BOOT_DEVICES, VARIABLE_DRIVER_CONFIG, VARIABLE_BOOT2, GPT, EFI_ACTION}
)
"""Types whose digest is that of the event's data, by PFP 10.4.1. Others' is of code, tables or files that the log does not hold,
or of what the maker of the boot loader chose."""

LOCALITY = b"StartupLocality\0"


@record()
class Layout:
    """The registers that a log is about: their names by index, and the indexes of those compared even without events."""

    names: Mapping[int, str]
    boot: range


PCRS = Layout(names={i: f"pcr{i}" for i in range(24)}, boot=range(8))
"""PFP 3.3.4: firmware extends each of PCR 0 to 7, by a separator at least."""

RTMRS = Layout(names={i + 1: f"rtmr{i}" for i in range(4)}, boot=range(1, 4))
"""UEFI 2.10, 38.4.1. Index 0 is MRTD, which no event goes into; RTMR 3 is for after the boot. Of a boot without a loader that
measures, RTMR 2 stays zeros."""


@record()
class Register:
    """A register as the log makes it, and as it was `given` (None: it was not).

    `events` are the positions in the log of those that went in, `false` of those among them whose data is not what their
    digest is of, though by their type it must be. Over one of `separators` leaves open where the firmware's part ends.
    """

    name: str
    replayed: bytes
    given: bytes | None
    events: tuple[int, ...]
    separators: int
    false: tuple[int, ...]

    @property
    def equal(self) -> bool | None:
        """Is it as given?"""
        return None if self.given is None else self.given == self.replayed


@record()
class Replay:
    """The registers that events went into, or that the log must lead to. `strays` went into none that there is.

    `silent` are those given that have been extended, and of which the log says nothing: by the system after the boot, or by
    events that were taken out of the log together.
    """

    bank: str
    registers: tuple[Register, ...]
    strays: tuple[int, ...]
    silent: tuple[str, ...]

    @property
    def compared(self) -> tuple[Register, ...]:
        """Those that were given."""
        return tuple(register for register in self.registers if register.given is not None)


def replay(log: EventLog, layout: Layout, bank: str, given: Mapping[int, bytes] | None = None) -> Replay:
    """Extend registers by the log's events, and hold them against those given. ParseError if the log has not this bank."""
    if bank not in log.banks:
        raise ParseError("eventlog-bank", f"no digests of {bank}, but {', '.join(log.banks) or 'none'}", what=WHAT)
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
    """Registers begin as zeros or as ones (TCG PC Client Platform TPM Profile)."""
    return bool(value.strip(b"\0") and value.strip(b"\xff"))


def _startup(events: tuple[Event, ...]) -> int:
    """The locality that PCR 0 began with (PFP 10.4.5.3), if the log says so before it extends that."""
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
    """What of an event's data its digest is of: all of it, a variable's value, a text without what leads up to it, or nothing.

    That much is known to be as measured, once the register is. The type is never measured, nor is what this leaves out.
    """
    digest = event.digest(bank)
    return next((what for what, part in _parts(event) if hashlib.new(bank, part).digest() == digest), NOTHING)


def _parts(event: Event) -> list[tuple[str, bytes]]:
    """What a digest may be of: boot managers leave out a variable's name, GRUB `grub_cmd: ` and the zero at the end."""
    found = [(DATA, event.data)]
    if event.type in VARIABLES:
        try:
            found.append((VALUE, Variable.from_bytes(event.data).value))
        except ParseError:
            pass
    elif event.type == IPL and b": " in event.data:
        found.append((TEXT, event.data.rstrip(b"\0").partition(b": ")[2]))
    return found


def appraise_event_log(found: AttestationResult, log: bytes) -> AttestationResult:
    """1. the log replays to every verified register that its events went into, and to those compared even without any; and the
    data of these events is what was measured, where by their type it must be

    Returns the result with this check besides: trusted or authentic only if it was so before. UsageError if evidence of the
    kind has no such registers.
    """
    require_registers(found.kind)
    check = _check(found, log)
    status = found.status
    if check.outcome == FAILED:
        status = REFUSED
    elif check.outcome == NOT_CHECKED and status != REFUSED:
        status = UNDECIDED
    return result(
        status,
        found.kind,
        (*found.checks, check),
        at=found.at,
        claims=found.claims,
        forecast=found.forecast,
        policy=found.policy,
        unused=found.unused,
    )


def require_registers(kind: str) -> Callable[[Claims], Registers]:
    """How claims of the kind say what is in their registers; UsageError if they have none that a log is about."""
    found = find(kind).registers
    if found is None:
        others = [name for name in KINDS if find(name).registers is not None]
        raise UsageError(
            "event-log",
            f"evidence of kind {kind} has no registers that a log is about",
            hint=f"of {', '.join(others)}",
        )
    return found


def registers(claims: Claims) -> Registers:
    """The registers of verified evidence that a log is about. UsageError if it has none."""
    return require_registers(claims.kind)(claims)


def _check(found: AttestationResult, log: bytes) -> Check:
    if found.claims is None:
        return _made(found, NOT_REACHED, "verified registers", "none", "")
    layout, bank, given = registers(found.claims)
    try:
        replayed = replay(EventLog.from_bytes(log), layout, bank, given)
    except ParseError as e:
        return _made(found, FAILED, f"a log with digests of {bank}", e.message, "not the log of this boot")
    compared = replayed.compared
    names = ", ".join(register.name for register in compared)
    if not compared:
        return _made(found, NOT_CHECKED, "events in a verified register", "none", "the quote is of other registers")
    wrong = [register.name for register in compared if not register.equal]
    false = [f"event {i}" for register in compared for i in register.false]
    if wrong or false:
        got = f"not so: {', '.join((*wrong, *false))[:500]}"
        hint = "events are missing or changed, or something was extended that the log does not have"
        return _made(found, FAILED, f"{names} as verified", got, hint)
    silent = f", and nothing of {', '.join(replayed.silent)}" if replayed.silent else ""
    strays = f", and {len(replayed.strays)} events in registers that there are not" if replayed.strays else ""
    return _made(found, PASSED, f"{names} as verified", f"the same{silent}{strays}", "")


def _made(found: AttestationResult, outcome: str, wanted: str, got: str, hint: str) -> Check:
    anchor = found.checks[0].anchor
    return Check(
        id=CHECKS[0], outcome=outcome, wanted_value=wanted, got_value=got, anchor=anchor, where=f"{WHERE}, 1", hint=hint
    )


def pcr_values(pcrs: tuple[str, ...]) -> dict[int, bytes]:
    """The values of a TPM's registers by index, of claims that have them as index:value."""
    return {int(index): bytes.fromhex(value) for index, value in (text.split(":") for text in pcrs)}
