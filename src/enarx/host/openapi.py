"""The OpenAPI 3.1 description of the host's interface; a test holds it against the routes."""

from __future__ import annotations

from typing import Any


def _answer(text: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"description": text, **({"content": content} if content else {})}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_FRAMES = {"application/vnd.enarx.frames": {"schema": {"type": "string", "format": "binary"}}}
_ERROR = {"default": _answer("an error; its code says which", _json(_ref("Error")))}
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def _query(name: str, kind: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}, "description": text}


def _operation(
    name: str, summary: str, status: str, answer: dict[str, Any], *parameters: dict[str, Any], body: Any = None
) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": name, "summary": summary, "responses": {status: answer, **_ERROR}}
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    return found


_SIZE = {"type": "integer", "minimum": 1, "description": "bytes"}
_LAUNCH = {
    "type": "object",
    "required": ["memory", "disk"],
    "properties": {
        "kind": {"type": "string", "default": "process"},
        "package_digest": {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"},
        "memory": _SIZE,
        "disk": _SIZE,
    },
}
_KEEP = {
    "type": "object",
    "required": ["id", "kind", "state"],
    "properties": {
        "id": {"type": "string"},
        "kind": {"type": "string"},
        "package_digest": {"type": "string"},
        "state": {"enum": ["running", "ended", "lost"]},
        "memory": _SIZE,
        "disk": _SIZE,
        "created": {"type": "number"},
        "started": {"type": "number"},
        "ended": {"type": ["number", "null"]},
        "keep_pid": {"type": "integer", "description": "on the host"},
        "pid": {"type": "integer", "description": "the supervisor's, on the host"},
        "layers": {"type": "array", "items": {"type": "object"}, "description": "of the sandbox, each on or not"},
        "skipped": {
            "type": "array",
            "items": {"type": "string"},
            "description": "layers that the host does without, by its own wish",
        },
        "frames": {"type": "integer"},
        "first": {"type": "integer"},
        "stored": {"type": "integer"},
        "dropped": {"type": "integer"},
        "compile": {"type": "integer", "description": "bytes of memory that the compiler may take"},
        "reason": {"type": "string", "description": "why the host ended it; empty where it did not"},
    },
}
_ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "error": {"type": "object", "properties": {k: {"type": "string"} for k in ("code", "message", "hint")}}
    },
}

_FROM = _query("from", "integer", "number of the first frame wanted; a gap in the numbers is what the host dropped")
_FOLLOW = _query("follow", "boolean", "go on until the Keep has ended")
_KEEPS = _json({"type": "object", "properties": {"keeps": {"type": "array", "items": _ref("Keep")}}})
_REMOVED = _json({"type": "object", "properties": {"removed": {"type": "array", "items": {"type": "string"}}}})
_ENDED = _json({"type": "object", "properties": {"ended": {"type": "boolean"}}})
_COUNT = _json({"type": "object", "properties": {"frames": {"type": "integer"}}})

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Enarx host",
        "version": "1",
        "description": "Starts Keeps and carries their frames. Nothing that it says is to be trusted.",
    },
    "security": [{}, {"bearer": []}],
    "paths": {
        "/v1/keeps": {
            "get": _operation("list", "All Keeps", "200", _answer("Keeps", _KEEPS)),
            "post": _operation(
                "launch", "A Keep", "201", _answer("its id", _json(_ref("Launched"))), body=_json(_LAUNCH)
            ),
        },
        "/v1/keeps/{id}": {
            "get": _operation("inspect", "One Keep", "200", _answer("the Keep", _json(_ref("Keep"))), _ID),
            "delete": _operation(
                "remove",
                "Erase an ended Keep",
                "204",
                _answer("erased"),
                _ID,
                _query("force", "boolean", "kill it first"),
            ),
        },
        "/v1/keeps/{id}/stop": {"post": _operation("stop", "Kill a Keep", "204", _answer("killed"), _ID)},
        "/v1/keeps/{id}/wait": {
            "get": _operation(
                "wait",
                "Wait for its end",
                "200",
                _answer("ended or not", _ENDED),
                _ID,
                _query("timeout", "number", "seconds"),
            )
        },
        "/v1/keeps/{id}/input": {
            "post": _operation("input", "Frames to a Keep", "200", _answer("how many", _COUNT), _ID, body=_FRAMES)
        },
        "/v1/keeps/{id}/output": {
            "get": _operation(
                "output",
                "Frames from a Keep, each behind its number (u64)",
                "200",
                _answer("entries", _FRAMES),
                _ID,
                _FROM,
                _FOLLOW,
            )
        },
        "/v1/prune": {"post": _operation("prune", "Erase all ended Keeps", "200", _answer("ids", _REMOVED))},
        "/v1/openapi.json": {"get": _operation("openapi", "This document", "200", _answer("OpenAPI 3.1"))},
        "/healthz": {"get": _operation("health", "Does the daemon answer?", "200", _answer("it does"))},
        "/metrics": {"get": _operation("metrics", "For Prometheus", "200", _answer("text format"))},
    },
    "components": {
        "schemas": {
            "Keep": _KEEP,
            "Launched": {"type": "object", "properties": {"id": {"type": "string"}}},
            "Error": _ERROR_SCHEMA,
        },
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    },
}
