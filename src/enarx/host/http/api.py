"""The daemon's HTTP interface (docs/spec/host.md, "HTTP"; served as /v1/openapi.json). Starlette over `entrance`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from enarx.formats.bounds import COMPILE
from enarx.host import backends, events
from enarx.host.errors import HostError
from enarx.host.http.access import Access
from enarx.host.http.bodies import Timed, read_json
from enarx.host.http.limits import Limits
from enarx.host.http.metrics import CONTENT_TYPE, Metrics
from enarx.host.http.openapi import DOCUMENT, KEY, MAX_NUMBER, MAX_PAGE, MAX_WAIT, STATES
from enarx.host.http.streaming import Stream, unless_gone
from enarx.host.keeps.service import Keeps

FRAMES = "application/vnd.enarx.frames"

Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The handlers, and what they count."""

    def __init__(self, keeps: Keeps, limits: Limits) -> None:
        self._keeps = keeps
        self.limits = limits
        self._metrics = Metrics()

    def application(self) -> ASGIApp:
        """The ASGI application, with its guard in front."""
        routes = [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in self.routes()]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._unknown})
        app.router.redirect_slashes = False  # a path is one of these or none
        return Access(app, self.limits, self.refused)

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler of every route."""
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
                return self._refusal(_failure(request.scope["route"].path, e))

        return guarded

    def refused(self, e: HostError) -> None:
        """Count an error."""
        self._metrics.refusals.labels(e.code).inc()

    def _refusal(self, e: HostError) -> Response:
        self.refused(e)
        return JSONResponse(e.value(), e.status, e.headers)

    async def _unknown(self, _: Request, e: Exception) -> Response:
        """No such path, or not with this method."""
        method = isinstance(e, HTTPException) and e.status_code == 405
        what = ("method", "not with this method") if method else ("not-found", "no such path")
        answer = self._refusal(HostError(*what, hint="see /v1/openapi.json"))
        answer.headers.update(getattr(e, "headers", None) or {})  # Allow
        return answer

    async def launch(self, request: Request) -> Response:
        """A Keep."""
        key = request.headers.get("idempotency-key")
        if key is not None and not re.fullmatch(KEY, key):
            raise HostError("usage", "Idempotency-Key: wanted 16 to 64 letters, digits, - or _")
        body = await read_json(Timed(request.stream(), self.limits))
        kind, package = body.get("kind", backends.default()), body.get("package_digest")
        if not isinstance(kind, str) or not (package is None or _is_digest(package)):
            raise HostError("usage", "wanted kind, a text, and package_digest, 64 hexadecimal digits or null")
        memory, disk = (_size(body.get(name), name) for name in ("memory", "disk"))
        compiling = _size(body["compile"], "compile") if body.get("compile") is not None else COMPILE
        with self._metrics.launches.time():
            record = await self._keeps.launch(
                tenant=_tenant(request),
                kind=kind,
                package=package,
                memory=memory,
                compile=compiling,
                disk=disk,
                key=key or "",
            )
        return JSONResponse({"id": record.id}, 201)

    async def list(self, request: Request) -> Response:
        """A page of the tenant's Keeps."""
        query = request.query_params
        state = query.get("state", "")
        if state not in ("", *STATES):
            raise HostError("usage", f"state: wanted {', '.join(STATES)}")
        limit = _number(query.get("limit", "100"), "limit", 1, MAX_PAGE)
        page = await self._keeps.page(tenant=_tenant(request), after=query.get("after", ""), limit=limit, state=state)
        return JSONResponse(page)

    async def inspect(self, request: Request) -> Response:
        """One Keep."""
        return JSONResponse(await self._keeps.info(_id(request), tenant=_tenant(request)))

    async def remove(self, request: Request) -> Response:
        """Erase one."""
        force = _flag(request, "force", default=False)
        await self._keeps.remove(_id(request), tenant=_tenant(request), force=force)
        return Response(status_code=204)

    async def stop(self, request: Request) -> Response:
        """Kill one."""
        await self._keeps.stop(_id(request), tenant=_tenant(request))
        return Response(status_code=204)

    async def wait(self, request: Request) -> Response:
        """Wait for the end of one."""
        seconds = _seconds(request.query_params.get("timeout", "30"))
        waiting = self._keeps.wait(_id(request), seconds, tenant=_tenant(request))
        return JSONResponse({"ended": await unless_gone(request.scope["state"]["gone"], waiting)})

    async def input(self, request: Request) -> Response:
        """Frames to a Keep."""
        pieces = self._counted(Timed(request.stream(), self.limits), self._metrics.bytes_in.inc)
        giving = self._keeps.input(_id(request), pieces, tenant=_tenant(request))
        frames = await unless_gone(request.scope["state"]["gone"], giving)
        self._metrics.frames.inc(frames)
        return JSONResponse({"frames": frames})

    async def output(self, request: Request) -> Response:
        """Numbered frames from a Keep."""
        start = _number(request.query_params.get("from", "0"), "from", 0, MAX_NUMBER)
        follow = _flag(request, "follow", default=True)
        first, pieces = await self._keeps.output(_id(request), start, tenant=_tenant(request), follow=follow)
        counted = self._counted(pieces, self._metrics.bytes_out.inc)
        return Stream(counted, media_type=FRAMES, headers={"Enarx-First": str(first)})

    async def _counted(self, pieces: AsyncIterator[bytes], count: Callable[[float], None]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            count(len(piece))
            yield piece

    async def prune(self, request: Request) -> Response:
        """Erase all of the tenant's that have ended."""
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


def _failure(where: str, e: Exception) -> HostError:
    """What the client is told of it: the system's refusal by its name, and of our own faults nothing."""
    found = HostError.of_system(e) if isinstance(e, OSError) else None
    if found is None:
        events.log_bug(where, e)
        return HostError("internal", "the host failed to do this; its log says where")
    events.log("refused-by-system", level="error", where=where, code=found.code)
    return found


def _size(value: object, name: str) -> int:
    if type(value) is not int or not 0 < value <= MAX_NUMBER:
        raise HostError("usage", f"{name}: wanted a number of bytes")
    return value


def _number(text: str, name: str, low: int, high: int) -> int:
    if not re.fullmatch("[0-9]{1,19}", text) or not low <= int(text) <= high:
        raise HostError("usage", f"{name}: wanted a number from {low} to {high}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text) if re.fullmatch(r"[0-9.eE+-]{1,32}", text) else -1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT:
        raise HostError("usage", f"timeout: wanted seconds, at most {MAX_WAIT:g}")
    return seconds


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _tenant(request: Request) -> str:
    return str(request.scope["state"]["tenant"])


def _flag(request: Request, name: str, *, default: bool) -> bool:
    text = request.query_params.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise HostError("usage", f"{name}: wanted true or false")
    return text == "true"
