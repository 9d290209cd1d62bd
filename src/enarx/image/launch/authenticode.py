"""The digest under a PE file's signature, which firmware measures when it loads the file."""

from __future__ import annotations

import hashlib

from enarx.formats.launch.pe import PeFile


def authenticode(pe: PeFile, bank: str = "sha384") -> bytes:
    """The Authenticode digest; signatures and the checksum are left out."""
    sha = hashlib.new(bank)
    for piece in pe.measured():
        sha.update(piece)
    return sha.digest()
