"""The OpenAPI 3.1 description of the host's interface; tests hold it against the routes and against a daemon's answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from enarx.host import backends

MAX_NUMBER = 1 << 62
MAX_PAGE = 1000
MAX_WAIT = 300.0
KEY = "[A-Za-z0-9_-]{16,64}"
STATES = ("running", "ended", "lost")

EVERYWHERE = (400, 408, 414, 431, 503, 505)
"""Of bytes that are no request, requests that do not come, and too many of them."""

GUARDED = (401, 403)

Schema = dict[str, Any]


def _answer(text: str, content: Schema | None = None, **more: Any) -> Schema:
    return {"description": text, **({"content": content} if content else {}), **more}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _query(name: str, text: str, **schema: Any) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": text}


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
    """One method of a path. `errors` are those beside what may be answered to any request."""
    codes = sorted({*errors, *EVERYWHERE, *(() if is_open else GUARDED)})
    found: Schema = {
        "operationId": name,
        "summary": summary,
        "responses": {str(status): answer} | {str(code): _error(code) for code in codes},
    }
    if is_open:
        found["security"] = [{}]
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    return found


def _error(status: int) -> Schema:
    return _answer(f"{HTTPStatus(status).phrase}; the code says why", _json(_ref("Error")))


_FRAMES = {"application/vnd.enarx.frames": {"schema": {"type": "string", "format": "binary"}}}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"}}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": f"^{KEY}$"},
    "description": "the same tenant and key give the same Keep, however often they are sent",
}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_SIZE = {"type": "integer", "minimum": 1, "maximum": MAX_NUMBER, "description": "bytes"}
_LAUNCH = {
    "type": "object",
    "required": ["memory", "disk"],
    "properties": {
        "kind": {"enum": list(backends.kinds()), "default": backends.default()},
        "package_digest": {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"},
        "memory": _SIZE,
        "compile": {**_SIZE, "type": ["integer", "null"], "description": "bytes that the compiler may take"},
        "disk": _SIZE,
    },
}
_SHOWN = {
    "id": _TEXT,
    "kind": _TEXT,
    "package_digest": _TEXT,
    "state": {"enum": list(STATES)},
    "memory": _SIZE,
    "disk": _SIZE,
    "created": {"type": "number"},
    "started": {"type": ["number", "null"]},
    "ended": {"type": ["number", "null"]},
}
_LISTED = {"type": "object", "required": ["id", "kind", "state"], "properties": _SHOWN}
_KEEP = {
    "type": "object",
    "required": ["id", "kind", "state"],
    "properties": {
        **_SHOWN,
        "keep_pid": {"type": "integer", "description": "on the host"},
        "pid": {"type": "integer", "description": "the supervisor's, on the host"},
        "layers": {"type": "array", "items": {"type": "object"}, "description": "of the sandbox, each on or not"},
        "compile": {**_SIZE, "description": "bytes of memory that the compiler may take"},
        "bound": {"type": "object", "description": "bytes of memory of the whole Keep, and by what they are bounded"},
        "skipped": {
            "type": "array",
            "items": _TEXT,
            "description": "layers that the host does without, by its own wish",
        },
        "frames": _COUNT,
        "first": _COUNT,
        "stored": _COUNT,
        "dropped": _COUNT,
        "reason": {**_TEXT, "description": "why the host ended it; empty where it did not"},
    },
}
_ERROR = _object(
    error={
        "type": "object",
        "required": ["code", "message", "hint", "checks"],
        "properties": {
            "code": _TEXT,
            "message": _TEXT,
            "hint": _TEXT,
            "checks": {
                "type": "array",
                "description": "what the host's sandbox lacks: a layer's name, what is missing, and a remedy",
                "items": {"type": "array", "items": _TEXT},
            },
        },
    }
)

_PAGE = (
    _query("after", "an id: the page begins behind it", type="string", maxLength=64),
    _query("limit", "Keeps in the page", type="integer", minimum=1, maximum=MAX_PAGE, default=100),
    _query("state", "only Keeps in this state", enum=list(STATES)),
)
_FROM = _query(
    "from",
    "number of the first frame wanted; a gap in the numbers is what the host dropped",
    type="integer",
    minimum=0,
    maximum=MAX_NUMBER,
    default=0,
)
_FOLLOW = _query("follow", "go on until the Keep has ended", type="boolean", default=True)
_FORCE = _query("force", "kill it first", type="boolean", default=False)
_TIMEOUT = _query("timeout", "seconds", type="number", minimum=0, maximum=MAX_WAIT, default=30)
_KEEPS = _object(keeps={"type": "array", "items": _ref("Listed")}, next={"type": ["string", "null"]})
_REMOVED = _object(removed={"type": "array", "items": _TEXT})
_FIRST = {"Enarx-First": {"schema": _COUNT, "description": "number of the first frame that the host still has"}}
_LINKS = {
    name: {"operationId": name, "parameters": {"id": "$response.body#/id"}}
    for name in ("inspect", "wait", "input", "output", "stop", "remove")
}

_PATHS: dict[str, dict[str, Schema]] = {
    "/v1/keeps": {
        "get": _operation(
            "list", "A page of the tenant's Keeps, oldest first", 200, _answer("Keeps", _json(_KEEPS)), parameters=_PAGE
        ),
        "post": _operation(
            "launch",
            "A Keep",
            201,
            _answer("its id", _json(_object(id=_TEXT)), links=_LINKS),
            (409, 413, 422, 502, 507),
            parameters=(_KEY,),
            body=_json(_LAUNCH),
        ),
    },
    "/v1/keeps/{id}": {
        "get": _operation(
            "inspect", "One Keep", 200, _answer("the Keep", _json(_ref("Keep"))), (404, 502), parameters=(_ID,)
        ),
        "delete": _operation(
            "remove",
            "Erase an ended Keep",
            204,
            _answer("there is no such Keep any more"),
            (404, 409, 502, 507),
            parameters=(_ID, _FORCE),
        ),
    },
    "/v1/keeps/{id}/stop": {
        "post": _operation("stop", "Kill a Keep", 204, _answer("killed"), (404, 502), parameters=(_ID,))
    },
    "/v1/keeps/{id}/wait": {
        "get": _operation(
            "wait",
            "Wait for its end",
            200,
            _answer("ended or not", _json(_object(ended={"type": "boolean"}))),
            (404,),
            parameters=(_ID, _TIMEOUT),
        )
    },
    "/v1/keeps/{id}/input": {
        "post": _operation(
            "input",
            "Frames to a Keep",
            200,
            _answer("how many", _json(_object(frames=_COUNT))),
            (404, 409, 413, 502),
            parameters=(_ID,),
            body=_FRAMES,
        )
    },
    "/v1/keeps/{id}/output": {
        "get": _operation(
            "output",
            "Frames from a Keep, each behind its number (u64)",
            200,
            _answer("entries", _FRAMES, headers=_FIRST),
            (404, 502),
            parameters=(_ID, _FROM, _FOLLOW),
        )
    },
    "/v1/prune": {
        "post": _operation(
            "prune", "Erase all ended Keeps of the tenant", 200, _answer("ids", _json(_REMOVED)), (502, 507)
        )
    },
    "/v1/openapi.json": {
        "get": _operation("openapi", "This document", 200, _answer("OpenAPI 3.1", _json({"type": "object"})))
    },
    "/healthz": {
        "get": _operation(
            "health",
            "Does the daemon answer?",
            200,
            _answer("it does", _json(_object(ok={"const": True}))),
            is_open=True,
        )
    },
    "/metrics": {
        "get": _operation("metrics", "For Prometheus", 200, _answer("text format", {"text/plain": {"schema": _TEXT}}))
    },
}

DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "Enarx host",
        "version": "1",
        "description": "Starts Keeps and carries their frames. Nothing that it says is to be trusted. A tenant is a user of "
        "the Unix socket, a token or a client's certificate; another tenant's Keep is as one that does not exist.",
    },
    "security": [{}, {"token": []}, {"certificate": []}],
    "paths": _PATHS,
    "components": {
        "schemas": {"Keep": _KEEP, "Listed": _LISTED, "Error": _ERROR},
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer"},
            "certificate": {"type": "mutualTLS"},
        },
    },
}
