"""The signature structure of an SGX enclave."""

from __future__ import annotations

import pytest

from enarx.errors import ParseError
from enarx.formats.launch.sigstruct import SigStruct
from tests.forge import launch as forge


@pytest.mark.parametrize(
    ("change", "code"),
    {
        "header": ((0, b"\7"), "sigstruct-header"),
        "vendor": ((16, b"\1"), "sigstruct-header"),
        "date": ((20, b"\xaa"), "sigstruct-header"),
        "second header": ((24, b"\2"), "sigstruct-header"),
        "reserved": ((44, b"\1"), "sigstruct-reserved"),
        "exponent": ((512, b"\5"), "sigstruct-exponent"),
        "reserved behind CET": ((910, b"\1"), "sigstruct-reserved"),
        "reserved behind the measurement": ((992, b"\1"), "sigstruct-reserved"),
        "reserved at the end": ((1028, b"\1"), "sigstruct-reserved"),
    }.values(),
)
def test_a_sigstruct_that_is_none(change: tuple[int, bytes], code: str) -> None:
    with pytest.raises(ParseError) as e:
        SigStruct.from_bytes(forge.sigstruct(change=change))
    assert e.value.code == code


@pytest.mark.parametrize("size", [0, 1807, 1809])
def test_a_sigstruct_of_another_size(size: int) -> None:
    with pytest.raises(ParseError):
        SigStruct.from_bytes(forge.sigstruct()[:size].ljust(size, b"\0"))
