"""The daemon's HTTP interface (docs/spec/host.md, "HTTP"; served as /v1/openapi.json). Starlette over uvicorn."""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from enarx.host.errors import HostError
from enarx.host.keeps import Keeps
from enarx.host.openapi import DOCUMENT

FRAMES = "application/vnd.enarx.frames"
MAX_BODY = 64 << 10
MAX_WAIT = 300.0
MAX_NUMBER = 1 << 62
OPEN_PATHS = ("/healthz",)
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")

Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The handlers, and what they count."""

    def __init__(self, keeps: Keeps) -> None:
        self._keeps = keeps
        self._registry = CollectorRegistry()
        self._launches = Counter("enarx_launches", "Keeps launched or claimed", registry=self._registry)
        self._refusals = Counter("enarx_errors", "Requests refused", ["code"], registry=self._registry)
        self._frames = Counter("enarx_input_frames", "Frames given to Keeps", registry=self._registry)
        self._gauge = Gauge("enarx_keeps", "Keeps by state", ["state"], registry=self._registry)

    def application(self, *, token: str, local: bool, lifespan: Any = None) -> ASGIApp:
        """The ASGI application; with a token each request must bring it, `local` has each come by a local name.

        `lifespan` is Starlette's: what is to be done before and after."""
        routes = [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in self.routes()]
        return Access(Starlette(routes=routes, lifespan=lifespan), token=token, local=local)

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler of everything there is."""
        return [
            ("POST", "/v1/keeps", self.launch),
            ("GET", "/v1/keeps", self.list),
            ("GET", "/v1/keeps/{id}", self.inspect),
            ("DELETE", "/v1/keeps/{id}", self.remove),
            ("POST", "/v1/keeps/{id}/stop", self.stop),
            ("GET", "/v1/keeps/{id}/wait", self.wait),
            ("POST", "/v1/keeps/{id}/input", self.input),
            ("GET", "/v1/keeps/{id}/output", self.output),
            ("POST", "/v1/prune", self.prune),
            ("GET", "/v1/openapi.json", self.openapi),
            ("GET", "/healthz", self.health),
            ("GET", "/metrics", self.metrics),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except HostError as e:
                self._refusals.labels(e.code).inc()
                return JSONResponse(e.value(), e.status)
            except ClientDisconnect:
                return Response(status_code=400)

        return guarded

    async def launch(self, request: Request) -> Response:
        """A Keep."""
        body = await _json(request)
        kind, package = body.get("kind", "process"), body.get("package_digest")
        if not isinstance(kind, str) or not (package is None or _is_digest(package)):
            raise HostError("usage", "wanted kind, a text, and package_digest, 64 hexadecimal digits or null")
        memory, disk = (_number(body.get(name), name) for name in ("memory", "disk"))
        record = await self._keeps.launch(kind=kind, package=package, memory=memory, disk=disk)
        self._launches.inc()
        return JSONResponse({"id": record.id}, 201)

    async def list(self, request: Request) -> Response:
        """All Keeps."""
        return JSONResponse({"keeps": [await self._keeps.info(keep) for keep in self._keeps.ids()]})

    async def inspect(self, request: Request) -> Response:
        """One Keep."""
        return JSONResponse(await self._keeps.info(_id(request)))

    async def remove(self, request: Request) -> Response:
        """Erase one."""
        await self._keeps.remove(_id(request), force=_flag(request, "force", default=False))
        return Response(status_code=204)

    async def stop(self, request: Request) -> Response:
        """Kill one."""
        await self._keeps.stop(_id(request))
        return Response(status_code=204)

    async def wait(self, request: Request) -> Response:
        """Wait for the end of one."""
        try:
            seconds = min(MAX_WAIT, max(0.0, float(request.query_params.get("timeout", "30"))))
        except ValueError:
            raise HostError("usage", "timeout: wanted seconds") from None
        return JSONResponse({"ended": await self._keeps.wait(_id(request), seconds)})

    async def input(self, request: Request) -> Response:
        """Frames to a Keep."""
        frames = await self._keeps.input(_id(request), request.stream())
        self._frames.inc(frames)
        return JSONResponse({"frames": frames})

    async def output(self, request: Request) -> Response:
        """Numbered frames from a Keep."""
        text = request.query_params.get("from", "0")
        if not text.isascii() or not text.isdigit() or int(text) > MAX_NUMBER:
            raise HostError("usage", "from: wanted the number of a frame")
        first, pieces = await self._keeps.output(_id(request), int(text), follow=_flag(request, "follow", default=True))
        return StreamingResponse(pieces, media_type=FRAMES, headers={"Enarx-First": str(first)})

    async def prune(self, request: Request) -> Response:
        """Erase all that have ended."""
        return JSONResponse({"removed": await self._keeps.prune()})

    async def openapi(self, request: Request) -> Response:
        """This interface's description."""
        return JSONResponse(DOCUMENT)

    async def health(self, request: Request) -> Response:
        """The daemon answers."""
        return JSONResponse({"ok": True, **self._keeps.counts()})

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        for state, count in self._keeps.counts().items():
            self._gauge.labels(state).set(count)
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


class Access:
    """Who may ask at all: a bearer token, or else only names of this machine (against rebinding of DNS)."""

    def __init__(self, app: ASGIApp, *, token: str, local: bool) -> None:
        self._app = app
        self._token = token.encode()
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            headers = dict(scope["headers"])
            if self._token and not hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._token):
                await _refusal("unauthorized", "wanted the bearer token of this host")(scope, receive, send)
                return
            if self._local and not _is_local(headers.get(b"host", b"").decode("latin-1")):
                await _refusal("unauthorized", "asked by a name that is not this machine's")(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_local(host: str) -> bool:
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in LOCAL_NAMES


def _refusal(code: str, message: str) -> JSONResponse:
    e = HostError(code, message)
    return JSONResponse(e.value(), e.status)


async def _json(request: Request) -> dict[str, Any]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise HostError("too-large", f"a body over {MAX_BODY} bytes")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise HostError("usage", "wanted a JSON object")
    return value


def _number(value: object, name: str) -> int:
    if type(value) is not int or not 0 < value <= MAX_NUMBER:
        raise HostError("usage", f"{name}: wanted a number of bytes")
    return value


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _flag(request: Request, name: str, *, default: bool) -> bool:
    return request.query_params.get(name, str(default)).lower() == "true"
