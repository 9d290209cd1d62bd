"""Sessions kept for later: one file of mode 0600 for each Keep, under the user's state directory.

Who can read such a file can read the workload's results; who loses it has lost them.
"""

from __future__ import annotations

import json
import os
from typing import Self

from enarx.delivery.tenant import Session
from enarx.errors import ParseError, UsageError
from enarx.record import names, record
from enarx.tenant.http import Endpoint
from enarx.tenant.paths import state_dir, write_private

MAX_FILE = 2 << 20
"""Bytes of a session's file: evidence, its endorsements and a manifest are in it, in hexadecimal."""


def _directory() -> str:
    return os.path.join(state_dir(), "sessions")


def _path(keep: str) -> str:
    if not keep.replace("-", "").isalnum():
        raise UsageError("keep-id", f"{keep!r} is no Keep's id")
    return os.path.join(_directory(), f"{keep}.json")


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

    def save(self) -> str:
        """Write it, whole or not at all; returns the path."""
        fields = {name: getattr(self, name) for name in names(self) if name != "session"}
        data = json.dumps({**fields, "session": self.session.to_bytes().hex()}).encode()
        path = _path(self.keep)
        write_private(path, data)
        return path

    @classmethod
    def load(cls, path: str) -> Self:
        """Read one back; UsageError if it is not one."""
        try:
            with open(path, "rb") as file:
                fields = json.loads(file.read(MAX_FILE))
            session = Session.from_bytes(bytes.fromhex(fields.pop("session")))
            return cls(**{k: str(v) for k, v in fields.items()}, session=session)
        except ParseError as e:
            hint = "another release saved it: that release reads its results" if e.code == "session-version" else ""
            raise UsageError(e.code, f"{path}: {e.message}", hint=hint) from e
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as e:
            raise UsageError("session-file", f"{path}: not a saved session") from e


def known() -> list[str]:
    """The ids of all Keeps with a saved session."""
    try:
        names = os.listdir(_directory())
    except FileNotFoundError:
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def find(beginning: str) -> Saved | None:
    """The saved session of the one Keep whose id begins so; None if there is none."""
    matches = [keep for keep in known() if keep.startswith(beginning)]
    if len(matches) > 1 and beginning not in matches:
        raise UsageError("keep-ambiguous", f"{len(matches)} Keeps begin with {beginning!r}", hint="give more of its id")
    return Saved.load(_path(beginning if beginning in matches else matches[0])) if matches else None


def forget(keep: str) -> None:
    """Erase a saved session, if there is one."""
    try:
        os.unlink(_path(keep))
    except FileNotFoundError:
        return


def endpoint_of(saved: Saved, token: str) -> Endpoint:
    """The way back to its daemon."""
    return Endpoint(url=saved.url, token=token, ca=saved.ca, certificate=saved.certificate, key=saved.key)
