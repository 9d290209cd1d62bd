"""Models of processors and their signatures."""

from __future__ import annotations

import pytest

from enarx.errors import UsageError
from enarx.image.launch import cpus


def test_models_and_signatures() -> None:
    assert cpus.by_name("EPYC-Milan") == cpus.by_name("0xa00f11") == 0xA00F11
    assert cpus.name_of(0xB00F00) == "EPYC-Turin (0xb00f00)"
    assert cpus.name_of(5) == "0x5"
    for wrong in ("EPYC-Naples", "0xg", "-0x1", "0x100000000", "", "1"):
        with pytest.raises(UsageError):
            cpus.by_name(wrong)
