"""`enarx host`: serve Keeps on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from enarx.cli.options import Parser, add_skip_layer, count, port
from enarx.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.host.keeps.bounds import Bounds

PORT = 8800
STORED_OUTPUT = 64 << 20


def declare(parser: Parser) -> None:
    """Declare the options of `enarx host serve`."""
    serving = parser.action(
        "serve",
        serve,
        "run the host daemon",
        "enarx host serve",
        "enarx host serve --pool 4 --socket-group enarx",
        "enarx host serve --address 192.0.2.1 --port 8443 --tls-cert c.pem --tls-key k.pem --client-ca tenants.pem",
    )
    _listening(serving)
    _bounds(serving)
    add_skip_layer(serving)


def _listening(parser: Parser) -> None:
    parser.add_argument("--state", metavar="DIR", default="", help="where to store its Keeps")
    parser.add_argument("--socket", metavar="PATH", default="", help="Unix socket (default: where clients look for it)")
    parser.add_argument("--socket-group", metavar="GROUP", default="", help="let this group's members use the socket")
    parser.add_argument("--address", default="", help="listen on TCP (default: 127.0.0.1 if --port is given)")
    parser.add_argument("--port", type=port, default=None, help="default: 8800; 0 takes a free one and logs it")
    parser.add_argument(
        "--token-file", action="append", metavar="FILE", default=[], help="bearer token of a tenant; may be repeated"
    )
    parser.add_argument("--tls-cert", metavar="FILE", default="", help="certificate chain, PEM")
    parser.add_argument("--tls-key", metavar="FILE", default="", help="its private key, PEM")
    parser.add_argument("--client-ca", metavar="FILE", default="", help="require client certificates from this CA, PEM")


def _bounds(parser: Parser) -> None:
    parser.add_argument("--pool", type=count, default=0, metavar="N", help="keep N empty Keeps ready")
    parser.add_argument("--pool-kind", metavar="KIND", default="", help="their kind (default: the host's default kind)")
    parser.add_argument("--max-keeps", type=count, default=100, metavar="N", help="running Keeps (default: 100)")
    parser.add_argument(
        "--max-memory",
        default="",
        metavar="SIZE",
        help="memory of all Keeps together (default: 80 %% of this machine's, or of the daemon's cgroup if less)",
    )
    parser.add_argument("--max-disk", default="", metavar="SIZE", help="files of all Keeps together")
    parser.add_argument("--tenant-keeps", type=count, default=0, metavar="N", help="running Keeps of each tenant")
    parser.add_argument("--tenant-memory", default="", metavar="SIZE", help="memory of each tenant's Keeps together")
    parser.add_argument("--stored-output", default="", metavar="SIZE", help="output stored for each Keep until read")
    parser.add_argument(
        "--max-finished", type=count, default=10_000, metavar="N", help="ended Keeps to keep (default: 10000)"
    )
    parser.add_argument("--max-stored", default="", metavar="SIZE", help="stored output of all Keeps together")


def serve(options: argparse.Namespace) -> int:
    """Run the daemon until a signal ends it."""
    if sys.platform != "linux":
        raise UsageError("platform", "hosts run on Linux", hint="tenants run anywhere: enarx deploy --host URL")
    try:
        from enarx.host import daemon
        from enarx.host.http import activation, listening
    except ModuleNotFoundError as e:
        raise UsageError(
            "extra", f"the host's libraries are not installed: {e.name}", hint="pip install 'enarx[host]'"
        ) from e
    from enarx.api.local_host import code_paths, require_keep
    from enarx.tenant.paths import cache_dir, private_dir, state_dir

    require_keep()
    passed = activation.passed()
    _require_one_source(options, passed)
    address = options.address or ("127.0.0.1" if options.port is not None else "")
    state = os.path.abspath(options.state or os.path.join(state_dir(), "host"))
    daemon.serve(
        daemon.Options(
            state=state,
            backends_state=os.path.join(state, "hardware"),
            cache=private_dir(cache_dir()),
            paths=":".join(code_paths()),
            socket=options.socket or ("" if address or passed else _default_socket(listening.default_socket)),
            socket_group=options.socket_group,
            address=address,
            port=PORT if options.port is None else options.port,
            token_files=tuple(options.token_file),
            tls_certificate=options.tls_cert,
            tls_key=options.tls_key,
            client_ca=options.client_ca,
            bounds=_chosen_bounds(options),
            skip_layers=tuple(options.unsafe_skip_layer),
            passed=passed,
        )
    )
    return 0


def _chosen_bounds(options: argparse.Namespace) -> Bounds:
    """The bounds on Keeps that the options state. UsageError."""
    from enarx.host.keeps.bounds import Bounds, share_of_memory

    return Bounds(
        keeps=options.max_keeps,
        memory=_size(options, "--max-memory", share_of_memory),
        disk=_size(options, "--max-disk"),
        stored_output=_size(options, "--stored-output", lambda: STORED_OUTPUT),
        pool=options.pool,
        pool_kind=options.pool_kind,
        finished=options.max_finished,
        stored_total=_size(options, "--max-stored"),
        tenant_keeps=options.tenant_keeps,
        tenant_memory=_size(options, "--tenant-memory"),
    )


def _require_one_source(options: argparse.Namespace, passed: Sequence[object]) -> None:
    """UsageError if a service manager passed sockets and the options name others."""
    if passed and (options.socket or options.address or options.port is not None):
        raise UsageError(
            "listen-fds",
            "a service manager passed the sockets to listen on, so --socket, --address and --port have no place",
            hint="name them in the socket unit: ListenStream=",
        )


def _size(options: argparse.Namespace, name: str, default: Callable[[], int] = int) -> int:
    """The bytes that an option gives; `default`, which is 0, if it is not given. UsageError, which names the option."""
    from enarx.formats.quantities import parse_size

    text = getattr(options, name.strip("-").replace("-", "_"))
    try:
        return parse_size(text) if text else default()
    except UsageError as e:
        raise UsageError(e.code, f"{name}: {e.message}", hint=e.hint) from None


def _default_socket(choose: Callable[[str, str], str]) -> str:
    """Where clients look first: the system's directory for root, else this user's."""
    from enarx.tenant.paths import SOCKET, runtime_dirs

    *own, system = [os.path.join(directory, SOCKET) for directory in runtime_dirs()]
    return choose(system, own[0] if own else "")
