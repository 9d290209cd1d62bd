"""The daemon's listening sockets: a Unix socket that only those reach who may, and TCP, with TLS where it is wanted."""

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
"""Nothing waits for more to send; a client that has gone without saying so is given up (seconds; milliseconds)."""


def default_socket(system: str, user: str) -> str:
    """Where clients look: `system` for root, else `user`, which is empty for none. UsageError."""
    if os.geteuid() == 0:
        return system
    if not user:
        raise UsageError("runtime-directory", "XDG_RUNTIME_DIR is not set", hint="--socket PATH")
    return user


@contextlib.contextmanager
def unix_door(path: str, group: str) -> Iterator[UnixDoor]:
    """Listen at `path`, for this user or also for the members of `group`; nothing is left there in the end. UsageError."""
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
            with contextlib.suppress(OSError):  # it has been removed, or its directory has
                if _identity(path) == ours:
                    os.unlink(path)


def _gid(group: str) -> int:
    """The number of a group; -1 for none. UsageError."""
    try:
        return grp.getgrnam(group).gr_gid if group else -1
    except KeyError:
        raise UsageError("socket-group", f"no group is called {group}", hint="see: getent group") from None


def _bind(listener: socket.socket, path: str, gid: int) -> tuple[int, int]:
    """Put the socket at `path`, in the place of one that nobody listens to any more; what file it is. OSError, UsageError."""
    fd = os.open(_directory(os.path.dirname(path), gid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # one daemon looks and binds at a time
        _require_safe(path, os.fstat(fd))
        _clear(path)
        listener.bind(path)  # with the mode that the daemon's umask leaves: nobody else's
        if gid >= 0:
            os.chown(path, -1, gid)
        os.chmod(path, 0o660 if gid >= 0 else 0o600)
        return _identity(path)
    finally:
        os.close(fd)


def _directory(path: str, gid: int) -> str:
    """Make it where it is missing: for this user, and for the group to pass through."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return path
    if gid >= 0:
        os.chown(path, -1, gid)
        os.chmod(path, 0o710)  # noqa: S103  # its members pass through, and list nothing
    return path


def _require_safe(path: str, directory: os.stat_result) -> None:
    """Nobody else may put another socket in this one's place."""
    if directory.st_uid not in (0, os.geteuid()):
        raise UsageError("socket-directory", f"{path}: its directory is another user's", hint="--socket PATH")
    shared = directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if shared and not directory.st_mode & stat.S_ISVTX:
        raise UsageError("socket-directory", f"{path}: others can write to its directory", hint="--socket PATH")


def _clear(path: str) -> None:
    """Remove a socket of ours that nobody listens to. UsageError if it is anything else."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise UsageError("socket-taken", f"{path}: this is not a socket of this user", hint="--socket PATH")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # as many wait there as can
    raise UsageError("socket-taken", f"{path}: another daemon listens there", hint="--socket PATH")


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def tcp_door(address: str, port: int, tokens: tuple[bytes, ...], context: ssl.SSLContext | None) -> Iterator[TcpDoor]:
    """Listen on TCP. UsageError."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as e:
        raise UsageError("listen", f"{address}:{port}: {e.strerror}", hint="another --port?") from e
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in OPTIONS:  # connections get all this from the listener
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        name, number = listener.getsockname()[:2]
        shown = f"[{name}]:{number}" if ":" in name else f"{name}:{number}"
        yield TcpDoor(listener, f"{'http' if context is None else 'https'}://{shown}", tokens, context)


def tls_context(certificate: str, key: str, client_ca: str) -> ssl.SSLContext | None:
    """What the files say; None without a certificate. UsageError."""
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
