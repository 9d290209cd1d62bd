from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError
from enarx.formats.evidence.simulated import KIND, MAX_SIZE, MAX_SVN, MAX_TIME, ChipCertificate, Evidence, signed
from enarx.formats.wire import decode, encode
from enarx.verify.kinds import HARDWARE, KINDS, SIMULATED
from tests.forge.simulated import Forge

GOOD = Forge()
EVIDENCE = GOOD.evidence()
CHIP = GOOD.certificate()
FORMATS = [(Evidence, EVIDENCE), (ChipCertificate, CHIP)]


def rebuilt(data: bytes, **changes: Any) -> bytes:
    """The same with other fields in its body; None takes a field away. The signature does not matter to a parser."""
    outer: Any = decode(data, "test")
    body: Any = decode(outer["body"], "test")
    body |= changes
    return signed(encode({k: v for k, v in body.items() if v is not None}), outer["signature"])


def refused(parse: Any, data: bytes) -> str:
    with pytest.raises(ParseError) as caught:
        parse(data)
    return caught.value.code


def test_simulated_is_a_kind_of_its_own() -> None:
    assert KIND == SIMULATED
    assert SIMULATED not in HARDWARE
    assert set(KINDS) == {SIMULATED, *HARDWARE}


def test_evidence_comes_out_as_it_went_in() -> None:
    evidence = Evidence.from_bytes(EVIDENCE)
    for name in ("chip_id", "measurement", "host_data", "report_data", "svn", "debug"):
        assert getattr(evidence, name) == getattr(GOOD, name)
    assert evidence.signed in EVIDENCE
    assert evidence.to_bytes() == EVIDENCE


def test_certificate_comes_out_as_it_went_in() -> None:
    chip = ChipCertificate.from_bytes(CHIP)
    assert (chip.chip_id, chip.not_before, chip.not_after) == (GOOD.chip_id, GOOD.not_before, GOOD.not_after)
    assert chip.public_key == GOOD.chip.public_key().public_bytes_raw()
    assert chip.to_bytes() == CHIP


@pytest.mark.parametrize(("kind", "data"), FORMATS)
def test_too_long(kind: Any, data: bytes) -> None:
    assert refused(kind.from_bytes, data + bytes(MAX_SIZE)) == "evidence-size"


@pytest.mark.parametrize(("kind", "data"), FORMATS)
def test_anything_behind_it(kind: Any, data: bytes) -> None:
    assert refused(kind.from_bytes, data + b"\0") in ("cbor", "cbor-encoding")


@pytest.mark.parametrize(
    "outer",
    [
        None,
        [],
        {"body": b""},
        {"body": b"", "signature": bytes(63)},
        {"body": b"", "signature": bytes(64), "more": 1},
        {"body": "", "signature": bytes(64)},
        {"body": b"", "signature": "x" * 64},
    ],
)
def test_outer_form(outer: object) -> None:
    for kind, _ in FORMATS:
        assert refused(kind.from_bytes, encode(outer)) == "evidence-form"


def test_one_format_is_not_the_other() -> None:
    assert refused(Evidence.from_bytes, CHIP) == "evidence-keys"
    assert refused(ChipCertificate.from_bytes, EVIDENCE) == "evidence-keys"


@pytest.mark.parametrize(("kind", "data"), FORMATS)
@pytest.mark.parametrize("version", [0, 2, True, "1", b"\1"])
def test_other_versions(kind: Any, data: bytes, version: object) -> None:
    assert refused(kind.from_bytes, rebuilt(data, version=version)) == "evidence-version"


@pytest.mark.parametrize(("kind", "data"), FORMATS)
def test_each_field_is_needed_and_no_other(kind: Any, data: bytes) -> None:
    outer: Any = decode(data, "test")
    body: Any = decode(outer["body"], "test")
    for name in body:
        assert refused(kind.from_bytes, rebuilt(data, **{name: None})) == "evidence-keys"
    assert refused(kind.from_bytes, rebuilt(data, more=1)) == "evidence-keys"
    assert refused(kind.from_bytes, signed(encode([1]), outer["signature"])) == "evidence-keys"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *((name, bytes(size)) for name, n in (("chip_id", 32), ("host_data", 32)) for size in (0, n - 1, n + 1)),
        *(("measurement", bytes(size)) for size in (32, 47, 49)),
        *(("report_data", bytes(size)) for size in (32, 63, 65)),
        ("chip_id", "x" * 32),
        ("svn", -1),
        ("svn", MAX_SVN + 1),
        ("svn", True),
        ("svn", b"\1"),
        ("debug", 0),
        ("debug", "no"),
    ],
)
def test_evidence_values(name: str, wrong: object) -> None:
    assert refused(Evidence.from_bytes, rebuilt(EVIDENCE, **{name: wrong})) == "evidence-value"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("public_key", bytes(31)),
        ("chip_id", bytes(33)),
        ("not_before", -1),
        ("not_after", MAX_TIME),
        ("not_after", False),
        ("not_before", "today"),
    ],
)
def test_certificate_values(name: str, wrong: object) -> None:
    assert refused(ChipCertificate.from_bytes, rebuilt(CHIP, **{name: wrong})) == "evidence-value"


@given(st.binary(max_size=600))
def test_any_bytes_end_in_a_parse_error(data: bytes) -> None:
    for kind, _ in FORMATS:
        with pytest.raises(ParseError):
            kind.from_bytes(data)


@given(st.integers(0, 1), st.data())
def test_what_parses_has_one_encoding(which: int, data: st.DataObject) -> None:
    kind, good = FORMATS[which]
    at = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[at] = data.draw(st.integers(0, 255))
    try:
        parsed = kind.from_bytes(bytes(changed))
    except ParseError:
        return
    assert parsed.to_bytes() == changed
