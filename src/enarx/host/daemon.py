"""The host daemon: its options, its life. What it serves is in `api`, its Keeps in `keeps`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import signal
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import uvicorn

from enarx.errors import UsageError
from enarx.host import events
from enarx.host.api import Api
from enarx.host.backends.process import LOUD
from enarx.host.keeps import Bounds, Keeps
from enarx.host.launching import Launcher

GRACE = 5
MIN_TOKEN = 16


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
    token = _token(options.token_file)
    local = _is_loopback(options.address)
    if not local and not token and not options.client_ca:
        raise UsageError(
            "no-authentication",
            f"{options.address} can be reached by others, who would all be let in",
            hint="--token-file FILE, or --tls-cert, --tls-key and --client-ca",
        )
    if options.client_ca and not options.tls_certificate:
        raise UsageError("client-ca", "clients' certificates need TLS", hint="--tls-cert and --tls-key")
    lock = _lock(options.state)
    try:
        _run(options, token, local)
    finally:
        os.close(lock)


def _run(options: Options, token: str, local: bool) -> None:
    listener = _listen(options)
    launcher = Launcher(options.paths, hardware=options.hardware, cache=options.cache)
    keeps = Keeps(options.state, launcher, options.bounds, options.skip_layers)

    @contextlib.asynccontextmanager
    async def life(_: object) -> AsyncIterator[None]:
        launcher.start()
        await keeps.start()
        pool = asyncio.create_task(keeps.fill_pool())
        yield
        pool.cancel()
        await keeps.drop_pool()
        launcher.close()
        events.log("ended")

    application = Api(keeps).application(token=token, local=local and not token, lifespan=life)
    scheme = "https" if options.tls_certificate else "http"
    _announce(options, f"{scheme}://{_shown(listener)}")
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE,
        ssl_certfile=options.tls_certificate or None,
        ssl_keyfile=options.tls_key or None,
        ssl_ca_certs=options.client_ca or None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if options.client_ca else ssl.CERT_NONE,
        server_header=False,
        h11_max_incomplete_event_size=64 << 10,
    )
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends in order on a signal, and with 0: uvicorn would let itself be killed by it in the end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn.Server, without raising what it caught."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


def _announce(options: Options, url: str) -> None:
    """Where it is, for people and programs; and what it does not do, loudly."""
    events.log("listening", url=url, state=options.state, simulated_root=f"{options.hardware}/root.pub")
    events.log("unprotected", level="warning", message=LOUD)
    if options.skip_layers:
        events.log("layers-skipped", level="warning", layers=list(options.skip_layers))


def _listen(options: Options) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in options.address else socket.AF_INET
        return socket.create_server((options.address, options.port), family=family, backlog=256)
    except OSError as e:
        raise UsageError("listen", f"{options.address}:{options.port}: {e.strerror}", hint="another --port?") from e


def _shown(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _token(path: str) -> str:
    if not path:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            mode, token = os.fstat(file.fileno()).st_mode, file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError("token-file", f"{path}: can not be read as a token") from e
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError("token-mode", f"{path}: others can read this token", hint=f"chmod 600 {path}")
    if len(token) < MIN_TOKEN:
        raise UsageError("token-short", f"{path}: a token of {len(token)} characters, wanted at least {MIN_TOKEN}")
    return token


def _lock(state: str) -> int:
    """One daemon for one state directory."""
    try:
        os.makedirs(state, mode=0o700, exist_ok=True)
        fd = os.open(os.path.join(state, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError("state-locked", f"{state}: another daemon serves this directory", hint="--state DIR") from None
    except OSError as e:
        raise UsageError("state", f"{state}: {e.strerror}") from e
    return fd
