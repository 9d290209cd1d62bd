"""From the options that say where a daemon is to a client of it: shared by deploy and keep."""

from __future__ import annotations

import argparse
import os

from enarx.errors import UsageError
from enarx.tenant.http import Endpoint, HostClient
from enarx.tenant.paths import SYSTEM_SOCKET, user_socket


def endpoint(options: argparse.Namespace) -> Endpoint:
    """What the options and the environment say."""
    return Endpoint(
        url=options.host or os.environ.get("ENARX_HOST", "") or _default_url(),
        token=read_token(token_file(options)),
        ca=options.ca,
        certificate=options.client_cert,
        key=options.client_key,
    )


def _default_url() -> str:
    """This user's daemon, else the system's."""
    own = user_socket()
    return f"unix://{own if own and os.path.exists(own) else SYSTEM_SOCKET}"


def token_file(options: argparse.Namespace) -> str:
    """The path of the token's file; empty for none."""
    return options.token_file or os.environ.get("ENARX_TOKEN_FILE", "")


def read_token(path: str) -> str:
    """The token in a file; empty without one."""
    if not path:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            token = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError("token-file", f"{path}: can not be read as a token") from e
    if not token or any(c.isspace() for c in token):
        raise UsageError("token-file", f"{path}: wanted one token in one line")
    return token


def client(options: argparse.Namespace) -> HostClient:
    """A client of the daemon that the options name."""
    return HostClient(endpoint(options))
