"""Event logs for people and as JSON: their events, and the registers that they replay to."""

from __future__ import annotations

from typing import Any

from enarx.cli import console
from enarx.errors import ParseError
from enarx.formats.evidence.eventlog import CC_TYPES, VARIABLES, Event, EventLog, Table, Variable
from enarx.formats.text import printable
from enarx.verify.replay import PCRS, RTMRS, Layout, Replay, binding, replay

BANKS = ("sha512", "sha384", "sha256", "sha1")
"""The strongest first."""


def show_log(kind: str, data: bytes, *, as_json: bool) -> None:
    """Print a log in a format of `eventlog.LOGS`. ParseError."""
    if kind == "ccel":
        _show_table(Table.from_bytes(data), as_json=as_json)
        return
    log = EventLog.from_bytes(data)
    layout = _layout(log)
    replays = [replay(log, layout, bank) for bank in BANKS if bank in log.banks]
    if as_json:
        console.show_json(_value(log, layout, replays))
        return
    best = replays[0].bank if replays else ""
    rows = [
        [str(i), layout.names.get(event.register, "-"), event.name, _binding(event, best), text(event)[:100]]
        for i, event in enumerate(log.events)
    ]
    console.table(rows, ["event", "register", "type", "bound", "content (not verified)"])
    for replayed in replays:
        print()
        console.table(
            [[r.name, str(len(r.events)), r.replayed.hex()] for r in replayed.registers],
            ["register", "events", f"replayed ({replayed.bank}, not verified)"],
        )
    for line in remarks(replays[:1]):
        console.warn(line)


def _show_table(table: Table, *, as_json: bool) -> None:
    value = {
        "cc_type": CC_TYPES.get(table.cc_type, str(table.cc_type)),
        "cc_subtype": table.cc_subtype,
        "revision": table.revision,
        "size": table.size,
        "start": table.start,
    }
    if as_json:
        console.show_json({"kind": "ccel", **value})
    else:
        console.table([[name, str(item)] for name, item in value.items()], ["field", "value (ccel, not verified)"])


def _layout(log: EventLog) -> Layout:
    """Guess the layout: a PC's log extends PCR 7 at least, a trust domain's only registers 1 to 4 of SHA-384."""
    inside = all(event.register in RTMRS.names for event in log.events if event.extends)
    return RTMRS if inside and log.banks == ("sha384",) else PCRS


def _value(log: EventLog, layout: Layout, replays: list[Replay]) -> dict[str, Any]:
    return {
        "kind": "eventlog",
        "banks": list(log.banks),
        "padding": len(log.padding),
        "events": [
            {
                "event": i,
                "register": layout.names.get(event.register, str(event.register)),
                "type": event.name,
                "digests": {bank: event.digest(bank).hex() for bank in log.banks},
                "bound": {bank: _binding(event, bank) for bank in log.banks},
                "data": event.data.hex(),
                "text": text(event),
            }
            for i, event in enumerate(log.events)
        ],
        "registers": {
            replayed.bank: {r.name: {"value": r.replayed.hex(), "events": list(r.events)} for r in replayed.registers}
            for replayed in replays
        },
        "remarks": remarks(replays),
    }


def remarks(replays: list[Replay]) -> list[str]:
    """Flaws of a log, for people."""
    lines: list[str] = []
    for replayed in replays:
        for register in replayed.registers:
            if register.separators > 1:
                lines.append(
                    f"{register.name}: {register.separators} separators: the end of the firmware's part is ambiguous"
                )
            lines += [f"event {i}: its digest is not that of its data" for i in register.false]
        lines += [f"event {i}: in a nonexistent register" for i in replayed.strays]
    return list(dict.fromkeys(lines))


def _binding(event: Event, bank: str) -> str:
    return binding(event, bank) if bank and event.extends else ""


def text(event: Event) -> str:
    """An event's content in printable characters: a variable's name, a text, or the first bytes in hexadecimal."""
    if event.type in VARIABLES:
        try:
            return printable(Variable.from_bytes(event.data).name)
        except ParseError:
            pass
    raw = event.data.rstrip(b"\0")
    if raw and not raw.count(b"\0") and all(byte >= 0x20 or byte in b"\t\n\r" for byte in raw):
        return printable(raw.decode(errors="replace"))
    return event.data[:48].hex()
