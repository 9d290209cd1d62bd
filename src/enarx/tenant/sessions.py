"""Sessions kept for later: files of mode 0600 under the user's state directory, each named by its session's own binding.

Ids of Keeps are a host's choice, and two hosts may choose one: an id and a URL only say where to look. The binding
(`Session.transcript`) is no host's choice. Who can read such a file can read the workload's results; who loses it has lost
them.
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
from enarx.record import names, record
from enarx.tenant.connection import Endpoint
from enarx.tenant.paths import private_dir, read_file, state_dir, write_private

MAX_FILE = 2 << 20
"""Bytes of a session's file: evidence, its endorsements and a manifest are in it, in hexadecimal."""

SUFFIX = ".json"


def _directory() -> str:
    return os.path.join(state_dir(), "sessions")


@record()
class Saved:
    """A session with the way to its Keep. Of credentials only the paths of their files are kept, never their content."""

    keep: str
    url: str
    token_file: str
    ca: str
    certificate: str
    key: str
    session: Session

    @property
    def binding(self) -> str:
        """What tells this session from all others."""
        return self.session.transcript.hex()

    @property
    def path(self) -> str:
        """Of its file."""
        return os.path.join(_directory(), self.binding + SUFFIX)

    def save(self) -> str:
        """Write it to a new file; returns the path. UsageError if that cannot be."""
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
        """Read one back; UsageError if it is not the one that its name says."""
        try:
            fields = plain_json.decode(read_file(path, MAX_FILE), "session")
            session = Session.from_bytes(bytes.fromhex(fields.pop("session")))
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
            raise UsageError("session-file", f"{path}: the session in it is another")
        return saved


def known() -> tuple[list[Saved], list[UsageError]]:
    """All saved sessions, and what is wrong with the files that are none."""
    try:
        found = sorted(name for name in os.listdir(_directory()) if name.endswith(SUFFIX))
    except FileNotFoundError:
        found = []
    except OSError as e:
        raise UsageError("session-directory", f"{_directory()}: {e.strerror}") from e
    saved: list[Saved] = []
    bad: list[UsageError] = []
    for name in found:
        try:
            saved.append(Saved.load(os.path.join(_directory(), name)))
        except UsageError as e:
            bad.append(e)
    return saved, bad


def find(beginning: str, saved: Iterable[Saved], *, url: str = "") -> Saved | None:
    """Of these sessions the one whose Keep's id begins so, at the host `url` if that is given; None if there is none.

    A whole binding names its session whatever its host calls the Keep.
    """
    there = [one for one in saved if not url or one.url == url]
    matches = [one for one in there if one.keep.startswith(beginning)]
    exact = [one for one in there if beginning in (one.keep, one.binding)]
    if len(exact) == 1:
        return exact[0]
    if len(exact or matches) > 1:
        some = ", ".join(f"{one.keep} at {one.url} (session {one.binding[:16]}...)" for one in (exact or matches)[:5])
        hint = "give more of its id, --host, or the whole name of the session's file"
        raise UsageError("keep-ambiguous", f"{len(exact or matches)} Keeps begin with {beginning!r}: {some}", hint=hint)
    return matches[0] if matches else None


def forget(saved: Saved) -> None:
    """Erase this session, and no other."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(saved.path)


def endpoint_of(saved: Saved, token: str) -> Endpoint:
    """The way back to its daemon."""
    return Endpoint(url=saved.url, token=token, ca=saved.ca, certificate=saved.certificate, key=saved.key)
