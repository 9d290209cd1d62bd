"""The types of everything that the HTTP interface accepts and answers in JSON.

A body is decoded into its type here, an answer is encoded from one, and the OpenAPI document is generated from the same
types, so that the document cannot differ from what is sent (docs/adr/0016). Only the daemon loads this module.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, inspect

from enarx.formats.bounds import COMPILE
from enarx.formats.names import KEEP_NAME
from enarx.host import backends
from enarx.host.errors import HostError

MAX_NUMBER = 1 << 62
MAX_PAGE = 1000
MAX_WAIT = 300.0
KEY = "[A-Za-z0-9_-]{16,64}"
"""An Idempotency-Key."""

State = Literal["running", "ended", "lost"]
STATES: tuple[State, ...] = ("running", "ended", "lost")

Size = Annotated[int, Meta(ge=1, le=MAX_NUMBER, description="bytes")]
Count = Annotated[int, Meta(ge=0)]
Kind = Annotated[str, Meta(extra_json_schema={"enum": list(backends.kinds()), "default": backends.default()})]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
Name = Annotated[  # in Python, $ matches before a last newline too
    str, Meta(pattern=f"^{KEEP_NAME}$(?!\\n)", max_length=63, description="what the tenant calls the Keep")
]

Type = TypeVar("Type")


class Launch(Struct, kw_only=True, frozen=True):
    """A Keep to launch. Without a `package_digest` it may come from the pool.

    A `name` is unique among the tenant's running Keeps.
    """

    memory: Size
    disk: Size
    kind: Kind = backends.default()
    package_digest: Digest | None = None
    compile: Annotated[Size | None, Meta(description="bytes that the compiler may take")] = None
    name: Name | None = None
    declared_package: Annotated[
        Digest | None, Meta(description="what the tenant will deliver; for lists only, the Keep does not depend on it")
    ] = None
    invitation: Annotated[
        Digest | None,
        Meta(description="SHA-256 of a secret of 32 bytes; its holders may give this Keep frames, and read its frames"),
    ] = None

    @property
    def sizes(self) -> dict[str, int]:
        """Its three sizes, in bytes."""
        compile = COMPILE if self.compile is None else self.compile
        return {"memory": self.memory, "compile": compile, "disk": self.disk}

    @property
    def declared(self) -> dict[str, str]:
        """What the tenant declares about the Keep, if anything: fields of its record."""
        declared = {"name": self.name, "declared_package": self.declared_package, "invitation": self.invitation}
        return {field: text for field, text in declared.items() if text}


class Launched(Struct, frozen=True):
    """The id of the Keep."""

    id: str


class Listed(Struct, kw_only=True, frozen=True):
    """A Keep in a list. Times are unix seconds; `started` is when the tenant got it.

    `package_digest` is what the Keep was launched for, zeros for a Keep from the pool. `name` and `declared_package` are what
    the tenant said, empty if it did not.
    """

    id: str
    name: str
    kind: str
    state: State
    created: float
    started: float | None
    ended: float | None
    package_digest: str
    declared_package: str
    memory: Size
    disk: Size


class Bound(Struct, frozen=True):
    """By what the memory of the whole Keep is bounded, and to how many bytes."""

    by: str
    memory: Size


class Keep(Listed, kw_only=True, frozen=True):
    """A Keep with what its supervisor reports, as far as that can still be read."""

    compile: Annotated[Size, Meta(description="bytes that the compiler may take")]
    keep_pid: Annotated[int, Meta(description="first process of the Keep, on the host")] | UnsetType = UNSET
    pid: Annotated[int, Meta(description="the supervisor's, on the host")] | UnsetType = UNSET
    layers: Annotated[list[dict[str, str | bool]], Meta(description="of the sandbox, each on or not")] | UnsetType = (
        UNSET
    )
    bound: Bound | UnsetType = UNSET
    skipped: Annotated[list[str], Meta(description="layers that the host's operator has given up")] | UnsetType = UNSET
    facts: Annotated[dict[str, str], Meta(description="what else its backend reports")] | UnsetType = UNSET
    frames: Count | UnsetType = UNSET
    first: Count | UnsetType = UNSET
    stored: Count | UnsetType = UNSET
    dropped: Count | UnsetType = UNSET
    reason: Annotated[str, Meta(description="why the host ended it; empty if it did not")] | UnsetType = UNSET


class Page(Struct, frozen=True):
    """Some Keeps, oldest first. `next` is the next page's `after`, or null."""

    keeps: list[Listed]
    next: str | None


class PageQuery(Struct, kw_only=True, frozen=True):
    """Parameters of a list of Keeps."""

    after: Annotated[str, Meta(max_length=64, description="the `next` of the page before")] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE, description="Keeps in the page")] = 100
    state: Annotated[State | None, Meta(description="only Keeps in this state")] = None
    name: Annotated[str, Meta(max_length=63, description="only Keeps of this name")] = ""


class OutputQuery(Struct, kw_only=True, frozen=True, rename={"start": "from"}):
    """Parameters of reading a Keep's output."""

    start: Annotated[
        int,
        Meta(
            ge=0,
            le=MAX_NUMBER,
            description="number of the first frame wanted; a gap in the numbers is what the host dropped",
        ),
    ] = 0
    follow: Annotated[bool, Meta(description="go on until the Keep has ended")] = True


class WaitQuery(Struct, kw_only=True, frozen=True):
    """Parameters of waiting for a Keep."""

    timeout: Annotated[float, Meta(ge=0, le=MAX_WAIT, description="seconds")] = 30


class RemoveQuery(Struct, kw_only=True, frozen=True):
    """Parameters of erasing a Keep."""

    force: Annotated[bool, Meta(description="kill it first")] = False


class Waited(Struct, frozen=True):
    """Whether the Keep has ended."""

    ended: bool


class Given(Struct, frozen=True):
    """How many frames the Keep was given."""

    frames: Count


class Removed(Struct, frozen=True):
    """The ids of the Keeps that were erased."""

    removed: list[str]


class Health(Struct, frozen=True):
    """The answer of a daemon that runs."""

    ok: Literal[True] = True


class Fault(Struct, kw_only=True, frozen=True):
    """What went wrong. `checks` are what the host's sandbox lacks: a layer's name, what is missing, and a remedy."""

    code: str
    message: str
    hint: str
    checks: list[list[str]]


class Error(Struct, frozen=True):
    """Every answer that is not a success."""

    error: Fault


def encode(value: Struct) -> bytes:
    """The JSON of an answer."""
    return msgspec.json.encode(value)


def error(e: HostError) -> Error:
    """The body of the answer that reports this error."""
    checks = [[str(part) for part in check] for check in e.checks]
    return Error(Fault(code=e.code, message=e.message, hint=e.hint, checks=checks))


def decode_body(body: bytes, wanted: type[Type]) -> Type:
    """The `wanted` type from the bytes of a JSON body in UTF-8. HostError `usage`, also for a key that is given twice.

    A text with half a surrogate pair is refused too: neither msgspec nor the files of a Keep can hold it.
    """
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise HostError("usage", "the body is not a JSON object in UTF-8 with unique keys") from None
    return _convert(value, wanted)


def decode_query(query: dict[str, str], wanted: type[Type]) -> Type:
    """The `wanted` type from the parameters of a query; unknown parameters are ignored. HostError `usage`."""
    texts = {name for name, kind in _field_kinds(wanted).items() if not isinstance(kind, PLAIN)}
    return _convert({name: text if name in texts else _value(text) for name, text in query.items()}, wanted)


PLAIN = inspect.IntType | inspect.FloatType | inspect.BoolType
"""Types of parameters that are written as JSON; all others are texts as they are."""


def _field_kinds(wanted: type[Any]) -> dict[str, inspect.Type]:
    """The type of each field of a struct, by the name that it has in JSON."""
    info = inspect.type_info(wanted)
    assert isinstance(info, inspect.StructType)
    kinds = {field.encode_name: field.type for field in info.fields}
    return {name: kind.type if isinstance(kind, inspect.Metadata) else kind for name, kind in kinds.items()}


def _value(text: str) -> object:
    """A number or a boolean; any other text as it is, which no such field accepts."""
    try:
        return json.loads(text.lower(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _convert(value: Any, wanted: type[Type]) -> Type:
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as e:
        text, _, place = str(e).partition(" - at ")
        where = place.strip("`").removeprefix("$.") or "the body"
        raise HostError("usage", f"{where}: {text[:1].lower()}{text[1:]}", hint="see /v1/openapi.json") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is given twice")
    return value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
