"""The daemon's HTTP interface (docs/spec/host.md, "HTTP"; served as /v1/openapi.json): Starlette over `entrance`.

Each handler decodes its request into a type of `schemas`, calls `Keeps`, and encodes the answer from another.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from enarx.host import events
from enarx.host.errors import HostError
from enarx.host.http import schemas
from enarx.host.http.access import Access, error_response
from enarx.host.http.bodies import Timed, read_body
from enarx.host.http.limits import Limits
from enarx.host.http.metrics import CONTENT_TYPE, Metrics
from enarx.host.http.openapi import DOCUMENT, FRAMES_TYPE
from enarx.host.http.streaming import Stream, unless_gone
from enarx.host.keeps.service import Keeps

Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The handlers and their metrics."""

    def __init__(self, keeps: Keeps, limits: Limits) -> None:
        self._keeps = keeps
        self.limits = limits
        self._metrics = Metrics()

    def application(self) -> ASGIApp:
        """The ASGI application, behind its access control."""
        routes = [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in self.routes()]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._unknown})
        app.router.redirect_slashes = False  # only these exact paths exist
        return Access(app, self.limits, self.refused, self._keeps.invited)

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler of every route."""
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
                return Response(status_code=400)  # nobody reads it
            except Exception as e:  # noqa: BLE001  # the edge: one request fails, and its answer reveals nothing
                return self._refusal(_failure(request.scope["route"].path, e))

        return guarded

    def refused(self, e: HostError) -> None:
        """Count an error by its code."""
        self._metrics.refusals.labels(e.code).inc()

    def _refusal(self, e: HostError) -> Response:
        self.refused(e)
        return error_response(e)

    async def _unknown(self, _: Request, e: Exception) -> Response:
        """No such path, or no such method for it."""
        method = isinstance(e, HTTPException) and e.status_code == 405
        what = ("method", "not with this method") if method else ("not-found", "no such path")
        answer = self._refusal(HostError(*what, hint="see /v1/openapi.json"))
        answer.headers.update(getattr(e, "headers", None) or {})  # Allow
        return answer

    async def launch(self, request: Request) -> Response:
        """Launch a Keep; answer with its id."""
        key = request.headers.get("idempotency-key")
        if key is not None and not re.fullmatch(schemas.KEY, key):
            raise HostError("usage", "Idempotency-Key: wanted 16 to 64 letters, digits, - or _")
        body = schemas.decode_body(await read_body(Timed(request.stream(), self.limits)), schemas.Launch)
        with self._metrics.launches.time():
            record = await self._keeps.launch(
                tenant=_tenant(request),
                kind=body.kind,
                package=body.package_digest,
                sizes=body.sizes,
                key=key or "",
                declared=body.declared,
            )
        return _json(schemas.Launched, {"id": record.id}, 201)

    async def list(self, request: Request) -> Response:
        """List a page of the tenant's Keeps."""
        query = _query(request, schemas.PageQuery)
        page = await self._keeps.page(
            tenant=_tenant(request), after=query.after, limit=query.limit, state=query.state or "", name=query.name
        )
        return _json(schemas.Page, page)

    async def inspect(self, request: Request) -> Response:
        """Answer with everything known about a Keep."""
        return _json(schemas.Keep, await self._keeps.info(_id(request), tenant=_tenant(request)))

    async def remove(self, request: Request) -> Response:
        """Erase a Keep and its output."""
        query = _query(request, schemas.RemoveQuery)
        await self._keeps.remove(_id(request), tenant=_tenant(request), force=query.force)
        return Response(status_code=204)

    async def stop(self, request: Request) -> Response:
        """Kill a Keep; its output stays."""
        await self._keeps.stop(_id(request), tenant=_tenant(request))
        return Response(status_code=204)

    async def wait(self, request: Request) -> Response:
        """Wait until a Keep has ended."""
        query = _query(request, schemas.WaitQuery)
        waiting = self._keeps.wait(_id(request), query.timeout, tenant=_tenant(request))
        return _json(schemas.Waited, {"ended": await unless_gone(request.scope["state"]["gone"], waiting)})

    async def input(self, request: Request) -> Response:
        """Give a Keep the frames of the body."""
        pieces = self._counted(Timed(request.stream(), self.limits), self._metrics.bytes_in.inc)
        giving = self._keeps.input(_id(request), pieces, tenant=_tenant(request), invited=_invited(request))
        frames = await unless_gone(request.scope["state"]["gone"], giving)
        self._metrics.frames.inc(frames)
        return _json(schemas.Given, {"frames": frames})

    async def output(self, request: Request) -> Response:
        """Stream numbered frames from a Keep."""
        query = _query(request, schemas.OutputQuery)
        first, pieces = await self._keeps.output(
            _id(request), query.start, tenant=_tenant(request), follow=query.follow, invited=_invited(request)
        )
        counted = self._counted(pieces, self._metrics.bytes_out.inc)
        return Stream(counted, media_type=FRAMES_TYPE, headers={"Enarx-First": str(first)})

    async def _counted(self, pieces: AsyncIterator[bytes], count: Callable[[float], None]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            count(len(piece))
            yield piece

    async def prune(self, request: Request) -> Response:
        """Erase all of the tenant's Keeps that have ended."""
        return _json(schemas.Removed, {"removed": await self._keeps.prune(tenant=_tenant(request))})

    async def openapi(self, _: Request) -> Response:
        """Answer with the OpenAPI document."""
        return JSONResponse(DOCUMENT)

    async def health(self, _: Request) -> Response:
        """Answer anyone; the answer reveals only that the daemon runs."""
        return _json(schemas.Health, {"ok": True})

    async def metrics(self, _: Request) -> Response:
        """Answer in Prometheus' text format."""
        return Response(self._metrics.text(self._keeps.counts()), media_type=CONTENT_TYPE)


def _failure(where: str, e: Exception) -> HostError:
    """The error for the client: the name of a system error, but no details of a bug in this program."""
    error = HostError.of_system(e) if isinstance(e, OSError) else None
    if error is None:
        events.log_bug(where, e)
        return HostError("internal", "the host failed to do this; its log says where")
    events.log("refused-by-system", level="error", where=where, code=error.code)
    return error


def _json(kind: type[msgspec.Struct], value: dict[str, Any], status: int = 200) -> Response:
    """An answer of the type `kind`. A value that does not fit it is a bug, and is not sent."""
    return Response(schemas.encode(msgspec.convert(value, kind)), status, media_type="application/json")


def _query(request: Request, wanted: type[schemas.Type]) -> schemas.Type:
    return schemas.decode_query(dict(request.query_params), wanted)


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _tenant(request: Request) -> str:
    return str(request.scope["state"]["tenant"])


def _invited(request: Request) -> bool:
    return bool(request.scope["state"]["invited"])
