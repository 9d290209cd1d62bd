"""The daemon's HTTP interface (docs/spec/host.md, "HTTP"; served as /v1/openapi.json). Starlette over uvicorn."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from enarx.host import events
from enarx.host.access import Access
from enarx.host.errors import HostError
from enarx.host.keeps import Keeps
from enarx.host.metrics import CONTENT_TYPE, Metrics
from enarx.host.openapi import DOCUMENT
from enarx.host.streaming import Stream

FRAMES = "application/vnd.enarx.frames"
MAX_BODY = 64 << 10
MAX_WAIT = 300.0
MAX_NUMBER = 1 << 62
MAX_PAGE = 1000
COMPILE = 256 << 20
KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")

Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The handlers, and what they count."""

    def __init__(self, keeps: Keeps) -> None:
        self._keeps = keeps
        self._metrics = Metrics()

    def application(self, *, token: str, local: bool) -> ASGIApp:
        """The ASGI application; with a token each request must bring it, `local` has each come from this machine."""
        routes = [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in self.routes()]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._unknown})
        return Access(app, token=token, local=local)

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
                return self._refusal(e)
            except ClientDisconnect:
                return Response(status_code=400)  # to nobody
            except Exception as e:  # noqa: BLE001  # the edge: one request fails, and says nothing of why
                events.log_bug(request.scope["route"].path, e)
                return self._refusal(HostError("internal", "the host failed to do this; its log says where"))

        return guarded

    def _refusal(self, e: HostError) -> Response:
        self._metrics.refusals.labels(e.code).inc()
        return JSONResponse(e.value(), e.status, e.headers)

    async def _unknown(self, _: Request, e: Exception) -> Response:
        """No such path, or not with this method."""
        method = isinstance(e, HTTPException) and e.status_code == 405
        what = ("method", "not with this method") if method else ("not-found", "no such path")
        return self._refusal(HostError(*what, hint="see /v1/openapi.json"))

    async def launch(self, request: Request) -> Response:
        """A Keep."""
        body = await _json(request)
        kind, package = body.get("kind", "process"), body.get("package_digest")
        if not isinstance(kind, str) or not (package is None or _is_digest(package)):
            raise HostError("usage", "wanted kind, a text, and package_digest, 64 hexadecimal digits or null")
        memory, disk = (_number(body.get(name), name) for name in ("memory", "disk"))
        with self._metrics.launches.time():
            record = await self._keeps.launch(
                tenant=_tenant(request),
                kind=kind,
                package=package,
                memory=memory,
                compile=_number(body.get("compile", COMPILE), "compile"),
                disk=disk,
                key=_key(request),
            )
        return JSONResponse({"id": record.id}, 201)

    async def list(self, request: Request) -> Response:
        """A page of Keeps."""
        asked = request.query_params
        limit = asked.get("limit", "100")
        if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:5]) <= MAX_PAGE):
            raise HostError("usage", f"limit: wanted 1 to {MAX_PAGE}")
        return JSONResponse(
            await self._keeps.page(
                tenant=_tenant(request),
                after=asked.get("after", ""),
                limit=int(limit),
                state=asked.get("state", ""),
            )
        )

    async def inspect(self, request: Request) -> Response:
        """One Keep."""
        return JSONResponse(await self._keeps.info(_id(request), tenant=_tenant(request)))

    async def remove(self, request: Request) -> Response:
        """Erase one."""
        await self._keeps.remove(_id(request), tenant=_tenant(request), force=_flag(request, "force", default=False))
        return Response(status_code=204)

    async def stop(self, request: Request) -> Response:
        """Kill one."""
        await self._keeps.stop(_id(request), tenant=_tenant(request))
        return Response(status_code=204)

    async def wait(self, request: Request) -> Response:
        """Wait for the end of one."""
        try:
            seconds = min(MAX_WAIT, max(0.0, float(request.query_params.get("timeout", "30"))))
        except ValueError:
            raise HostError("usage", "timeout: wanted seconds") from None
        return JSONResponse({"ended": await self._keeps.wait(_id(request), seconds, tenant=_tenant(request))})

    async def input(self, request: Request) -> Response:
        """Frames to a Keep."""
        body = self._counted(request.stream(), self._metrics.bytes_in.inc)
        frames = await self._keeps.input(_id(request), body, tenant=_tenant(request))
        self._metrics.frames.inc(frames)
        return JSONResponse({"frames": frames})

    async def output(self, request: Request) -> Response:
        """Numbered frames from a Keep."""
        text = request.query_params.get("from", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) > MAX_NUMBER:
            raise HostError("usage", "from: wanted the number of a frame")
        follow = _flag(request, "follow", default=True)
        first, pieces = await self._keeps.output(_id(request), int(text), tenant=_tenant(request), follow=follow)
        counted = self._counted(pieces, self._metrics.bytes_out.inc)
        return Stream(counted, media_type=FRAMES, headers={"Enarx-First": str(first)})

    async def _counted(self, pieces: AsyncIterator[bytes], count: Callable[[float], None]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            count(len(piece))
            yield piece

    async def prune(self, request: Request) -> Response:
        """Erase all that have ended."""
        return JSONResponse({"removed": await self._keeps.prune(tenant=_tenant(request))})

    async def openapi(self, _: Request) -> Response:
        """This interface's description."""
        return JSONResponse(DOCUMENT)

    async def health(self, _: Request) -> Response:
        """The daemon answers. Anybody may ask, and learns no more."""
        return JSONResponse({"ok": True})

    async def metrics(self, _: Request) -> Response:
        """For Prometheus."""
        return Response(self._metrics.text(self._keeps.counts()), media_type=CONTENT_TYPE)


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


def _tenant(request: Request) -> str:
    return str(request.scope.get("state", {}).get("tenant", f"uid:{os.getuid()}"))


def _key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if key and not KEY.fullmatch(key):
        raise HostError("usage", "Idempotency-Key: wanted 16 to 64 letters, digits, - and _")
    return key


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _flag(request: Request, name: str, *, default: bool) -> bool:
    text = request.query_params.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise HostError("usage", f"{name}: wanted true or false")
    return text == "true"
