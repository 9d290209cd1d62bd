"""Evidence, endorsements, policies and keys from the user's files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

from enarx.cli import console
from enarx.errors import ParseError, UsageError
from enarx.formats.endorsements import MAX_SIZE, Given, read
from enarx.verify.roots import MICROSOFT

KEYED = {"cca": "cca", "tpm": "tpm"}
"""Kinds without a public root: keys that the user gives are whom to believe."""


def load(path: str, limit: int = MAX_SIZE) -> bytes:
    """A whole file; UsageError if it can not be read, or is longer than `limit` bytes."""
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as e:
        raise UsageError("file", f"{path}: {e.strerror}") from e
    if len(data) > limit:
        raise UsageError("file", f"{path}: over {limit} bytes")
    return data


def endorsements(paths: list[str]) -> Given:
    """All that the files, and the files directly in the directories, hold. In a directory other files are passed over, and so
    are keys: whom to believe is named, file by file.
    """
    found: list[bytes] = []
    keys: list[bytes] = []
    for path in paths:
        for name in _below(path) if os.path.isdir(path) else (path,):
            try:
                given = read(load(name))
            except ParseError as e:
                if name == path:
                    raise UsageError("endorsements", f"{name}: {e.message}") from e
                continue  # a directory holds other things as well, evidence for one
            found += given.endorsements
            if name == path:
                keys += given.keys
    return Given(endorsements=tuple(dict.fromkeys(found)), keys=tuple(dict.fromkeys(keys)))


def _below(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError as e:
        raise UsageError("file", f"{directory}: {e.strerror}") from e
    for name in names:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            yield path


def anchors(kind: str, given: Given, trusted: Given) -> dict[str, tuple[bytes, ...]]:
    """The keys among endorsements and trust anchors as roots, for kinds that have no public one, and for TPMs the certificates
    among the anchors; said aloud.
    """
    keys = tuple(dict.fromkeys((*given.keys, *trusted.keys)))
    pins = tuple(hashlib.sha256(der).digest() for der in trusted.endorsements) if kind == "tpm" else ()
    if kind not in KEYED or not (keys or pins):
        return {}
    what = [f"{len(keys)} public keys"] * bool(keys) + [f"{len(pins)} root certificates"] * bool(pins)
    console.warn(f"TRUST ANCHOR: {' and '.join(what)} that you gave are believed")
    return {KEYED[kind]: keys} | ({"tpm_makers": (*MICROSOFT, *pins)} if pins else {})
