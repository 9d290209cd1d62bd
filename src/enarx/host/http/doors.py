"""Where clients come in: the Unix socket, whose clients the kernel knows, and TCP, whose clients bring a credential."""

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
"""All that Python asks the kernel for; a member of more is not let in by a group."""

NAME = 16
"""Hexadecimal digits that a tenant of a token or a certificate is told by."""


class Door:
    """A listening socket. With `tokens` (SHA-256 of each) a client has to bring one; `local` has it call this machine by name."""

    def __init__(self, listener: socket.socket, url: str) -> None:
        listener.setblocking(False)
        self.socket, self.url = listener, url
        self.context: ssl.SSLContext | None = None
        self.tokens: tuple[bytes, ...] = ()
        self.local = False

    def peer(self, accepted: socket.socket) -> tuple[str, str]:
        """Whom a connection counts with, and its tenant if that is known now. HostError forbidden."""
        raise HostError("forbidden", "nobody comes in here")

    def tenant(self, transport: asyncio.Transport) -> str:
        """The tenant that a connection shows once it stands; empty for none."""
        return ""


class UnixDoor(Door):
    """A Unix socket, for this user, root, and the members of `group` (-1: none)."""

    def __init__(self, listener: socket.socket, url: str, group: int) -> None:
        super().__init__(listener, url)
        self._group = group

    def peer(self, accepted: socket.socket) -> tuple[str, str]:
        """By the kernel's word of who has connected."""
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
    """TCP, for those who bring one of `tokens` or, with TLS that wants them, a client's certificate."""

    def __init__(
        self, listener: socket.socket, url: str, tokens: tuple[bytes, ...], context: ssl.SSLContext | None
    ) -> None:
        super().__init__(listener, url)
        self.tokens, self.context = tokens, context
        self.local = ipaddress.ip_address(listener.getsockname()[0]).is_loopback

    def peer(self, accepted: socket.socket) -> tuple[str, str]:
        """By address; of IPv6 the network, which is what a client has the whole of."""
        address = ipaddress.ip_address(accepted.getpeername()[0].partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or ipaddress.IPv6Network((int(address), 64), strict=False).network_address
        return f"address:{address}", ""

    def tenant(self, transport: asyncio.Transport) -> str:
        """By the public key of its certificate, which TLS has verified."""
        found = transport.get_extra_info("ssl_object")
        certificate = found.getpeercert(binary_form=True) if found is not None else None
        if not certificate or self.tokens:
            return ""
        return f"cert:{hashlib.sha256(public_key(certificate)).hexdigest()[:NAME]}"
