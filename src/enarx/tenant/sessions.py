"""Saved sessions: files of mode 0600 under the user's state directory, each named by its session's binding.

Hosts choose the ids of Keeps, and two hosts may choose the same: id and URL only say where to look. The binding
(`Session.transcript`) is not a host's choice. Anyone who can read such a file can read the workload's results; without it
they cannot be read at all.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from typing import Self

from enarx.delivery.tenant import Session
from enarx.errors import EnarxError, ParseError, UsageError
from enarx.formats import plain_json
from enarx.formats.text import hex_bytes
from enarx.record import names, record
from enarx.tenant.connection import Endpoint
from enarx.tenant.paths import private_dir, read_file, state_dir, write_private

MAX_FILE = 2 << 20
"""Bytes of a session file, which has evidence, endorsements and a manifest in hexadecimal."""

SUFFIX = ".json"


def _directory() -> str:
    return os.path.join(state_dir(), "sessions")


@record()
class Saved:
    """A session and the address of its Keep. Of credentials it has the paths of their files, never their content.

    `name` is what the tenant called the Keep; empty without a name.
    """

    keep: str
    url: str
    token_file: str
    ca: str
    certificate: str
    key: str
    session: Session
    name: str = ""

    @property
    def binding(self) -> str:
        """The session's transcript hash, hexadecimal: unique to it."""
        return self.session.transcript.hex()

    @property
    def path(self) -> str:
        """The path of its file."""
        return os.path.join(_directory(), self.binding + SUFFIX)

    def save(self) -> str:
        """Write it to a new file; returns the path. UsageError."""
        fields = {name: getattr(self, name) for name in names(self) if name != "session"}
        data = json.dumps({**fields, "session": self.session.to_bytes().hex()}).encode()
        try:
            private_dir(_directory())
            write_private(self.path, data, new=True)
        except OSError as e:
            raise UsageError("session-file", f"{self.path}: {e.strerror}", hint="this session is not saved") from e
        return self.path

    @classmethod
    def load(cls, path: str) -> Self:
        """Read a saved session. UsageError, also if its name is not its binding."""
        try:
            fields = plain_json.decode(read_file(path, MAX_FILE), "session")
            session = Session.from_bytes(hex_bytes(fields.pop("session")))
            if not all(isinstance(text, str) for text in fields.values()):
                raise TypeError
            saved = cls(**fields, session=session)
        except ParseError as e:
            version = e.code == "session-version"
            hint = "another release saved it: that release reads its results" if version else ""
            raise UsageError(e.code if version else "session-file", f"{path}: {e.message}", hint=hint) from e
        except (ValueError, TypeError, KeyError, AttributeError, EnarxError) as e:
            raise UsageError("session-file", f"{path}: not a saved session") from e
        if os.path.basename(path) != saved.binding + SUFFIX:
            raise UsageError("session-file", f"{path}: the file has the name of another session")
        return saved


def known() -> tuple[list[Saved], list[UsageError]]:
    """All saved sessions, and an error for each file that is not a session. UsageError if they cannot be listed."""
    try:
        files = sorted(name for name in os.listdir(_directory()) if name.endswith(SUFFIX))
    except FileNotFoundError:
        files = []
    except OSError as e:
        raise UsageError("session-directory", f"{_directory()}: {e.strerror}") from e
    saved: list[Saved] = []
    bad: list[UsageError] = []
    for name in files:
        try:
            saved.append(Saved.load(os.path.join(_directory(), name)))
        except UsageError as e:
            bad.append(e)
    return saved, bad


def find(word: str, saved: Iterable[Saved], *, url: str = "") -> Saved | None:
    """The session whose Keep has the name `word` or an id that starts with it, at the host `url` if given; None without one.

    A complete id or name comes before the start of an id. A complete binding finds its session whatever the host calls its
    Keep. Of a host's Keeps with the same name it is the latest. UsageError if several sessions match.
    """
    candidates = [session for session in saved if not url or session.url == url]
    matches = (
        [session for session in candidates if word in (session.keep, session.binding)]
        or list(_latest(session for session in candidates if word and session.name == word).values())
        or [session for session in candidates if session.keep.startswith(word)]
    )
    if len(matches) > 1:
        some = ", ".join(f"{s.keep} at {s.url} (session {s.binding[:16]}...)" for s in matches[:5])
        hint = "give more of its id, --host, or the whole name of the session's file"
        raise UsageError("keep-ambiguous", f"{word!r} stands for {len(matches)} Keeps: {some}", hint=hint)
    return matches[0] if matches else None


def _latest(saved: Iterable[Saved]) -> dict[str, Saved]:
    """The latest of these sessions at each host, by its URL."""
    return {session.url: session for session in sorted(saved, key=lambda session: session.session.time)}


def forget(saved: Saved) -> None:
    """Delete the session's file; a missing file is ignored."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(saved.path)


def endpoint_of(saved: Saved, token: str) -> Endpoint:
    """The endpoint of the session's daemon."""
    return Endpoint(url=saved.url, token=token, ca=saved.ca, certificate=saved.certificate, key=saved.key)
