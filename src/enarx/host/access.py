"""Who may ask the daemon anything at all."""

from __future__ import annotations

import hmac
import os
import stat

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from enarx.errors import UsageError
from enarx.host.errors import HostError

OPEN_PATHS = ("/healthz",)
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
MIN_TOKEN = 16
MAX_TOKEN = 4096


class Access:
    """In front of the application: a bearer token, or else (`local`) only names of this machine, and no web pages.

    A browser on this machine would do the bidding of any page it shows: it is told from a client by the headers `Origin`
    and `Sec-Fetch-Site`, which it always sends with what could change anything, and by the name of the host (rebinding).
    """

    def __init__(self, app: ASGIApp, *, token: str, local: bool) -> None:
        self._app = app
        self._token = token.encode()
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        refusal = self._refusal(scope) if scope["type"] == "http" and scope["path"] not in OPEN_PATHS else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await JSONResponse(refusal.value(), refusal.status, refusal.headers)(scope, receive, send)

    def _refusal(self, scope: Scope) -> HostError | None:
        headers = dict(scope["headers"])
        if self._token and not hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._token):
            return HostError("unauthorized", "wanted the bearer token of this host", hint="--token-file FILE")
        if self._local and not _is_local(headers.get(b"host", b"").decode("latin-1")):
            return HostError("forbidden", "asked by a name that is not this machine's", hint="http://127.0.0.1:PORT")
        if self._local and (b"origin" in headers or headers.get(b"sec-fetch-site", b"none") != b"none"):
            return HostError("forbidden", "asked by a web page", hint="--token-file FILE, if that is meant to be")
        return None


def _is_local(host: str) -> bool:
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in LOCAL_NAMES


def read_token(path: str) -> str:
    """The token in a file that nobody else may read; empty without one. UsageError."""
    if not path:
        return ""
    try:
        with open(path, encoding="ascii") as file:
            mode, token = os.fstat(file.fileno()).st_mode, file.read(MAX_TOKEN).strip()
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError("token-file", f"{path}: can not be read as a token") from e
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError("token-mode", f"{path}: others can read this token", hint=f"chmod 600 {path}")
    if len(token) < MIN_TOKEN:
        raise UsageError("token-short", f"{path}: a token of {len(token)} characters, wanted at least {MIN_TOKEN}")
    return token
