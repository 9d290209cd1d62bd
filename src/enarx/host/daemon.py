"""The host daemon: its options, its start and its end. `http/api.py` has what it serves, `keeps/service.py` its Keeps."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import os
import resource
import signal
import socket as sockets  # Options has a field `socket`
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvloop

from enarx.errors import UsageError
from enarx.host import backends, cgroups, events
from enarx.host.backends.backend import Site
from enarx.host.http.access import read_tokens
from enarx.host.http.api import Api
from enarx.host.http.doors import Door
from enarx.host.http.entrance import Entrance
from enarx.host.http.limits import USUAL, Limits, fitted
from enarx.host.http.listening import passed_tcp_door, passed_unix_door, tcp_door, tls_context, unix_door
from enarx.host.keeps.bounds import Bounds
from enarx.host.keeps.service import Keeps
from enarx.host.launcher.client import Launcher
from enarx.host.state.store import Store, open_state

if TYPE_CHECKING:
    from enarx.host.backends.backend import Backend

GRACE = 2.0
"""Seconds for requests in progress to end once the daemon is asked to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to serve.

    state, backends_state, cache
                 directories of the daemon, of the backends, and of files that may be deleted at any time
    paths        where the installed code is
    socket       the path of a Unix socket; empty for none
    socket_group a group whose members may use the socket too
    address      a TCP address; empty for none
    passed       listening sockets that a service manager opened (`http/activation.py`)
    skip_layers  layers of the sandbox that no Keep will have
    """

    state: str
    backends_state: str
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
    passed: tuple[sockets.socket, ...] = ()


def serve(options: Options) -> None:
    """Run until SIGTERM or SIGINT; Keeps go on without the daemon. UsageError if it cannot serve safely."""
    _check(options)
    os.umask(0o077)
    _raise_descriptor_limit()
    with _locked(options.state), contextlib.ExitStack() as stack:
        doors = [stack.enter_context(door) for door in _doors(options)]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(options, doors))


def _check(options: Options) -> None:
    """UsageError if these options would admit clients without a credential, or no client at all, or fill no pool."""
    if options.bounds.pool_kind:
        backends.find(options.bounds.pool_kind).require()
    if options.client_ca and not options.tls_certificate:
        raise UsageError("client-ca", "client certificates need TLS", hint="--tls-cert and --tls-key")
    unused = _unused(options)
    if unused:
        raise UsageError("option-unused", unused, hint="leave it out, or see: enarx host serve --help")
    if not options.socket and not options.address and not options.passed:
        raise UsageError("no-socket", "nowhere to listen", hint="--socket PATH, or --port with --token-file")
    if _tcp(options) and not options.token_files and not options.client_ca:
        raise UsageError(
            "no-authentication",
            f"{options.address or 'the passed socket'}: every user and program that reaches this port would be let in",
            hint="--token-file FILE, or --tls-cert, --tls-key and --client-ca; or --socket PATH instead",
        )


def _unused(options: Options) -> str:
    """What is given in vain, and would leave a door less guarded than its operator believes; empty if nothing is."""
    if options.tls_key and not options.tls_certificate:
        return "--tls-key without --tls-cert: there would be no TLS"
    if not _tcp(options) and (options.token_files or options.tls_certificate):
        return "a token or a TLS certificate without a TCP socket: only a Unix socket is served, which uses neither"
    if options.socket_group and not options.socket and all(each.family != sockets.AF_UNIX for each in options.passed):
        return "--socket-group without a Unix socket: only TCP is served"
    if options.bounds.pool_kind and not options.bounds.pool:
        return "--pool-kind without --pool: no Keep is kept ready"
    return ""


def _tcp(options: Options) -> bool:
    """Whether any of the sockets is reachable over TCP."""
    return bool(options.address) or any(each.family != sockets.AF_UNIX for each in options.passed)


def _doors(options: Options) -> Iterator[contextlib.AbstractContextManager[Door]]:
    if options.socket:
        yield unix_door(options.socket, options.socket_group)
    for listener in options.passed:
        if listener.family == sockets.AF_UNIX:
            yield passed_unix_door(listener, options.socket_group)
    if not _tcp(options):
        return
    tokens = read_tokens(options.token_files)
    context = tls_context(options.tls_certificate, options.tls_key, options.client_ca)
    if options.address:
        yield tcp_door(options.address, options.port, tokens, context)
    for listener in options.passed:
        if listener.family != sockets.AF_UNIX:
            yield passed_tcp_door(listener, tokens, context)


async def _run(options: Options, doors: list[Door]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_fault)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    launcher = Launcher(options.paths, state=options.backends_state, cache=options.cache)
    keeps = Keeps(Store(options.state), launcher, options.bounds, options.skip_layers)
    launcher.start()
    keeps.start()
    api = Api(keeps, fitted(options.limits))
    entrance = Entrance(api.application(), api.limits, api.refused)
    gc.collect()
    gc.freeze()  # a full collection of everything loaded would cost a request 40 ms now and then
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
        cgroups.find(cgroups.scope(options.backends_state)).clear()  # nobody launches now: an empty cgroup is left over
        events.log("ended")


def _log_fault(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an exception that no task awaits."""
    events.log_bug("loop", context.get("exception") or RuntimeError(context["message"]))


def _announce(options: Options, door: Door) -> None:
    """Log where the daemon listens, and warn if its tokens travel in clear."""
    site = Site(paths=options.paths, state=options.backends_state, cache=options.cache)
    anchors = [backend.trust_anchor(site) for backend in _unprotected()]
    events.log("listening", url=door.url, state=options.state, simulated_root="".join(anchors[:1]))
    if door.tokens and door.context is None and not door.local:
        text = "UNPROTECTED: tokens are sent in clear over the network: --tls-cert and --tls-key"
        events.log("unprotected", level="warning", message=text)


def _warn(options: Options) -> None:
    for backend in _unprotected():
        events.log("unprotected", level="warning", message=backend.warning)
    if options.skip_layers:
        names = ", ".join(options.skip_layers)
        text = f"UNPROTECTED: no Keep of this host will have these layers between it and the host: {names}"
        events.log("unprotected", level="warning", skipped=list(options.skip_layers), message=text)


def _unprotected() -> list[Backend]:
    """The backends that can be launched here and whose Keeps no hardware protects from this host."""
    known = map(backends.find, backends.kinds())
    return [backend for backend in known if backend.warning and backend.probe()["available"]]


@contextlib.contextmanager
def _locked(state: str) -> Iterator[None]:
    """Hold the state directory's lock: one daemon serves it at a time."""
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


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as this user may have: each Keep needs one, and each request several."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
