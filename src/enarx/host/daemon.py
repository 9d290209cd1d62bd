"""The host daemon: its options, its life. What it serves is in `api`, its Keeps in `keeps`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import ipaddress
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn
from starlette.types import Receive, Scope, Send

from enarx.errors import UsageError
from enarx.host import events
from enarx.host.access import read_token
from enarx.host.api import Api
from enarx.host.backends.process import LOUD
from enarx.host.bounds import Bounds
from enarx.host.keeps import Keeps
from enarx.host.launching import Launcher
from enarx.host.store import Store, open_state

GRACE = 2
BACKLOG = 256
OPTIONS = (
    (socket.TCP_NODELAY, 1),
    (socket.TCP_KEEPIDLE, 30),
    (socket.TCP_KEEPINTVL, 10),
    (socket.TCP_KEEPCNT, 3),
    (socket.TCP_USER_TIMEOUT, 60_000),
)
"""Nothing waits for more to send; a client that has gone without saying so is given up (seconds; milliseconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to serve. `paths` is where this installation's code is, `hardware` the simulated hardware's state."""

    state: str
    hardware: str
    cache: str
    paths: str
    address: str
    port: int
    token_file: str
    tls_certificate: str
    tls_key: str
    client_ca: str
    bounds: Bounds
    skip_layers: tuple[str, ...]


def serve(options: Options) -> None:
    """Run until SIGTERM or SIGINT; Keeps go on without it. UsageError if it can not be done safely."""
    token = read_token(options.token_file)
    local = _is_loopback(options.address)
    if not local and not token and not options.client_ca:
        raise UsageError(
            "no-authentication",
            f"{options.address} can be reached by others, who would all be let in",
            hint="--token-file FILE, or --tls-cert, --tls-key and --client-ca",
        )
    if options.client_ca and not options.tls_certificate:
        raise UsageError("client-ca", "clients' certificates need TLS", hint="--tls-cert and --tls-key")
    os.umask(0o077)
    _want_descriptors()
    logging.getLogger("uvicorn.error").addHandler(_Forwarding(logging.WARNING))
    with _locked(options.state), _listening(options) as listener:
        config = _config(options)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_run(options, config, listener, token=token, local=local))


def _config(options: Options) -> uvicorn.Config:
    config = uvicorn.Config(
        _nothing_yet,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=options.tls_certificate or None,
        ssl_keyfile=options.tls_key or None,
        ssl_ca_certs=options.client_ca or None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if options.client_ca else ssl.CERT_NONE,
        server_header=False,
        h11_max_incomplete_event_size=64 << 10,
    )
    try:
        config.load()
    except OSError as e:  # ssl.SSLError is one
        raise UsageError("tls", f"{options.tls_certificate}: {e.strerror or e}", hint="PEM, key and certificate") from e
    return config


async def _nothing_yet(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Stands for the application, which is only made once there is a loop."""


async def _run(options: Options, config: uvicorn.Config, listener: socket.socket, *, token: str, local: bool) -> None:
    server = _Server(config)
    launcher = Launcher(options.paths, hardware=options.hardware, cache=options.cache)
    keeps = Keeps(Store(options.state), launcher, options.bounds, options.skip_layers)
    with server.capture_signals():
        launcher.start()
        keeps.start()
        config.loaded_app = Api(keeps).application(token=token, local=local and not token)
        gc.collect()
        gc.freeze()  # else going through all that is loaded costs a request 40 ms now and then
        _announce(options, listener, token=token, local=local)
        try:
            await server.serve(sockets=[listener])
        finally:
            await keeps.close()
            launcher.close()
            events.log("ended")


class _Server(uvicorn.Server):
    """Ends in order on a signal, and with 0: uvicorn would let itself be killed by it in the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn.Server, without raising what it caught."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


class _Forwarding(logging.Handler):
    """What uvicorn has to say, as events."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line; of an exception only where it was."""
        if record.exc_info and record.exc_info[1] is not None:
            events.log_bug("server", record.exc_info[1])
        else:
            events.log("server", level=record.levelname.lower(), message=record.getMessage())


def _announce(options: Options, listener: socket.socket, *, token: str, local: bool) -> None:
    """Where it is, for people and programs; and what it does not do, loudly."""
    address, port = listener.getsockname()[:2]
    shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    url = f"{'https' if options.tls_certificate else 'http'}://{shown}"
    events.log("listening", url=url, state=options.state, simulated_root=f"{options.hardware}/root.pub")
    events.log("unprotected", level="warning", message=LOUD)
    if token and not local and not options.tls_certificate:
        text = "UNPROTECTED: tokens are sent in clear over the network: --tls-cert and --tls-key"
        events.log("unprotected", level="warning", message=text)
    if options.skip_layers:
        names = ", ".join(options.skip_layers)
        text = f"UNPROTECTED: no Keep of this host will have these layers between it and the host: {names}"
        events.log("unprotected", level="warning", skipped=list(options.skip_layers), message=text)


@contextlib.contextmanager
def _listening(options: Options) -> Iterator[socket.socket]:
    try:
        family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
        listener = socket.create_server((options.address, options.port), family=family, backlog=BACKLOG)
    except OSError as e:
        raise UsageError("listen", f"{options.address}:{options.port}: {e.strerror}", hint="another --port?") from e
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in OPTIONS:  # connections get all this from the listener
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        yield listener


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


@contextlib.contextmanager
def _locked(state: str) -> Iterator[None]:
    """One daemon for one state directory."""
    directory = open_state(state)
    try:
        fd = os.open("lock", os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
    except OSError as e:
        raise UsageError("state", f"{state}: lock: {e.strerror}") from e
    finally:
        os.close(directory)
    try:
        _lock(fd, state)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, state: str) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError("state-locked", f"{state}: another daemon serves this directory", hint="--state DIR") from None
    except OSError as e:
        raise UsageError("state", f"{state}: {e.strerror}") from e


def _want_descriptors() -> None:
    """As many as this user may have: each Keep takes one, and each request some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
