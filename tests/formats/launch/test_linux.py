"""The setup header of a Linux kernel."""

from __future__ import annotations

import pytest

from enarx.errors import ParseError
from enarx.formats.launch.linux import SetupHeader
from tests.forge import launch as forge


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (forge.kernel()[:0xFFF], "linux-size"),
        (forge.kernel(protocol=0x201), "linux-magic"),
        (bytes(0x1000), "linux-magic"),
    ],
)
def test_no_setup_header(data: bytes, code: str) -> None:
    with pytest.raises(ParseError) as e:
        SetupHeader.from_bytes(data)
    assert e.value.code == code
