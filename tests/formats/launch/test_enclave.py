"""The JSON layout of an SGX enclave."""

from __future__ import annotations

import json
from typing import Any

import pytest

from enarx.errors import ParseError
from enarx.formats.launch.enclave import Enclave

LAYOUT = {
    "size": 65536,
    "ssa_frame_size": 1,
    "pages": [
        {"offset": 0, "type": "tcs", "content": "tcs"},
        {"offset": 4096, "type": "reg", "permissions": "rx", "content": "code"},
        {"offset": 16384, "type": "reg", "permissions": "rw", "count": 2, "measured": False},
    ],
}


CONTENT = {"tcs": b"\1" * 72, "code": b"\x90" * 5000}


def layout(**changes: Any) -> Enclave:
    return Enclave.from_json(json.dumps(LAYOUT | changes).encode(), CONTENT.__getitem__)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 65537},
        {"size": 0},
        {"size": True},
        {"ssa_frame_size": 0},
        {"pages": {}},
        {"pages": [{"offset": 0, "type": "va"}]},
        {"pages": [{"offset": 0, "type": "reg"}]},
        {"pages": [{"offset": 0, "type": "tcs", "permissions": "rw"}]},
        {"pages": [{"offset": 1, "type": "tcs"}]},
        {"pages": [{"offset": 65536, "type": "tcs"}]},
        {"pages": [{"offset": 0, "type": "tcs"}] * 2},
        {"pages": [{"offset": 0, "type": "tcs", "count": 1 << 40}]},
        {"pages": [{"offset": 4096, "type": "reg", "permissions": "r", "content": "code", "count": 1}]},
        {"pages": [{"offset": 0, "type": "tcs", "measured": 1}]},
        {"pages": [{"offset": 0, "type": "tcs", "more": 1}]},
        {"size": 1 << 40, "pages": [{"offset": i << 30, "type": "tcs", "count": 1 << 18} for i in range(2)]},
        {"more": 1},
    ],
)
def test_a_layout_that_is_wrong(changes: dict[str, Any]) -> None:
    with pytest.raises(ParseError) as e:
        layout(**changes)
    assert e.value.code == "enclave-layout"


@pytest.mark.parametrize("text", [b"", b"x", b"[]", b"[" * 100_000, b'{"size": 1, "size": 1}', b" " * (1 << 21)])
def test_a_layout_that_is_none(text: bytes) -> None:
    with pytest.raises(ParseError):
        Enclave.from_json(text, CONTENT.__getitem__)
