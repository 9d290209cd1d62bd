"""`enarx host`: serve Keeps on this machine."""

from __future__ import annotations

import argparse
import os
import sys

from enarx.cli.local_host import code_paths
from enarx.errors import UsageError
from enarx.formats.quantities import parse_size
from enarx.tenant.paths import cache_dir, private_dir, state_dir

STORED_OUTPUT = 64 << 20


def serve(options: argparse.Namespace) -> int:
    """Run the daemon until it is told to end."""
    if sys.platform != "linux":
        raise UsageError("platform", "hosts run on Linux", hint="tenants run anywhere: enarx deploy --host URL")
    try:
        from enarx.host import daemon, keeps
    except ModuleNotFoundError as e:
        raise UsageError(
            "extra", f"the host's libraries are not installed: {e.name}", hint="pip install 'enarx[host]'"
        ) from e
    state = os.path.abspath(options.state or os.path.join(state_dir(), "host"))
    bounds = keeps.Bounds(
        keeps=options.max_keeps,
        memory=parse_size(options.max_memory) if options.max_memory else 0,
        disk=parse_size(options.max_disk) if options.max_disk else 0,
        stored_output=parse_size(options.stored_output) if options.stored_output else STORED_OUTPUT,
        pool=options.pool,
    )
    daemon.serve(
        daemon.Options(
            state=state,
            hardware=private_dir(os.path.join(private_dir(state), "hardware")),
            cache=private_dir(cache_dir()),
            paths=":".join(code_paths()),
            address=options.address,
            port=options.port,
            token_file=options.token_file,
            tls_certificate=options.tls_cert,
            tls_key=options.tls_key,
            client_ca=options.client_ca,
            bounds=bounds,
            skip_layers=tuple(options.unsafe_skip_layer),
        )
    )
    return 0
