"""Listening sockets: the Unix socket, whose clients the kernel identifies, and TCP, whose clients bring a credential."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import socket
import ssl
import struct

from enarx.host.errors import HostError
from enarx.host.http.certificates import public_key

SO_PEERGROUPS = 59  # Linux; Python has no name for it
CREDENTIALS = struct.Struct("iII")
MAX_GROUPS = 256
"""The kernel is asked for this many groups; a member of more is not admitted by a group."""

NAME = 16
"""Hexadecimal digits that name the tenant of a token or a certificate."""


class Door:
    """A listening socket.

    With `tokens` (the SHA-256 of each), a client must present one of them. If `local`, the Host header of its requests must
    be a loopback name.
    """

    def __init__(self, listener: socket.socket, url: str) -> None:
        listener.setblocking(False)
        self.socket, self.url = listener, url
        self.context: ssl.SSLContext | None = None
        self.tokens: tuple[bytes, ...] = ()
        self.local = False

    def peer(self, accepted: socket.socket) -> tuple[str, str]:
        """The key by which a connection's peer is counted, and its tenant if already known. HostError `forbidden`."""
        raise HostError("forbidden", "nobody may connect here")

    def tenant(self, transport: asyncio.Transport) -> str:
        """The tenant that an established connection proves; empty for none."""
        return ""


class UnixDoor(Door):
    """A Unix socket, for this user, root, and the members of `group` (-1: none)."""

    def __init__(self, listener: socket.socket, url: str, group: int) -> None:
        super().__init__(listener, url)
        self._group = group

    def peer(self, accepted: socket.socket) -> tuple[str, str]:
        """The user who connected, as the kernel reports it."""
        _, uid, gid = CREDENTIALS.unpack(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        if uid not in (0, os.geteuid()) and (self._group < 0 or self._group not in (gid, *_groups(accepted))):
            raise HostError(
                "forbidden", f"user {uid} may not ask this host", hint="enarx host serve --socket-group GROUP"
            )
        return f"uid:{uid}", f"uid:{uid}"


def _groups(accepted: socket.socket) -> tuple[int, ...]:
    """The supplementary groups that a client had when it connected."""
    try:
        data = accepted.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * MAX_GROUPS)
    except OSError:
        return ()
    return struct.unpack(f"{len(data) // 4}I", data)


class TcpDoor(Door):
    """TCP, for clients with one of `tokens` or, if the TLS context requires it, with a client certificate."""

    def __init__(
        self, listener: socket.socket, url: str, tokens: tuple[bytes, ...], context: ssl.SSLContext | None
    ) -> None:
        super().__init__(listener, url)
        self.tokens, self.context = tokens, context
        self.local = ipaddress.ip_address(listener.getsockname()[0]).is_loopback

    def peer(self, accepted: socket.socket) -> tuple[str, str]:
        """The client's address; for IPv6 its /64, because a client usually owns all of one."""
        address = ipaddress.ip_address(accepted.getpeername()[0].partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or ipaddress.IPv6Network((int(address), 64), strict=False).network_address
        return f"address:{address}", ""

    def tenant(self, transport: asyncio.Transport) -> str:
        """The tenant named by the public key of its certificate, which TLS has verified."""
        session = transport.get_extra_info("ssl_object")
        certificate = session.getpeercert(binary_form=True) if session is not None else None
        if not certificate or self.tokens:
            return ""
        return f"cert:{hashlib.sha256(public_key(certificate)).hexdigest()[:NAME]}"
