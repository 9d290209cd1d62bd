"""What stands behind each event of a boot log: digests that are computed from what is at hand pin an event, others do not."""

from __future__ import annotations

from collections.abc import Mapping

from enarx.errors import ParseError
from enarx.formats.evidence.eventlog import SEPARATOR, VARIABLES, Event, EventLog, Variable
from enarx.formats.launch.firmware import Firmware
from enarx.image.launch.registers import digest, extend, zeros
from enarx.record import record

PINNED, SHOWN, RECORDED = "pinned", "shown", "recorded"
"""The digest is that of something given; of what the log itself holds; of something that nobody here has seen."""

CONFIGURATION = 1
"""Type of the TDX section with the firmware's variables."""


@record()
class Origin:
    """What is behind one event: its position in the log, register and type, one of PINNED, SHOWN and RECORDED, and of what."""

    position: int
    register: int
    type: str
    how: str
    what: str


def origins(log: EventLog, bank: str, known: Mapping[bytes, str]) -> tuple[Origin, ...]:
    """The origin of every event that goes into a register; `known` are names by digest."""
    return tuple(
        Origin(position=i, register=event.register, type=event.name, how=how, what=what)
        for i, event in enumerate(log.events)
        if event.extends
        for how, what in (_origin(event, bank, known),)
    )


def replayed(log: EventLog, bank: str, register: int) -> bytes:
    """The register as the log leads to it. ParseError if the log has not this bank."""
    if bank not in log.banks:
        raise ParseError(
            "eventlog-bank", f"no digests of {bank}, but {', '.join(log.banks) or 'none'}", what="event log"
        )
    value = zeros(bank)
    for event in log.events:
        if event.extends and event.register == register:
            value = extend(value, event.digest(bank), bank)
    return value


def of_firmware(firmware: Firmware, bank: str = "sha384") -> dict[bytes, str]:
    """Digests of what a firmware itself says of its parts: of its variables as shipped."""
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
        return SHOWN, "what the log holds"
    return RECORDED, "not at hand"


def _value(event: Event) -> bytes:
    """Of an event about a variable its value, of others all of the data."""
    if event.type not in VARIABLES:
        return event.data
    try:
        return Variable.from_bytes(event.data).value
    except ParseError:
        return event.data
