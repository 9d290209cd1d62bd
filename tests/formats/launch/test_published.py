"""A firmware's published metadata."""

from __future__ import annotations

import json
from typing import Any

import pytest

from enarx.errors import ParseError
from enarx.formats.launch.published import Published

ENTRY = {
    "ovmf_hash": "00" * 48,
    "ovmf_sections": [{"gpa": 4096, "size": 4096, "section_type": 1}],
    "sev_hashes_table_gpa": 0,
    "sev_es_reset_eip": 4096,
}


@pytest.mark.parametrize(
    "change",
    [
        {"ovmf_hash": "00" * 47},
        {"kernel_hash": "zz"},
        {"ovmf_sections": [{"gpa": 4096, "size": 4096}]},
        {"ovmf_sections": [{"gpa": 4096, "size": 4096, "section_type": 7}]},
        {"ovmf_sections": [{"gpa": 4096, "size": 1, "section_type": 1}]},
        {"ovmf_sections": [{"gpa": 0, "size": 1 << 30, "section_type": 1}]},
        {"ovmf_sections": [{"gpa": 0, "size": 4096, "section_type": 1}] * 2},
        {"ovmf_sections": [{"gpa": 0, "size": 8192, "section_type": 3}]},
        {"sev_es_reset_eip": 1 << 32},
    ],
)
def test_a_fault_in_it(change: dict[str, Any]) -> None:
    assert Published.from_json(json.dumps(ENTRY).encode()).firmware == bytes(48)
    with pytest.raises(ParseError):
        Published.from_json(json.dumps(ENTRY | change).encode())
