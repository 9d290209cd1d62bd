"""Where a host daemon is, and with which credential it is asked.

A token belongs to the host that it was given for: a token file goes with the host named beside it, the variable
ENARX_TOKEN_FILE with that of ENARX_HOST, and a saved session with the token file that it was saved with.
"""

from __future__ import annotations

import os

from enarx.errors import UnavailableError, UsageError
from enarx.record import record, replace
from enarx.tenant.connection import require_url
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.paths import SOCKET, read_file, runtime_dirs
from enarx.tenant.sessions import Saved, endpoint_of

MAX_TOKEN = 4096
"""Characters of a token."""


@record()
class Host:
    """A daemon: its endpoint, and the file that its token came from, if any."""

    endpoint: Endpoint
    token_file: str = ""

    def client(self) -> HostClient:
        """A client of it. UsageError for an endpoint that cannot be used."""
        return HostClient(self.endpoint)


def find(host: str | Endpoint = "", token_file: str = "") -> Host:
    """The daemon at `host`, a URL or an Endpoint; else that of ENARX_HOST; else the one whose socket is on this machine.

    `token_file` is the path of a file with a bearer token. UsageError; UnavailableError if no host is named or found.
    """
    if not isinstance(host, (str, Endpoint)):
        raise UsageError("host-url", f"host is of type {type(host).__name__}, wanted a URL or an enarx.Endpoint")
    named = host if isinstance(host, Endpoint) else Endpoint(url=host)
    default = os.environ.get("ENARX_HOST", "").rstrip("/")
    url = named.url.rstrip("/") or default or _local()
    source = ""
    if not named.url and default:
        require_url(url, "ENARX_HOST")
    if not token_file and not named.token and default and url == default:
        token_file, source = os.environ.get("ENARX_TOKEN_FILE", ""), "ENARX_TOKEN_FILE: "
    token = read_token(token_file, source) if token_file else named.token
    return Host(endpoint=replace(named, url=url, token=token), token_file=token_file)


def of_session(saved: Saved, host: str | Endpoint = "", token_file: str = "") -> Host:
    """The daemon of a saved session, with the credentials of `host` and `token_file`, or else those saved with it.

    UsageError for a token file without the host that it is for.
    """
    given = host if isinstance(host, Endpoint) else Endpoint(url=host)
    if token_file and not given.url:
        raise UsageError("token-host", f"a token file without a host, for a session at {saved.url}", hint="give both")
    path = token_file or ("" if given.token else saved.token_file)
    known = endpoint_of(saved, given.token or read_token(path))
    endpoint = replace(
        known,
        ca=given.ca or known.ca,
        certificate=given.certificate or known.certificate,
        key=given.key or known.key,
    )
    return Host(endpoint=endpoint, token_file=path)


def read_token(path: str, source: str = "") -> str:
    """The token in a file; empty without a path. UsageError, whose text begins with `source`."""
    if not path:
        return ""
    hint = "wanted a file with one token in one line, in ASCII"
    try:
        data = read_file(path, MAX_TOKEN + 1)
    except UsageError as e:
        raise UsageError("token-file", f"{source}{e.message}", hint=hint) from e
    if problem := _token_problem(data):
        raise UsageError("token-file", f"{source}{path}: {problem}", hint=hint)
    return data.decode("ascii").strip()


def _token_problem(data: bytes) -> str:
    """Why the bytes of a file are not a token; empty if they are one. The text never has a part of them."""
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "begins with a byte order mark"
    if not data.isascii():
        return "has bytes that are not ASCII"
    token = data.decode("ascii").strip()
    if not token:
        return "has no token in it"
    if len(data) > MAX_TOKEN:
        return f"has over {MAX_TOKEN} bytes"
    return "has more than one word" if any(c.isspace() or not c.isprintable() for c in token) else ""


def _local() -> str:
    sockets = [os.path.join(directory, SOCKET) for directory in runtime_dirs()]
    for path in sockets:
        if os.path.exists(path):
            return f"unix://{path}"
    raise UnavailableError(
        "host-none",
        f"no host is named, and none serves on this machine: no {' or '.join(sockets)}",
        hint="start one with: enarx host serve; or name one with --host URL, or in ENARX_HOST",
    )
