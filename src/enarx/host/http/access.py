"""Authentication and admission: which tenant a request belongs to, and how many long requests run at once."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from enarx.errors import UsageError
from enarx.host.errors import HostError
from enarx.host.http import schemas
from enarx.host.http.doors import NAME
from enarx.host.http.limits import INVITED, Limits, Places

OPEN_PATHS = ("/healthz",)
"""Paths that need no credential."""

INVITED_PATHS = re.compile(r"(?:POST /v1/keeps/([^/]*)/input|GET /v1/keeps/([^/]*)/output)")
"""All that an invitation permits."""

SECRET = re.compile(r"[0-9a-f]{64}")
"""The secret of an invitation."""

LONG_PATHS = re.compile(r"/v1/keeps/[^/]*/(?:input|output|wait)")
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
MIN_TOKEN = 16
MAX_TOKEN = 3000


def error_response(e: HostError) -> Response:
    """The answer that reports an error."""
    return Response(schemas.encode(schemas.error(e)), e.status, e.headers, "application/json")


class Access:
    """ASGI middleware that determines the tenant: by the connection's peer, else by a bearer token, else by an invitation.

    An invitation stands for the tenant of one Keep, for the INVITED_PATHS of that Keep alone. It is looked up before the
    request gets a place, so that secrets that somebody makes up cost this host nothing that lasts.

    A browser on this machine sends requests for any page that it shows. Such requests are refused by the headers `Origin`
    and `Sec-Fetch-Site`, which browsers always send with requests that could change anything, and by the Host header,
    which defeats DNS rebinding.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        refused: Callable[[HostError], None],
        invited: Callable[[str, str], Awaitable[str]],
    ) -> None:
        self._app, self._refused, self._invited = app, refused, invited
        self._places = Places(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit one request, or answer with the reason why not."""
        try:
            if scope["path"] not in OPEN_PATHS:
                scope["state"].update(await self._admit(scope))
            await self._pass_on(scope, receive, send)
        except HostError as e:
            self._refused(e)
            await error_response(e)(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _may_last(scope):
            await self._app(scope, receive, send)
            return
        accounts = _accounts(scope)
        self._places.take(*accounts)
        try:
            await self._app(scope, receive, send)
        finally:
            self._places.leave(*accounts)

    async def _admit(self, scope: Scope) -> dict[str, Any]:
        """The tenant that the request belongs to, and whether an invitation proves it.

        HostError `unauthorized`, `forbidden`, `not-found`.
        """
        door, headers = scope["state"]["door"], dict(scope["headers"])
        secret = _invitation(headers)
        tenant = _bearer(headers, door.tokens) if door.tokens else scope["state"]["tenant"]
        if not tenant and secret is None:
            raise HostError("unauthorized", "wanted a bearer token of this host", hint="--token-file FILE")
        if door.local and not _is_loopback(headers.get(b"host", b"").decode("latin-1")):
            raise HostError("forbidden", "the Host header is not a loopback name", hint="http://127.0.0.1:PORT")
        if b"origin" in headers or headers.get(b"sec-fetch-site", b"none") != b"none":
            raise HostError("forbidden", "the request comes from a web page", hint="web pages may not ask a host")
        if secret is None:
            return {"tenant": str(tenant), "invited": False}
        allowed = INVITED_PATHS.fullmatch(f"{scope['method']} {scope['path']}")
        if allowed is None:
            raise HostError("forbidden", "an invitation permits input to its Keep and reading its output, nothing else")
        return {"tenant": await self._invited(allowed[1] or allowed[2], secret), "invited": True}


def _accounts(scope: Scope) -> tuple[str, ...]:
    """What a long request is counted under: its tenant; or all who are invited by that tenant, and all to that one Keep."""
    tenant = scope["state"]["tenant"]
    return (f"invited:{tenant}", f"{INVITED}{scope['path'].split('/')[3]}") if scope["state"]["invited"] else (tenant,)


def _invitation(headers: dict[bytes, bytes]) -> str | None:
    """The secret of the invitation in the request; None without one, and empty if it cannot be one."""
    scheme, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() != "invitation":
        return None
    return secret if SECRET.fullmatch(secret) else ""


def _bearer(headers: dict[bytes, bytes], tokens: tuple[bytes, ...]) -> str:
    """The tenant of the bearer token; empty if the token is unknown. The time taken does not depend on which matches."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    digest = hashlib.sha256(token).digest()
    known = sum([hmac.compare_digest(digest, other) for other in tokens])
    return f"token:{digest.hex()[:NAME]}" if known and scheme.lower() == b"bearer" else ""


def _may_last(scope: dict[str, Any] | Scope) -> bool:
    """Is it a launch, input, output or a wait? Every other request is answered as soon as possible."""
    launch = scope["method"] == "POST" and scope["path"] == "/v1/keeps"
    return launch or LONG_PATHS.fullmatch(scope["path"]) is not None


def _is_loopback(host: str) -> bool:
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in LOOPBACK_NAMES


def read_tokens(paths: tuple[str, ...]) -> tuple[bytes, ...]:
    """The SHA-256 of the token in each file. UsageError."""
    return tuple(hashlib.sha256(read_token(path).encode()).digest() for path in paths)


def read_token(path: str) -> str:
    """The token in a file that only its owner may read; empty if `path` is empty. UsageError."""
    if not path:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            mode, token = os.fstat(file.fileno()).st_mode, file.read(MAX_TOKEN + 1).strip()
    except OSError as e:
        raise UsageError("token-file", f"{path}: {e.strerror}", hint="wanted a file with one token in one line") from e
    except UnicodeDecodeError as e:
        hint = "save it as ASCII, without a byte order mark"
        raise UsageError("token-file", f"{path}: has bytes that are not ASCII", hint=hint) from e
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError("token-mode", f"{path}: others can read this token", hint=f"chmod 600 {path}")
    if not MIN_TOKEN <= len(token) <= MAX_TOKEN:
        text = f"{path}: a token of {len(token)} characters, wanted {MIN_TOKEN} to {MAX_TOKEN}"
        raise UsageError("token-short" if len(token) < MIN_TOKEN else "token-long", text)
    if any(c.isspace() for c in token):
        raise UsageError("token-file", f"{path}: wanted one token in one line")
    return token
