"""The options of `enarx host serve`. Nothing here imports a zone."""

from __future__ import annotations

from enarx.cli.options import Sub, command, count, port, unsafe


def add_host(commands: Sub) -> None:
    """The command `host` with its action."""
    host = commands.add_parser("host", help="serve Keeps on this machine")
    actions = host.add_subparsers(dest="action", metavar="ACTION", required=True)
    parser = command(
        actions,
        "serve",
        "host:serve",
        "run the host daemon",
        "enarx host serve",
        "enarx host serve --pool 4 --socket-group enarx",
        "enarx host serve --address 192.0.2.1 --port 8443 --tls-cert c.pem --tls-key k.pem --client-ca tenants.pem",
    )
    parser.add_argument("--state", metavar="DIR", default="", help="where its Keeps are kept")
    parser.add_argument("--socket", metavar="PATH", default="", help="Unix socket (default: where clients look for it)")
    parser.add_argument("--socket-group", metavar="GROUP", default="", help="its members may use the socket too")
    parser.add_argument("--address", default="", help="listen on TCP (default: 127.0.0.1 if --port is given)")
    parser.add_argument("--port", type=port, default=None, help="default: 8800; 0 takes a free one and says which")
    parser.add_argument(
        "--token-file", action="append", metavar="FILE", default=[], help="bearer token of a tenant; may be repeated"
    )
    parser.add_argument("--tls-cert", metavar="FILE", default="", help="certificate chain, PEM")
    parser.add_argument("--tls-key", metavar="FILE", default="", help="its key, PEM")
    parser.add_argument("--client-ca", metavar="FILE", default="", help="only clients with a certificate from here")
    parser.add_argument("--pool", type=count, default=0, metavar="N", help="keep N empty Keeps ready")
    parser.add_argument("--max-keeps", type=count, default=100, metavar="N", help="default: 100")
    parser.add_argument(
        "--max-memory",
        default="",
        metavar="SIZE",
        help="all that Keeps may take together (default: 80 %% of this machine's, or of the daemon's cgroup if less)",
    )
    parser.add_argument("--max-disk", default="", metavar="SIZE", help="of all Keeps' files together")
    parser.add_argument("--tenant-keeps", type=count, default=0, metavar="N", help="of each tenant at once")
    parser.add_argument("--tenant-memory", default="", metavar="SIZE", help="of each tenant's Keeps together")
    parser.add_argument("--stored-output", default="", metavar="SIZE", help="of each Keep, kept until it is read")
    parser.add_argument(
        "--max-finished", type=count, default=10_000, metavar="N", help="ended Keeps that are kept (default: 10000)"
    )
    parser.add_argument("--max-stored", default="", metavar="SIZE", help="of the output of all Keeps together")
    unsafe(parser)
