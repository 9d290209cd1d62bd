"""What a Keep consists of, and what that measures: the list of its files, and reference values anyone can recompute."""

from __future__ import annotations

from enarx.image.contents import DISTRIBUTIONS, OWN_FILES, code_paths, files
from enarx.image.measure import DigestCache, Measurement, differences, measure

__all__ = [
    "DISTRIBUTIONS",
    "OWN_FILES",
    "DigestCache",
    "Measurement",
    "code_paths",
    "differences",
    "files",
    "measure",
]
