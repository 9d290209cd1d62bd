"""Opens the daemon's listening sockets: a Unix socket with restricted access, and TCP, with TLS if configured."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import socket
import ssl
import stat
from collections.abc import Iterator

from enarx.errors import UsageError
from enarx.host.http.doors import TcpDoor, UnixDoor

BACKLOG = 1024
LONGEST = 107
"""Bytes of a Unix socket's path."""

OPTIONS = (
    (socket.TCP_NODELAY, 1),
    (socket.TCP_KEEPIDLE, 30),
    (socket.TCP_KEEPINTVL, 10),
    (socket.TCP_KEEPCNT, 3),
    (socket.TCP_USER_TIMEOUT, 60_000),
)
"""Data is sent at once, and a client that vanished without a word is given up (seconds; milliseconds)."""


def default_socket(system: str, user: str) -> str:
    """The path where clients look: `system` for root, else `user`. UsageError if `user` is empty."""
    if os.geteuid() == 0:
        return system
    if not user:
        raise UsageError("runtime-directory", "XDG_RUNTIME_DIR is not set", hint="--socket PATH")
    return user


@contextlib.contextmanager
def unix_door(path: str, group: str) -> Iterator[UnixDoor]:
    """Listen at `path` for this user and, if `group` is not empty, its members. Removes the socket at the end. UsageError."""
    path = os.path.abspath(path)
    if len(os.fsencode(path)) > LONGEST:
        raise UsageError("socket-path", f"{path}: wanted at most {LONGEST} bytes", hint="--socket PATH")
    gid = _gid(group)
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            ours = _bind(listener, path, gid)
            listener.listen(BACKLOG)
        except OSError as e:
            raise UsageError("socket", f"{path}: {e.strerror}", hint="--socket PATH") from e
        try:
            yield UnixDoor(listener, f"unix://{path}", gid)
        finally:
            with contextlib.suppress(OSError):  # the socket or its directory was removed
                if _identity(path) == ours:
                    os.unlink(path)


def _gid(group: str) -> int:
    """The number of the group; -1 if it is empty. UsageError."""
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise UsageError("socket-group", f"no group is called {group}", hint="see: getent group") from None


def _bind(listener: socket.socket, path: str, gid: int) -> tuple[int, int]:
    """Bind to `path`, replacing a socket that nobody listens on; the new file's identity. OSError, UsageError."""
    fd = os.open(_directory(os.path.dirname(path), gid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # one daemon at a time checks and binds
        _require_safe(path, os.fstat(fd))
        _clear(path)
        listener.bind(path)  # the daemon's umask leaves others no access
        if gid >= 0:
            os.chown(path, -1, gid)
        os.chmod(path, 0o660 if gid >= 0 else 0o600)
        return _identity(path)
    finally:
        os.close(fd)


def _directory(path: str, gid: int) -> str:
    """Make the directory if it is missing: for this user, and for the group to traverse."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return path
    if gid >= 0:
        os.chown(path, -1, gid)
        os.chmod(path, 0o710)  # noqa: S103  # its members may traverse it, not list it
    return path


def _require_safe(path: str, directory: os.stat_result) -> None:
    """UsageError if other users could replace the socket."""
    if directory.st_uid not in (0, os.geteuid()):
        raise UsageError("socket-directory", f"{path}: its directory belongs to another user", hint="--socket PATH")
    shared = directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if shared and not directory.st_mode & stat.S_ISVTX:
        raise UsageError("socket-directory", f"{path}: others can write to its directory", hint="--socket PATH")


def _clear(path: str) -> None:
    """Remove this user's socket if nobody listens on it. UsageError if it is anything else."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
        raise UsageError("socket-taken", f"{path}: not a socket of this user", hint="--socket PATH")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its queue is full, so somebody listens
    raise UsageError("socket-taken", f"{path}: another daemon listens there", hint="--socket PATH")


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def tcp_door(address: str, port: int, tokens: tuple[bytes, ...], context: ssl.SSLContext | None) -> Iterator[TcpDoor]:
    """Listen on TCP; clients must bring one of `tokens` or what the TLS `context` requires. UsageError."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as e:
        raise UsageError("listen", f"{address}:{port}: {_reason(e)}", hint="another --address or --port") from e
    with passed_tcp_door(listener, tokens, context) as door:
        yield door


@contextlib.contextmanager
def passed_unix_door(listener: socket.socket, group: str) -> Iterator[UnixDoor]:
    """Serve a listening Unix socket that was passed: for this user, and for the members of `group`. UsageError.

    Its file stays: it belongs to the service manager.
    """
    path = listener.getsockname()
    if not isinstance(path, str) or not os.path.isabs(path):
        raise UsageError("socket-path", f"{path!r}: wanted a socket with an absolute path", hint="ListenStream=/PATH")
    try:
        _require_safe(path, os.stat(os.path.dirname(path)))
    except OSError as e:
        raise UsageError("socket", f"{path}: {e.strerror}", hint="ListenStream=/PATH") from e
    with listener:
        yield UnixDoor(listener, f"unix://{path}", _gid(group))


@contextlib.contextmanager
def passed_tcp_door(
    listener: socket.socket, tokens: tuple[bytes, ...], context: ssl.SSLContext | None
) -> Iterator[TcpDoor]:
    """Serve a listening TCP socket; clients must bring one of `tokens` or what the TLS `context` requires."""
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in OPTIONS:  # accepted connections inherit these
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        name, number = listener.getsockname()[:2]
        shown = f"[{name}]:{number}" if ":" in name else f"{name}:{number}"
        yield TcpDoor(listener, f"{'http' if context is None else 'https'}://{shown}", tokens, context)


def _reason(e: OSError) -> str:
    """The reason of a failure, without what Python adds to it. A name that cannot be resolved has a reason of its own."""
    return str(e.strerror) if isinstance(e, socket.gaierror) or e.errno is None else os.strerror(e.errno)


def tls_context(certificate: str, key: str, client_ca: str) -> ssl.SSLContext | None:
    """The TLS context from PEM files; None without a certificate. With `client_ca`, clients need a certificate. UsageError."""
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key or None)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as e:  # ssl.SSLError is one
        raise UsageError("tls", f"{certificate}: {e.strerror or e}", hint="PEM, key and certificates") from e
    return context
