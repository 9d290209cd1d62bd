"""The Authenticode digest of a PE file. A signature covers it, and firmware measures it on loading the file."""

from __future__ import annotations

import hashlib

from enarx.formats.launch.pe import PeFile


def authenticode(pe: PeFile, bank: str = "sha384") -> bytes:
    """The digest over everything except the signatures and the checksum."""
    sha = hashlib.new(bank)
    for piece in pe.measured():
        sha.update(piece)
    return sha.digest()
