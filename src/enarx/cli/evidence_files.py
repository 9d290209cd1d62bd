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
from enarx.verify.roots import KEY, PIN

MALFORMED = "malformed"
UNTRUSTED_KEY = "a public key: keys are trusted only with --trust-anchor"
UNUSED_ANCHOR = "a trust anchor that evidence of this kind does not use"
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
class EndorsementFiles:
    """Endorsements from files.

    items    the endorsements as the verifier takes them, each once
    sources  the file that each item is from
    unused   (file, reason) of everything else in the files: malformed content, and public keys, which only
             --trust-anchor makes trusted
    """

    items: tuple[bytes, ...] = ()
    sources: tuple[str, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()


def endorsements(paths: list[str]) -> EndorsementFiles:
    """Parse files, and the files directly in directories. Malformed content is skipped, and reported in `unused`."""
    sources: dict[bytes, str] = {}
    unused: list[tuple[str, str]] = []
    for path in paths:
        for name in _below(path) if os.path.isdir(path) else (path,):
            try:
                content = read(load(name))
            except ParseError as e:
                unused.append((name, f"{MALFORMED}: {e.message}"))
                continue
            for der in content.endorsements:
                sources.setdefault(der, name)
            unused += [(name, UNTRUSTED_KEY)] * len(content.keys)
            unused += [(name, f"{MALFORMED}: {reason}") for reason in content.malformed]
    return EndorsementFiles(items=tuple(sources), sources=tuple(sources.values()), unused=tuple(unused))


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
            content = read_anchors(load(path))
        except ParseError as e:
            raise UsageError("trust-anchor", f"{path}: {e.message}") from e
        if content.malformed or not all(map(certificate, content.endorsements)):
            raise UsageError("trust-anchor", f"{path}: wanted public keys and certificates, and nothing else")
        keys += [(path, key) for key in content.keys]
        certificates += [(path, der) for der in content.endorsements]
    return Anchors(keys=tuple(keys), certificates=tuple(certificates))


def user_roots(kind: str, anchors: Anchors) -> dict[str, Any]:
    """The user's trust anchors as arguments of `Roots`, and a warning on stderr that names them.

    Only for the sets of roots of this kind that users may add to.
    """
    roots_by_name: dict[str, Any] = {}
    shown: list[str] = []
    for roots in find(kind).roots:
        if roots.user and roots.form == KEY:
            roots_by_name[roots.name] = tuple(TrustAnchor(key) for key in dict.fromkeys(key for _, key in anchors.keys))
            shown += [f"{len(roots_by_name[roots.name])} public keys"] * bool(anchors.keys)
        elif roots.user:
            pins = tuple(hashlib.sha256(der).digest() for _, der in anchors.certificates)
            roots_by_name[roots.name] = (*roots.public, *pins)
            shown += [f"{len(pins)} root certificates"] * bool(pins)
    if shown:
        console.warn(f"TRUST ANCHOR: {' and '.join(shown)} from your files are trusted")
    return roots_by_name


def _takes(kind: str, form: str) -> bool:
    """Whether users may name roots of this form for the kind."""
    return any(roots.user and roots.form == form for roots in find(kind).roots)


def anchor_certificates(kind: str, anchors: Anchors) -> tuple[bytes, ...]:
    """The root certificates that the user trusts, for a kind that uses any: the chain needs them as endorsements too."""
    return tuple(der for _, der in anchors.certificates) if _takes(kind, PIN) else ()


def unused_content(
    kind: str, files: EndorsementFiles, anchors: Anchors, result: AttestationResult | None
) -> list[dict[str, str]]:
    """The content of these files that the verdict does not use: file and reason, for JSON.

    `result` is None if the evidence could not be parsed.
    """
    unused = list(files.unused)
    if not _takes(kind, KEY):
        unused += [(path, UNUSED_ANCHOR) for path, _ in anchors.keys]
    if not _takes(kind, PIN):
        unused += [(path, UNUSED_ANCHOR) for path, _ in anchors.certificates]
    sources = (*files.sources, *(path for path, _ in anchors.certificates))
    if result is not None:
        unused += [(sources[endorsement.place], endorsement.reason) for endorsement in result.unused]
    return [{"source": source, "reason": reason} for source, reason in unused]


def show_unused(unused: list[dict[str, Any]]) -> None:
    """Report unused endorsements on stderr, up to a limit."""
    for entry in unused[:SHOWN_UNUSED]:
        console.say(f"  unused: {entry['source']}: {entry['reason'][:200]}")
    if len(unused) > SHOWN_UNUSED:
        console.say(f"  unused: {len(unused) - SHOWN_UNUSED} more")
