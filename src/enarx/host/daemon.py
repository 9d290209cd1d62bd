"""The host daemon: its options, its life. What it serves is in `api`, its Keeps in `keeps`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import uvloop

from enarx.errors import UsageError
from enarx.host import events
from enarx.host.backends.process.backend import LOUD
from enarx.host.http.access import read_tokens
from enarx.host.http.api import Api
from enarx.host.http.doors import Door
from enarx.host.http.entrance import Entrance
from enarx.host.http.limits import USUAL, Limits, fitted
from enarx.host.http.listening import tcp_door, tls_context, unix_door
from enarx.host.keeps.bounds import Bounds
from enarx.host.keeps.service import Keeps
from enarx.host.launcher.client import Launcher
from enarx.host.state.store import Store, open_state

GRACE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to serve. `paths` is where this installation's code is, `hardware` the simulated hardware's state.

    `socket` is the path of a Unix socket, `address` one of TCP; either may be empty. `socket_group` may use the socket too.
    """

    state: str
    hardware: str
    cache: str
    paths: str
    socket: str
    socket_group: str
    address: str
    port: int
    token_files: tuple[str, ...]
    tls_certificate: str
    tls_key: str
    client_ca: str
    bounds: Bounds
    skip_layers: tuple[str, ...]
    limits: Limits = USUAL


def serve(options: Options) -> None:
    """Run until SIGTERM or SIGINT; Keeps go on without it. UsageError if it cannot be done safely."""
    _check(options)
    os.umask(0o077)
    _want_descriptors()
    with _locked(options.state), contextlib.ExitStack() as stack:
        doors = [stack.enter_context(door) for door in _doors(options)]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(options, doors))


def _check(options: Options) -> None:
    """UsageError where somebody would be let in who may not, or nobody at all."""
    if options.client_ca and not options.tls_certificate:
        raise UsageError("client-ca", "clients' certificates need TLS", hint="--tls-cert and --tls-key")
    if not options.socket and not options.address:
        raise UsageError("no-socket", "nowhere to listen", hint="--socket PATH, or --port with --token-file")
    if options.address and not options.token_files and not options.client_ca:
        raise UsageError(
            "no-authentication",
            f"{options.address}: every user and program that reaches this port would be let in",
            hint="--token-file FILE, or --tls-cert, --tls-key and --client-ca; or --socket PATH in its place",
        )


def _doors(options: Options) -> Iterator[contextlib.AbstractContextManager[Door]]:
    if options.socket:
        yield unix_door(options.socket, options.socket_group)
    if options.address:
        tokens = read_tokens(options.token_files)
        context = tls_context(options.tls_certificate, options.tls_key, options.client_ca)
        yield tcp_door(options.address, options.port, tokens, context)


async def _run(options: Options, doors: list[Door]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_fault)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    launcher = Launcher(options.paths, hardware=options.hardware, cache=options.cache)
    keeps = Keeps(Store(options.state), launcher, options.bounds, options.skip_layers)
    launcher.start()
    keeps.start()
    api = Api(keeps, fitted(options.limits))
    entrance = Entrance(api.application(), api.limits, api.refused)
    gc.collect()
    gc.freeze()  # else going through all that is loaded costs a request 40 ms now and then
    try:
        for door in doors:
            entrance.open(door)
            _announce(options, door)
        _warn(options)
        await ended.wait()
        await entrance.close(GRACE)
    finally:
        await keeps.close()
        launcher.close()
        events.log("ended")


def _log_fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody has awaited, as an event."""
    events.log_bug("loop", context.get("exception") or RuntimeError(context["message"]))


def _announce(options: Options, door: Door) -> None:
    """Where it is, for people and programs; and what does not protect it, loudly."""
    events.log("listening", url=door.url, state=options.state, simulated_root=f"{options.hardware}/root.pub")
    if door.tokens and door.context is None and not door.local:
        text = "UNPROTECTED: tokens are sent in clear over the network: --tls-cert and --tls-key"
        events.log("unprotected", level="warning", message=text)


def _warn(options: Options) -> None:
    events.log("unprotected", level="warning", message=LOUD)
    if options.skip_layers:
        names = ", ".join(options.skip_layers)
        text = f"UNPROTECTED: no Keep of this host will have these layers between it and the host: {names}"
        events.log("unprotected", level="warning", skipped=list(options.skip_layers), message=text)


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
