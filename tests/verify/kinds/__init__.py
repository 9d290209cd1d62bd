"""The tests of each kind, in a folder of its own; `VECTORS` are what they give the tests of all kinds."""

from __future__ import annotations

from importlib import import_module

from enarx.verify.kinds import HARDWARE
from tests.verify.vectors import Vectors

VECTORS: dict[str, Vectors] = {
    kind: import_module(f"{__name__}.{kind.replace('-', '_')}.rules").VECTORS for kind in HARDWARE
}
