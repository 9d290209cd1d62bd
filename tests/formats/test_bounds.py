"""Each parser of foreign bytes takes bounded memory and a bounded number of steps per byte (docs/spec/bounds.md)."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from enarx.delivery.answers import Grant, Invitation
from enarx.delivery.messages import Attach, Attached, Attestation, Challenge, Delivery
from enarx.delivery.reading import Final
from enarx.delivery.sharing import Contribution, Join
from enarx.delivery.tenant import Session, refusal_code
from enarx.errors import MAX_MESSAGE, EnarxError
from enarx.formats import endorsements, wire
from enarx.formats.config import Config
from enarx.formats.evidence import simulated
from enarx.formats.evidence.eventlog import EventLog, Table
from enarx.formats.evidence.families import cose
from enarx.formats.evidence.families.amd import certificate_table
from enarx.formats.package import Head, Manifest, decode_index
from enarx.simulator.orders import parse
from enarx.verify.families.intel.collateral import parsed
from enarx.verify.policy_file import read_policy
from tests.exchange import manifest
from tests.formats import bombs

SIZE = 8 << 10
BYTES, FREE_BYTES = 160, 2 << 20
"""Bytes of memory: for each byte of input, and in addition."""
LINES, FREE_LINES = 64, 1 << 17
"""Executed lines of Python: for each byte of input, and in addition."""

Parser = Callable[[bytes], object]
Case = tuple[Parser, dict[str, bombs.Family]]

PARSERS: dict[str, Case] = {
    "wire": (lambda data: wire.decode(data, "x"), bombs.CBOR),
    "cose": (lambda data: cose.decode(data, "x", tags=frozenset((18,))), bombs.CBOR),
    "cose, variant": (lambda data: cose.decode(data, "x", variant=True), bombs.CBOR),
    "manifest": (Manifest.from_bytes, bombs.CBOR),
    "head": (lambda data: Head.from_bytes(data, manifest()), bombs.CBOR),
    "index": (decode_index, bombs.CBOR),
    "challenge": (Challenge.from_bytes, bombs.CBOR),
    "attestation": (Attestation.from_bytes, bombs.CBOR),
    "delivery": (Delivery.from_bytes, bombs.CBOR),
    "attach": (Attach.from_bytes, bombs.CBOR),
    "attached": (Attached.from_bytes, bombs.CBOR),
    "refusal": (refusal_code, bombs.CBOR),
    "join": (Join.from_bytes, bombs.CBOR),
    "contribution": (Contribution.from_bytes, bombs.CBOR),
    "invitation": (Invitation.from_bytes, bombs.CBOR),
    "grant": (Grant.from_bytes, bombs.CBOR),
    "final record": (lambda data: Final.from_parts(data, bytes(64)), bombs.CBOR),
    "session": (Session.from_bytes, bombs.CBOR),
    "simulated evidence": (simulated.Evidence.from_bytes, bombs.CBOR),
    "simulated chip": (simulated.ChipCertificate.from_bytes, bombs.CBOR),
    "endorsements": (endorsements.read, bombs.JSON | bombs.RAW),
    "collateral": (lambda data: parsed(data, "x"), bombs.JSON),
    "order": (lambda data: parse(data, []), bombs.JSON),
    "event log": (EventLog.from_bytes, bombs.RAW),
    "event log table": (Table.from_bytes, bombs.RAW),
    "certificate table": (certificate_table, bombs.RAW),
    "configuration": (lambda data: Config.from_toml(data.decode()), bombs.TOML),
    "policy": (lambda data: read_policy(data.decode(), "x"), bombs.TOML),
}
CASES = [(parser, family) for parser, (_, families) in PARSERS.items() for family in families]


class Steps:
    """Counts executed lines of Python within a `with` block."""

    def __init__(self) -> None:
        self.count = 0

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        self.count += event == "line"
        return self._line

    def __enter__(self) -> Steps:
        self._before = sys.gettrace()  # the tracer of coverage, which continues afterwards
        sys.settrace(self._line)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)


def message(parser: Parser, data: bytes) -> str:
    """The message of the parser's error, if any; any error but an EnarxError fails the test."""
    try:
        parser(data)
    except EnarxError as e:
        return e.message + e.hint
    return ""


@pytest.mark.parametrize(("name", "family"), CASES, ids=lambda text: text)
def test_memory_and_steps_are_bounded_by_the_input(name: str, family: str) -> None:
    parser, families = PARSERS[name]
    data = families[family](SIZE)
    assert len(message(parser, data)) <= 2 * MAX_MESSAGE
    tracemalloc.start()
    try:
        message(parser, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= BYTES * len(data) + FREE_BYTES
    with Steps() as steps:
        message(parser, data)
    assert steps.count <= LINES * len(data) + FREE_LINES


def test_the_measures_find_what_is_quadratic() -> None:
    def careless(data: bytes) -> object:
        kept = []
        for i in range(0, len(data), 4):
            kept.append(data[i:])
            for _ in range(i // 16):
                if len(kept) > len(data):
                    break
        return kept

    tracemalloc.start()
    careless(bytes(SIZE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak > BYTES * SIZE + FREE_BYTES
    with Steps() as steps:
        careless(bytes(SIZE))
    assert steps.count > LINES * SIZE + FREE_LINES


MANY = 1024


@pytest.mark.parametrize("shape", ["flat", "deep", "long"])
def test_directories_of_a_configuration(shape: str) -> None:
    """Each directory is compared with its neighbour, not with all others."""
    made = {
        "flat": lambda i: f"/d{i:04}",
        "deep": lambda i: "/a" * 100 + f"/{i:04}",
        "long": lambda i: "/" + "x" * 200 + f"{i:04}",
    }[shape]
    public = Config().public() | {"dirs": [{"guest": made(i), "mode": "rw"} for i in range(MANY)]}
    with Steps() as steps:
        assert len(Config.from_public(public).dirs) == MANY
    assert steps.count <= LINES * len(wire.encode(public)) + FREE_LINES
    with pytest.raises(EnarxError):
        Config.from_public(public | {"dirs": [*public["dirs"], {"guest": "/one-more", "mode": "rw"}]})
