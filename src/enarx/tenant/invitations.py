"""Invitations: the files by which a tenant lets providers and recipients reach a Keep (docs/spec/host.md, "Invitations").

The secret in it is a capability at one host for one Keep: to send parts of providers, and to read the Keep's frames, which
are sealed. It opens no result. Anyone who has it can keep others from taking part, so it is sent like a password.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from typing import Any, Self

from enarx.errors import EnarxError, UsageError
from enarx.formats import plain_json
from enarx.formats.text import hex_bytes
from enarx.record import record
from enarx.tenant.connection import Endpoint
from enarx.tenant.paths import read_file, write_private

VERSION = 1
MAX_FILE = 1 << 20
KEYS = ("invitation", "host", "keep", "secret", "package", "session", "authorities")
_KEEP = re.compile(r"[A-Za-z0-9_-]{1,64}")
HINT = "it is the file that enarx deploy --invite wrote"


def digest_of(secret: str) -> str:
    """The digest of a secret that a host stores, as hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


@record(hidden=("secret",))
class Invitation:
    """An invitation to one session at one host.

    `url` is the daemon's, `keep` the Keep's id there, `secret` 64 hexadecimal digits. `package` is the digest of the package
    and `session` names the session, 32 bytes each. `authorities` are the certificate authorities of the daemon, PEM; empty
    for those of the system. The text itself proves nothing: only evidence does.
    """

    url: str
    keep: str
    secret: str
    package: bytes
    session: bytes
    authorities: str = ""

    def to_json(self) -> str:
        """The text of its file."""
        value = {
            "invitation": VERSION,
            "host": self.url,
            "keep": self.keep,
            "secret": self.secret,
            "package": self.package.hex(),
            "session": self.session.hex(),
            "authorities": self.authorities,
        }
        return json.dumps(value, indent=2) + "\n"

    def save(self, path: str) -> None:
        """Write it to a file of mode 0600; another invitation there is replaced. UsageError."""
        require_writable(path)
        try:
            write_private(path, self.to_json().encode())
        except OSError as e:
            raise UsageError("invitation-file", f"{path}: {e.strerror}") from e

    @classmethod
    def load(cls, path: str) -> Self:
        """Read the invitation in a file. UsageError."""
        return cls.from_bytes(read_file(path, MAX_FILE + 1, code="invitation-file", hint=HINT), path)

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Self:
        """The invitation in the bytes of a file; `path` names the file in errors. UsageError."""
        try:
            if len(data) > MAX_FILE:
                raise ValueError(f"over {MAX_FILE >> 20} MiB")
            return cls._of(plain_json.decode(data, "invitation"))
        except (ValueError, TypeError, EnarxError) as e:
            why = e.message if isinstance(e, EnarxError) else str(e)
            raise UsageError("invitation-file", f"{path}: not an invitation: {why}", hint=HINT) from e

    @classmethod
    def _of(cls, value: Any) -> Self:
        if not isinstance(value, dict) or "invitation" not in value:
            raise ValueError("wanted a JSON object with the key invitation")
        if value["invitation"] != VERSION or isinstance(value["invitation"], bool):
            raise ValueError(f"of version {value['invitation']!r}, wanted {VERSION}; another release wrote it")
        if set(value) != set(KEYS):
            raise ValueError(f"wanted exactly {', '.join(KEYS)}")
        if not all(isinstance(value[key], str) for key in KEYS[1:]):
            raise ValueError("wanted texts")
        if not _KEEP.fullmatch(value["keep"]):
            raise ValueError("keep is not the id of a Keep")
        hex_bytes(value["secret"], 32)
        return cls(
            url=value["host"],
            keep=value["keep"],
            secret=value["secret"],
            package=hex_bytes(value["package"], 32),
            session=hex_bytes(value["session"], 32),
            authorities=value["authorities"],
        )

    def endpoint(self, given: Endpoint) -> Endpoint:
        """The endpoint of its daemon. What `given` names has precedence; the secret is the credential in any case."""
        return Endpoint(
            url=given.url.rstrip("/") or self.url,
            ca=given.ca,
            certificate=given.certificate,
            key=given.key,
            invitation=self.secret,
            authorities="" if given.ca else self.authorities,
        )


def require_writable(path: str) -> None:
    """UsageError unless an invitation can be written to `path`: nothing is there, or an older invitation."""
    if os.path.lexists(path):
        try:
            Invitation.load(path)
        except UsageError:
            hint = "name a file that does not exist yet"
            raise UsageError("invitation-file", f"{path}: exists, and is not an invitation", hint=hint) from None
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory) or not os.access(directory, os.W_OK):
        raise UsageError("invitation-file", f"{path}: no file can be written in {directory}")


def authorities_in(path: str) -> str:
    """The text of a file of certificate authorities; empty without a path. UsageError."""
    if not path:
        return ""
    data = read_file(path, MAX_FILE // 2 + 1, code="host-tls")
    with contextlib.suppress(UnicodeDecodeError):
        if len(data) <= MAX_FILE // 2:
            return data.decode("ascii")
    raise UsageError("host-tls", f"{path}: cannot go into an invitation: wanted at most {MAX_FILE >> 11} KiB of PEM")
