"""What is kept of a Keep on disk, read with suspicion: types, ranges and names are checked, and a bad file is an error."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import asdict, dataclass
from typing import Any

from enarx.formats.names import KEEP_NAME

ID = re.compile(r"[0-9a-f]{16}")
DIGEST = re.compile(r"[0-9a-f]{64}")
DECLARED = re.compile(r"[0-9a-f]{64}|")
NAME = re.compile(f"{KEEP_NAME}|")
SHORT_DIGEST = re.compile(r"[0-9a-f]{32}|")
OPTIONAL_DIGEST = re.compile(r"[0-9a-f]{64}|")
BOOT = re.compile(r"[0-9a-f-]{36}")
TENANT = re.compile(r"[a-z]{1,16}:[0-9a-zA-Z]{1,64}|")
KIND = re.compile(r"[a-z0-9-]{1,32}")
MAX_NUMBER = 1 << 62
MAX_TIME = 1 << 40
MAX_PID = 1 << 22
MAX_LIST = 256
MAX_FACT = 1024


class BadFileError(ValueError):
    """A file of a Keep that is not as the host left it."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The two processes of a Keep, each by number and start time, within one boot of the machine."""

    boot: str
    supervisor: tuple[int, int]
    keep: tuple[int, int]

    @classmethod
    def of(cls, value: object) -> Processes:
        """Check and convert the JSON value. BadFileError."""
        if not isinstance(value, dict) or set(value) != {"boot", "supervisor", "keep"}:
            raise BadFileError("processes")
        return cls(_text(value, "boot", BOOT), _process(value["supervisor"]), _process(value["keep"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the daemon knows of a Keep.

    Sizes are what it was launched with, in bytes; `created` is when its tenant got it, in unix seconds. `key` and `request`
    are digests of the tenant's Idempotency-Key and of what came with it; both are empty for a launch without a key.
    `name` and `declared_package` are what the tenant calls the Keep and what it intends to deliver; empty if it did not say.
    `invitation` is the SHA-256, in hexadecimal digits, of the secret of those whom the tenant has invited; empty for none.
    `processes` is None for a Keep whose processes are known to be gone.
    """

    id: str
    kind: str
    package_digest: str
    memory: int
    compile: int
    disk: int
    created: float
    tenant: str
    key: str
    request: str
    pooled: bool
    processes: Processes | None
    name: str = ""
    declared_package: str = ""
    invitation: str = ""

    def value(self) -> dict[str, Any]:
        """The record as JSON, without `pooled`, which the name of the file shows."""
        return {name: value for name, value in asdict(self).items() if name != "pooled"}

    @classmethod
    def of(cls, value: dict[str, Any], *, keep: str, pooled: bool) -> Record:
        """From the JSON of a file in the directory `keep`. BadFileError. Older hosts left `request` and later fields out."""
        value = {"request": "", "name": "", "declared_package": "", "invitation": "", **value}
        if set(value) != set(cls.__slots__) - {"pooled"} or value["id"] != keep:
            raise BadFileError("not a Keep's record, or another Keep's")
        return cls(
            id=keep,
            kind=sys.intern(_text(value, "kind", KIND)),
            package_digest=sys.intern(_text(value, "package_digest", DIGEST)),
            memory=_number(value, "memory"),
            compile=_number(value, "compile"),
            disk=_number(value, "disk"),
            created=_time(value, "created"),
            tenant=sys.intern(_text(value, "tenant", TENANT)),
            key=_text(value, "key", SHORT_DIGEST),
            request=_text(value, "request", SHORT_DIGEST),
            pooled=pooled,
            processes=Processes.of(value["processes"]),
            name=_text(value, "name", NAME),
            declared_package=_text(value, "declared_package", DECLARED),
            invitation=_text(value, "invitation", OPTIONAL_DIGEST),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A supervisor's own account, written at its start and again at its Keep's end.

    `scratch` is a directory in memory to erase with the Keep; `shown` is what clients see of the report.
    """

    state: str
    started: float
    ended: float | None
    scratch: str
    stored: int
    processes: Processes
    shown: dict[str, Any]

    @classmethod
    def of(cls, value: dict[str, Any]) -> Report:
        """Check and convert the JSON value. BadFileError."""
        numbers = ("frames", "first", "stored", "dropped", "pid", "keep_pid")
        shown: dict[str, Any] = {name: _number(value, name) for name in numbers}
        shown |= {"layers": _layers(value.get("layers")), "skipped": _names(value.get("skipped"))}
        shown |= {"reason": _text(value, "reason", re.compile("[a-z]{0,16}"))}
        if "facts" in value:
            shown["facts"] = _facts(value["facts"])
        return cls(
            state=_text(value, "state", re.compile("running|ended")),
            started=_time(value, "started"),
            ended=None if value.get("ended") is None else _time(value, "ended"),
            scratch=_text(value, "scratch", re.compile(r"[\x20-\x7e]{0,256}")),
            stored=shown["stored"],
            processes=Processes.of(value.get("processes")),
            shown=shown,
        )


def key_digest(tenant: str, key: str) -> str:
    """What is stored of a tenant's Idempotency-Key: 32 hexadecimal digits; empty for no key."""
    return hashlib.sha256(f"{tenant}\n{key}".encode()).hexdigest()[:32] if key else ""


def request_digest(**request: str | int) -> str:
    """What is stored of a launch request, to recognize the same request: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:32]


def _text(value: dict[str, Any], name: str, wanted: re.Pattern[str]) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not wanted.fullmatch(text):
        raise BadFileError(name)
    return text


def _number(value: dict[str, Any], name: str) -> int:
    number = value.get(name)
    if type(number) is not int or not 0 <= number <= MAX_NUMBER:
        raise BadFileError(name)
    return number


def _time(value: dict[str, Any], name: str) -> float:
    time = value.get(name)
    if isinstance(time, bool) or not isinstance(time, int | float) or not 0 <= time <= MAX_TIME:  # NaN fails this too
        raise BadFileError(name)
    return float(time)


def _process(value: object) -> tuple[int, int]:
    match value:
        case [int(pid), int(start)] if 0 < pid <= MAX_PID and 0 <= start <= MAX_NUMBER:
            return pid, start
    raise BadFileError("processes")


def _layers(value: object) -> list[dict[str, Any]]:
    """Flat objects: the name of a sandbox layer, whether it is on, and why not."""
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise BadFileError("layers")
    for item in value:
        if not isinstance(item, dict) or not all(isinstance(part, str | bool) for part in item.values()):
            raise BadFileError("layers")
    return value


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_LIST or not all(isinstance(item, str) for item in value):
        raise BadFileError("skipped")
    return value


def _facts(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_LIST:
        raise BadFileError("facts")
    if not all(isinstance(text, str) and len(text) <= MAX_FACT for text in value.values()):
        raise BadFileError("facts")
    return value
