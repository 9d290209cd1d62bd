"""`enarx host`: serve Keeps on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from enarx.cli.local_host import code_paths
from enarx.errors import UsageError
from enarx.formats.quantities import parse_size
from enarx.tenant.paths import SOCKET, cache_dir, private_dir, runtime_dirs, state_dir

PORT = 8800
STORED_OUTPUT = 64 << 20


def serve(options: argparse.Namespace) -> int:
    """Run the daemon until it is told to end."""
    if sys.platform != "linux":
        raise UsageError("platform", "hosts run on Linux", hint="tenants run anywhere: enarx deploy --host URL")
    try:
        from enarx.host import daemon
        from enarx.host.http import listening
        from enarx.host.keeps import service as keeps
    except ModuleNotFoundError as e:
        raise UsageError(
            "extra", f"the host's libraries are not installed: {e.name}", hint="pip install 'enarx[host]'"
        ) from e
    address = options.address or ("127.0.0.1" if options.port is not None else "")
    state = os.path.abspath(options.state or os.path.join(state_dir(), "host"))
    bounds = keeps.Bounds(
        keeps=options.max_keeps,
        memory=parse_size(options.max_memory) if options.max_memory else keeps.share_of_memory(),
        disk=parse_size(options.max_disk) if options.max_disk else 0,
        stored_output=parse_size(options.stored_output) if options.stored_output else STORED_OUTPUT,
        pool=options.pool,
        finished=options.max_finished,
        stored_total=parse_size(options.max_stored) if options.max_stored else 0,
        tenant_keeps=options.tenant_keeps,
        tenant_memory=parse_size(options.tenant_memory) if options.tenant_memory else 0,
    )
    daemon.serve(
        daemon.Options(
            state=state,
            hardware=os.path.join(state, "hardware"),
            cache=private_dir(cache_dir()),
            paths=":".join(code_paths()),
            socket=options.socket or ("" if address else _default_socket(listening.default_socket)),
            socket_group=options.socket_group,
            address=address,
            port=PORT if options.port is None else options.port,
            token_files=tuple(options.token_file),
            tls_certificate=options.tls_cert,
            tls_key=options.tls_key,
            client_ca=options.client_ca,
            bounds=bounds,
            skip_layers=tuple(options.unsafe_skip_layer),
        )
    )
    return 0


def _default_socket(choose: Callable[[str, str], str]) -> str:
    """Where clients look first: the system's directory for root, else this user's."""
    *own, system = [os.path.join(directory, SOCKET) for directory in runtime_dirs()]
    return choose(system, own[0] if own else "")
