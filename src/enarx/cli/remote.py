"""The host daemon that the options of deploy and keep name."""

from __future__ import annotations

import argparse

from enarx.api import keeps
from enarx.api.hosts import Host, find
from enarx.api.keeps import Known
from enarx.cli import console
from enarx.tenant.http import Endpoint


def host(options: argparse.Namespace) -> Host:
    """The daemon of --host, of ENARX_HOST, or of this machine. UsageError; UnavailableError if there is none."""
    return find(_endpoint(options), options.token_file)


def keep(options: argparse.Namespace) -> Known:
    """The Keep that the options name: among our own sessions first, else at the host. UsageError."""
    return keeps.resolve(options.keep, host=_endpoint(options), token_file=options.token_file, note=console.note)


def _endpoint(options: argparse.Namespace) -> Endpoint:
    return Endpoint(
        url=options.host.rstrip("/"), ca=options.ca, certificate=options.client_cert, key=options.client_key
    )
