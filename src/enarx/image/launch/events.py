"""The origin of each event in a boot log: an event is pinned if its digest can be computed from given files."""

from __future__ import annotations

from collections.abc import Mapping

from enarx.errors import ParseError
from enarx.formats.evidence.eventlog import SEPARATOR, VARIABLES, Event, EventLog, Variable
from enarx.formats.launch.firmware import Firmware
from enarx.image.launch.registers import digest, extend, zeros
from enarx.record import record

PINNED, SHOWN, RECORDED = "pinned", "shown", "recorded"
"""The digest belongs to a given file; to data in the log itself; to data that are not available."""

CONFIGURATION = 1
"""The type of the TDX section that contains the firmware's variables."""


@record()
class Origin:
    """An event by position, register and type, with its class `how` (PINNED, SHOWN or RECORDED) and its source `what`."""

    position: int
    register: int
    type: str
    how: str
    what: str


def origins(log: EventLog, bank: str, known: Mapping[bytes, str]) -> tuple[Origin, ...]:
    """The origins of all events that extend a register; `known` maps digests to names."""
    return tuple(
        Origin(position=i, register=event.register, type=event.name, how=how, what=what)
        for i, event in enumerate(log.events)
        if event.extends
        for how, what in (_origin(event, bank, known),)
    )


def replayed(log: EventLog, bank: str, register: int) -> bytes:
    """The value of a register after all events of the log; ParseError if the log lacks the bank."""
    if bank not in log.banks:
        raise ParseError(
            "eventlog-bank",
            f"no digests of bank {bank}; the log has {', '.join(log.banks) or 'none'}",
            what="event log",
        )
    value = zeros(bank)
    for event in log.events:
        if event.extends and event.register == register:
            value = extend(value, event.digest(bank), bank)
    return value


def of_firmware(firmware: Firmware, bank: str = "sha384") -> dict[bytes, str]:
    """Names by digest for the parts of a firmware file: its variables as shipped."""
    return {
        digest(firmware.raw[section.offset : section.offset + section.raw_size], bank): "the firmware's variables"
        for section in firmware.tdx()
        if section.type == CONFIGURATION
    }


def _origin(event: Event, bank: str, known: Mapping[bytes, str]) -> tuple[str, str]:
    measured = event.digest(bank)
    if measured in known:
        return PINNED, known[measured]
    if event.type == SEPARATOR and measured == digest(bytes(4), bank):
        return PINNED, "separator"
    if measured in (digest(event.data, bank), digest(_value(event), bank)):
        return SHOWN, "data in the log"
    return RECORDED, "not available"


def _value(event: Event) -> bytes:
    """The value of a variable for an event about one, otherwise all data of the event."""
    if event.type not in VARIABLES:
        return event.data
    try:
        return Variable.from_bytes(event.data).value
    except ParseError:
        return event.data
