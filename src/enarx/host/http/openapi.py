"""The OpenAPI 3.1 description of the host's interface.

Bodies, answers and parameters are generated from the types in `schemas`; what is written by hand is which operation uses
which. Tests compare the document with the routes and with a daemon's answers.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct

from enarx.host.http import schemas
from enarx.host.http.schemas import (
    KEY,
    Error,
    Given,
    Health,
    Keep,
    Launch,
    Launched,
    OutputQuery,
    Page,
    PageQuery,
    Removed,
    RemoveQuery,
    Waited,
    WaitQuery,
)

ANYWHERE = (400, 408, 414, 431, 503, 505)
"""Statuses that any operation may answer: malformed, incomplete or slow requests, and too many of them."""

GUARDED = (401, 403)
"""Statuses of every operation that needs a credential."""

FRAMES_TYPE = "application/vnd.enarx.frames"
LINKED = ("inspect", "wait", "input", "output", "stop", "remove")
"""Operations on the Keep that a launch has made."""

Schema = dict[str, Any]

_BODIES = (Launch, Launched, Keep, Page, Given, Waited, Removed, Health, Error)
_QUERIES = (PageQuery, OutputQuery, WaitQuery, RemoveQuery)
_, _COMPONENTS = msgspec.json.schema_components((*_BODIES, *_QUERIES), ref_template="#/components/schemas/{name}")


def _answer(text: str, content: Schema | None = None, **more: Any) -> Schema:
    return {"description": text, **({"content": content} if content else {}), **more}


def _json(body: type[Struct]) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}


def _query(wanted: type[Struct]) -> tuple[Schema, ...]:
    """The parameters that are the fields of a struct."""
    fields: dict[str, Schema] = _COMPONENTS[wanted.__name__]["properties"]
    return tuple(
        {
            "name": name,
            "in": "query",
            "description": field.get("description", ""),
            "schema": {key: value for key, value in field.items() if key != "description"},
        }
        for name, field in fields.items()
    )


def _operation(
    name: str,
    summary: str,
    status: int,
    answer: Schema,
    errors: tuple[int, ...] = (),
    *,
    parameters: tuple[Schema, ...] = (),
    body: Schema | None = None,
    is_open: bool = False,
) -> Schema:
    """One method of a path. `errors` are its own statuses, beside those of any operation."""
    codes = sorted({*errors, *ANYWHERE, *(() if is_open else GUARDED)})
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "responses": {str(status): answer} | {str(code): _error(code) for code in codes},
    }
    if is_open:
        operation["security"] = [{}]
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _error(status: int) -> Schema:
    return _answer(f"{HTTPStatus(status).phrase}; the code says why", _json(Error))


_FRAMES = {FRAMES_TYPE: {"schema": {"type": "string", "format": "binary"}}}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"}}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": f"^{KEY}$"},
    "description": "the same tenant, key and body give the same Keep, however often they are sent",
}
_FIRST = {
    "Enarx-First": {
        "schema": {"type": "integer", "minimum": 0},
        "description": "number of the first frame that the host still has",
    }
}
_LINKS = {name: {"operationId": name, "parameters": {"id": "$response.body#/id"}} for name in LINKED}

_PATHS: dict[str, dict[str, Schema]] = {
    "/v1/keeps": {
        "get": _operation(
            "list",
            "List the tenant's Keeps, oldest first",
            200,
            _answer("a page of Keeps", _json(Page)),
            parameters=_query(PageQuery),
        ),
        "post": _operation(
            "launch",
            "Launch a Keep",
            201,
            _answer("its id", _json(Launched), links=_LINKS),
            (409, 413, 422, 502, 507),
            parameters=(_KEY,),
            body=_json(Launch),
        ),
    },
    "/v1/keeps/{id}": {
        "get": _operation(
            "inspect", "Inspect a Keep", 200, _answer("the Keep", _json(Keep)), (404, 502), parameters=(_ID,)
        ),
        "delete": _operation(
            "remove",
            "Erase an ended Keep",
            204,
            _answer("no part of the Keep is left"),
            (404, 409, 502, 507),
            parameters=(_ID, *_query(RemoveQuery)),
        ),
    },
    "/v1/keeps/{id}/stop": {
        "post": _operation("stop", "Kill a Keep", 204, _answer("killed"), (404, 502), parameters=(_ID,))
    },
    "/v1/keeps/{id}/wait": {
        "get": _operation(
            "wait",
            "Wait until a Keep has ended",
            200,
            _answer("ended or not", _json(Waited)),
            (404,),
            parameters=(_ID, *_query(WaitQuery)),
        )
    },
    "/v1/keeps/{id}/input": {
        "post": _operation(
            "input",
            "Give a Keep frames",
            200,
            _answer("how many it got", _json(Given)),
            (404, 409, 413, 502),
            parameters=(_ID,),
            body=_FRAMES,
        )
    },
    "/v1/keeps/{id}/output": {
        "get": _operation(
            "output",
            "Read a Keep's frames, each after its number (u64)",
            200,
            _answer("entries", _FRAMES, headers=_FIRST),
            (404, 502),
            parameters=(_ID, *_query(OutputQuery)),
        )
    },
    "/v1/prune": {
        "post": _operation(
            "prune", "Erase all ended Keeps of the tenant", 200, _answer("their ids", _json(Removed)), (502, 507)
        )
    },
    "/v1/openapi.json": {
        "get": _operation(
            "openapi",
            "Describe this interface",
            200,
            _answer("OpenAPI 3.1", {"application/json": {"schema": {"type": "object"}}}),
        )
    },
    "/healthz": {
        "get": _operation(
            "health", "Check that the daemon answers", 200, _answer("it does", _json(Health)), is_open=True
        )
    },
    "/metrics": {
        "get": _operation(
            "metrics",
            "Read the metrics for Prometheus",
            200,
            _answer("text format", {"text/plain": {"schema": {"type": "string"}}}),
        )
    },
}

DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "Enarx host",
        "version": "1",
        "description": "Launches Keeps and carries their frames. No answer is to be trusted. A tenant is a user of the Unix "
        "socket, a token or a client certificate; another tenant's Keep answers as one that does not exist.",
    },
    "security": [{}, {"token": []}, {"certificate": []}],
    "paths": _PATHS,
    "components": {
        "schemas": {name: schema for name, schema in _COMPONENTS.items() if not name.endswith("Query")},
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer"},
            "certificate": {"type": "mutualTLS"},
        },
    },
}
"""The whole document, as plain values."""

__all__ = ["DOCUMENT", "FRAMES_TYPE", "schemas"]
