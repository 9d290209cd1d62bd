"""From the options that say where a daemon is to a client of it: shared by deploy and keep.

A token belongs to the host that it was given for: --token-file goes with the host of the same command line, the
variable ENARX_TOKEN_FILE with that of ENARX_HOST, and a saved session with the token that it was saved with.
"""

from __future__ import annotations

import argparse
import os

from enarx.errors import UnavailableError, UsageError
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.paths import SOCKET, read_file, runtime_dirs
from enarx.tenant.sessions import Saved, endpoint_of

MAX_TOKEN = 4096


def endpoint(options: argparse.Namespace) -> Endpoint:
    """What the options and the environment say."""
    return Endpoint(
        url=url(options),
        token=read_token(token_file(options)),
        ca=options.ca,
        certificate=options.client_cert,
        key=options.client_key,
    )


def url(options: argparse.Namespace) -> str:
    """The daemon that is meant: by --host, by ENARX_HOST, or the one whose socket is on this machine."""
    return (options.host or os.environ.get("ENARX_HOST", "")).rstrip("/") or _local()


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


def token_file(options: argparse.Namespace) -> str:
    """The path of the token's file; empty for none."""
    if options.token_file:
        return str(options.token_file)
    theirs = os.environ.get("ENARX_HOST", "").rstrip("/")
    return os.environ.get("ENARX_TOKEN_FILE", "") if theirs and url(options) == theirs else ""


def read_token(path: str) -> str:
    """The token in a file; empty without one."""
    if not path:
        return ""
    try:
        token = read_file(path, MAX_TOKEN + 1).decode("ascii").strip()
    except (UsageError, UnicodeDecodeError) as e:
        raise UsageError("token-file", f"{path}: cannot be read as a token") from e
    if not 0 < len(token) <= MAX_TOKEN or any(c.isspace() or not c.isprintable() for c in token):
        raise UsageError("token-file", f"{path}: wanted one token in one line")
    return token


def client(options: argparse.Namespace) -> HostClient:
    """A client of the daemon that the options name."""
    return HostClient(endpoint(options))


def client_of(saved: Saved, options: argparse.Namespace) -> HostClient:
    """A client of the daemon of a saved session, with the token that was saved with it or is given with this --host."""
    if options.token_file and not options.host:
        raise UsageError("token-host", f"--token-file without --host, for a session at {saved.url}", hint="give both")
    return HostClient(endpoint_of(saved, read_token(options.token_file or saved.token_file)))
