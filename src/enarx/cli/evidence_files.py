"""Files that users name for attestation: evidence, endorsements, trust anchors."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any

from enarx.cli import console
from enarx.errors import ParseError, UsageError
from enarx.formats.endorsements import MAX_SIZE, read, read_anchors
from enarx.record import record
from enarx.verify import TrustAnchor
from enarx.verify.kinds import find
from enarx.verify.result import AttestationResult
from enarx.verify.roots import KEY as KEYS
from enarx.verify.roots import PIN

MALFORMED = "malformed"
KEY = "a public key: keys are trusted only with --trust-anchor"
POINTLESS = "a trust anchor that evidence of this kind does not use"
SHOWN_UNUSED = 20
"""Lines on stderr about unused endorsements; the JSON has all of them."""


def load(path: str, limit: int = MAX_SIZE) -> bytes:
    """The content of a file. UsageError if it cannot be read, or is longer than `limit` bytes."""
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as e:
        raise UsageError("file", f"{path}: {e.strerror}") from e
    if len(data) > limit:
        raise UsageError("file", f"{path}: over {limit} bytes")
    return data


def unix_time(text: str) -> int:
    """The time of --at in unix seconds. RFC 3339; without an offset, UTC."""
    from datetime import UTC, datetime

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("at", f"--at {text[:40]!r}: wanted RFC 3339, such as 2026-01-31T12:00:00Z") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


@record()
class Gathered:
    """Endorsements from files.

    items    as the verifier takes them; `sources` has the file of each
    unused   what is not an endorsement, by file and reason; keys among it, since no key in a file is trusted by itself
    """

    items: tuple[bytes, ...] = ()
    sources: tuple[str, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()


def endorsements(paths: list[str]) -> Gathered:
    """Parse files, and the files directly in directories. Malformed content is skipped, and reported in `unused`."""
    sources: dict[bytes, str] = {}
    unused: list[tuple[str, str]] = []
    for path in paths:
        for name in _below(path) if os.path.isdir(path) else (path,):
            try:
                given = read(load(name))
            except ParseError as e:
                unused.append((name, f"{MALFORMED}: {e.message}"))
                continue
            for der in given.endorsements:
                sources.setdefault(der, name)
            unused += [(name, KEY)] * len(given.keys)
            unused += [(name, f"{MALFORMED}: {reason}") for reason in given.malformed]
    return Gathered(items=tuple(sources), sources=tuple(sources.values()), unused=tuple(unused))


def _below(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError as e:
        raise UsageError("file", f"{directory}: {e.strerror}") from e
    for name in names:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            yield path


@record()
class Anchors:
    """Trust anchors that the user names: public keys, and root certificates in DER, each with its file."""

    keys: tuple[tuple[str, bytes], ...] = ()
    certificates: tuple[tuple[str, bytes], ...] = ()


def trust_anchors(paths: list[str]) -> Anchors:
    """Parse files of trust anchors. UsageError for anything but keys and certificates.

    Directories are refused: their author, rather than the user, would choose whom to trust.
    """
    from enarx.verify.certificates import load as certificate

    keys: list[tuple[str, bytes]] = []
    certificates: list[tuple[str, bytes]] = []
    for path in paths:
        if os.path.isdir(path):
            raise UsageError("trust-anchor", f"{path}: a directory: name each file by itself")
        try:
            given = read_anchors(load(path))
        except ParseError as e:
            raise UsageError("trust-anchor", f"{path}: {e.message}") from e
        if given.malformed or not all(map(certificate, given.endorsements)):
            raise UsageError("trust-anchor", f"{path}: wanted public keys and certificates, and nothing else")
        keys += [(path, key) for key in given.keys]
        certificates += [(path, der) for der in given.endorsements]
    return Anchors(keys=tuple(keys), certificates=tuple(certificates))


def believed(kind: str, named: Anchors) -> dict[str, Any]:
    """The user's trust anchors as arguments of `Roots`, in the sets of the kind that users may add to. Announced on stderr."""
    roots_by_name: dict[str, Any] = {}
    shown: list[str] = []
    for roots in find(kind).roots:
        if roots.user and roots.form == KEYS:
            roots_by_name[roots.name] = tuple(TrustAnchor(key) for key in dict.fromkeys(key for _, key in named.keys))
            shown += [f"{len(roots_by_name[roots.name])} public keys"] * bool(named.keys)
        elif roots.user:
            pins = tuple(hashlib.sha256(der).digest() for _, der in named.certificates)
            roots_by_name[roots.name] = (*roots.public, *pins)
            shown += [f"{len(pins)} root certificates"] * bool(pins)
    if shown:
        console.warn(f"TRUST ANCHOR: {' and '.join(shown)} from your files are trusted")
    return roots_by_name


def _takes(kind: str, form: str) -> bool:
    """Whether users may name roots of this form for the kind."""
    return any(roots.user and roots.form == form for roots in find(kind).roots)


def certificates(kind: str, named: Anchors) -> tuple[bytes, ...]:
    """The root certificates that the user names, if the kind uses any: they count as endorsements too."""
    return tuple(der for _, der in named.certificates) if _takes(kind, PIN) else ()


def unused(kind: str, given: Gathered, named: Anchors, result: AttestationResult | None) -> list[dict[str, str]]:
    """The unused content of these files, with file and reason, for JSON. Without a result the evidence could not be parsed."""
    left = list(given.unused)
    if not _takes(kind, KEYS):
        left += [(path, POINTLESS) for path, _ in named.keys]
    if not _takes(kind, PIN):
        left += [(path, POINTLESS) for path, _ in named.certificates]
    sources = (*given.sources, *(path for path, _ in named.certificates))
    if result is not None:
        left += [(sources[one.place], one.reason) for one in result.unused]
    return [{"source": source, "reason": reason} for source, reason in left]


def show_unused(left: list[dict[str, Any]]) -> None:
    """Report unused endorsements on stderr, up to a limit."""
    for one in left[:SHOWN_UNUSED]:
        console.say(f"  unused: {one['source']}: {one['reason'][:200]}")
    if len(left) > SHOWN_UNUSED:
        console.say(f"  unused: {len(left) - SHOWN_UNUSED} more")
