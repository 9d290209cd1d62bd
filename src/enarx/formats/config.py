"""Enarx.toml, the configuration of a workload. Every error names line and column (docs/guides/configuration.md).

`Config.from_toml` parses a file that a person wrote. `Config.public` is the part that a manifest carries in clear, and
`Config.from_public` parses it again in a Keep, from bytes that the Keep does not trust.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

from enarx.errors import ParseError, UsageError
from enarx.formats.checks import (
    Invalid,
    Path,
    dotted,
    each_of,
    kind_of,
    known_keys,
    limited,
    needs,
    one_of,
    same,
    text_of,
    unique,
    whole,
)
from enarx.formats.quantities import MAX_BYTES, parse_duration, parse_size
from enarx.record import names, record, replace

STDIO = ("stdin", "stdout", "stderr")
KINDS = ("null", *STDIO, "listen", "connect")
SECRETS_AT = "/run/secrets"
MODES = ("ro", "rw", "out")
PAGE = 65536
LEAST = {"memory": PAGE, "compile": 1 << 20}
"""The smallest useful sizes, in bytes."""

MAX_GUEST = 1024
PORTS = {"tls": 443, "tcp": 80}
MAX_SECONDS = 10**9
SECRET_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


@record()
class Limits:
    """The limits of a workload: sizes in bytes, time in seconds of wall clock. None means unlimited.

    `disk` limits the data that the workload writes, besides the directories of its package. `output` limits stdout and
    stderr together. `compile` limits the compiler's memory; None derives it from the module's size (`formats.bounds`).
    """

    memory: int = 1 << 30
    compile: int | None = None
    time: float | None = None
    fuel: int | None = None
    open_files: int = 256
    disk: int = 64 << 20
    output: int | None = None

    def public(self) -> dict[str, Any]:
        """The limits as plain values for CBOR, with `time` in whole milliseconds, at least one."""
        time = None if self.time is None else max(1, round(self.time * 1000))
        return {name: getattr(self, name) for name in names(Limits)} | {"time": time}

    @classmethod
    def from_public(cls, value: Any) -> Limits:
        """The limits in a map that `public` made; Invalid, KeyError or TypeError for anything else."""
        given = {k: v for k, v in dict(value).items() if v is not None}
        if "time" in given:
            given["time"] = whole(given["time"], ("limits", "time"), 1, MAX_SECONDS * 1000) / 1000
        return _limits(given)


@record()
class File:
    """One entry of [[files]]; its index is the WASI descriptor."""

    kind: str
    name: str
    prot: str | None = None
    host: str | None = None
    port: int | None = None
    addr: str | None = None


@record()
class Dir:
    """A directory at `guest`: a copy of `host` on the tenant's machine, or empty. `mode` is ro, rw, or out: its content returns."""

    guest: str
    host: str | None = None
    mode: str = "ro"


@record()
class Secret:
    """A secret: the file /run/secrets/`name` for the guest, and the variable `env` if that is given."""

    name: str
    env: str | None = None


@record(hidden=("args", "env"))
class Config:
    """A complete, checked configuration. If `files` is None, the workload inherits stdio.

    Arguments and variables are not shown: no host may see them, and a program may log a configuration.
    """

    steward: str | None = None
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[File, ...] | None = None
    limits: Limits = Limits()
    secrets: tuple[Secret, ...] = ()
    dirs: tuple[Dir, ...] = ()

    @classmethod
    def from_toml(cls, text: str, *, source: str = "Enarx.toml") -> Self:
        """The configuration in a TOML text; UsageError with `source`:line:column."""
        from enarx.formats import toml

        value, where = toml.loads(text, source)
        try:
            return cls._from_value(value)
        except Invalid as e:
            line, column = where(e.path)
            raise UsageError(e.code, f"{source}:{line}:{column}: {e.message}", hint=e.hint) from None

    @classmethod
    def _from_value(cls, value: dict[str, Any]) -> Self:
        known_keys(value, (), ("steward", "args", "env", "files", "limits", "secrets", "dirs"))
        files = each_of(value, (), "files", _file) if "files" in value else None
        config = cls(
            steward=_steward(value["steward"]) if "steward" in value else None,
            args=each_of(value, (), "args", text_of),
            env=_env(value.get("env", {})),
            files=files,
            limits=_limits(value.get("limits", {})),
            secrets=_secrets(value.get("secrets", {})),
            dirs=each_of(value, (), "dirs", _dir),
        )
        config.check()
        return config

    def replace(self, **changes: Any) -> Config:
        """A copy with some fields changed, checked as a whole; UsageError."""
        changed = replace(self, **changes)
        try:
            changed.check()
        except Invalid as e:
            raise UsageError(e.code, e.message, hint=e.hint) from None
        return changed

    def check(self) -> None:
        """Check rules across entries, and all values that command-line options can change; Invalid."""
        for i, arg in enumerate(self.args):
            text_of(arg, ("args", i))
        for name, text in self.env:
            text_of(text, ("env", _variable(name, ("env", name))))
        files = self.files or ()
        _positions(files)
        unique([f"{i}:" if f.kind == f.name == "null" else f.name for i, f in enumerate(files)], "files", "name")
        unique([s.name for s in self.secrets], "secrets", "name")
        _guests([_guest(d.guest, ("dirs", i, "guest")) for i, d in enumerate(self.dirs)])
        _variables(self.env, self.secrets)

    def sockets(self) -> tuple[File, ...]:
        """The entries of `files` that need a network."""
        return tuple(f for f in self.files or () if f.kind in ("listen", "connect"))

    def public(self) -> dict[str, Any]:
        """The part that a manifest carries in clear, as plain values for CBOR."""
        return {
            "steward": self.steward,
            "files": None if self.files is None else [_plain(f) for f in self.files],
            "limits": self.limits.public(),
            "secrets": [_plain(s) for s in self.secrets],
            "dirs": [{"guest": d.guest, "mode": d.mode} for d in self.dirs],
        }

    @classmethod
    def from_public(cls, value: object) -> Self:
        """The configuration in a manifest; ParseError unless `public` of it is exactly `value`."""
        try:
            config = cls._from_public(value)
            if not same(value, config.public()):
                raise TypeError
        except (Invalid, KeyError, TypeError, AttributeError, ValueError) as e:
            why = e.message if isinstance(e, Invalid) else "malformed"
            raise ParseError("manifest-config", f"manifest configuration: {why}", what="manifest") from None
        return config

    @classmethod
    def _from_public(cls, value: Any) -> Self:
        given: dict[str, Any] = {
            "secrets": {s["name"]: ({} if s["env"] is None else {"env": s["env"]}) for s in value["secrets"]},
        }
        if value["steward"] is not None:
            given["steward"] = value["steward"]
        if value["files"] is not None:
            given["files"] = [{k: v for k, v in f.items() if v is not None} for f in value["files"]]
        config = cls._from_value(given)
        dirs = each_of(value, (), "dirs", _public_dir)
        secrets = tuple(sorted(config.secrets, key=lambda s: s.name))
        config = replace(config, limits=Limits.from_public(value["limits"]), dirs=dirs, secrets=secrets)
        config.check()
        return config


def _plain(entry: File | Secret) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in names(entry)}


def _steward(value: object) -> str:
    path: Path = ("steward",)
    text = text_of(value, path)
    rest = text.removeprefix("https://")
    if rest == text or rest[:1] in ("", "/") or " " in text or not text.isprintable():
        raise Invalid(path, f"steward is {text!r}, wanted an https:// URL")
    return text


def _variable(name: object, path: Path) -> str:
    text = text_of(name, path)
    if not text or "=" in text:
        raise Invalid(path, f"{text!r} is not a variable name")
    return text


def _env(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise Invalid(("env",), f"env is {kind_of(value)}, wanted a table", code="config-type")
    return tuple(sorted((_variable(k, ("env", k)), text_of(v, ("env", k))) for k, v in value.items()))


def _variables(env: tuple[tuple[str, str], ...], secrets: tuple[Secret, ...]) -> None:
    """Require that `env` and `secrets` together set each variable at most once."""
    places: list[tuple[str, Path]] = [(k, ("env", k)) for k, _ in env]
    places += [(s.env, ("secrets", s.name, "env")) for s in secrets if s.env is not None]
    taken: set[str] = set()
    for name, path in places:
        if name in taken:
            raise Invalid(path, f"the variable {name} is set twice", code="config-duplicate")
        taken.add(name)


def _limits(value: Any) -> Limits:
    known_keys(value, ("limits",), names(Limits))
    return Limits(**{key: _limit(key, item, ("limits", key)) for key, item in value.items()})


def _limit(key: str, value: object, path: Path) -> Any:
    if key == "time":
        return _duration(value, path)
    if key == "fuel":
        return whole(value, path, 1, (1 << 63) - 1)
    if key == "open_files":
        return whole(value, path, 8, 65536)
    size = _read(value, path, parse_size) if isinstance(value, str) else value
    return whole(size, path, LEAST.get(key, 0), MAX_BYTES)


def _duration(value: object, path: Path) -> float:
    if isinstance(value, str):
        return float(_read(value, path, parse_duration))
    if type(value) is int:
        return float(whole(value, path, 1, MAX_SECONDS))
    if not isinstance(value, float):
        raise Invalid(
            path, f'{dotted(path)} is {kind_of(value)}, wanted seconds or a text such as "1s"', code="config-type"
        )
    if not 0.001 <= value <= MAX_SECONDS:
        raise Invalid(path, f"{dotted(path)} is {value}, wanted 0.001 to {MAX_SECONDS} seconds")
    return value


def _read(value: str, path: Path, parse: Any) -> Any:
    try:
        return parse(value)
    except UsageError as e:
        raise Invalid(path, f"{dotted(path)}: {e.message}", hint=e.hint) from None


def _secrets(value: object) -> tuple[Secret, ...]:
    if not isinstance(value, dict):
        raise Invalid(("secrets",), f"secrets is {kind_of(value)}, wanted a table of names", code="config-type")
    limited(value, ("secrets",))
    return tuple(_secret(name, table) for name, table in sorted(value.items()))


def _secret(name: str, table: Any) -> Secret:
    path: Path = ("secrets", name)
    if not name or len(name) > 64 or name.startswith(".") or not SECRET_CHARACTERS.issuperset(name):
        raise Invalid(path, f"{name!r} is not a secret name", hint="letters, digits, . _ and -, at most 64")
    if isinstance(table, str):
        message = f"secret {name} has a value, which must not be in a configuration file"
        hint = f"write {name} = {{}}, and pass the value when you deploy: --secret {name}=@FILE"
        raise Invalid(path, message, code="config-type", hint=hint)
    known_keys(table, path, ("env",))
    return Secret(name=name, env=_variable(table["env"], (*path, "env")) if "env" in table else None)


def _dir(value: Any, path: Path) -> Dir:
    known_keys(value, path, names(Dir))
    needs(value, path, "a directory", "guest")
    host = text_of(value["host"], (*path, "host"), empty=False) if "host" in value else None
    mode = one_of(value.get("mode", "ro"), (*path, "mode"), MODES)
    if host is None and mode == "ro":
        raise Invalid(path, "an empty read-only directory", hint='give host, or mode = "rw" or "out"')
    return Dir(guest=_guest(value["guest"], (*path, "guest")), host=host, mode=mode)


def _public_dir(value: Any, path: Path) -> Dir:
    return Dir(guest=_guest(value["guest"], (*path, "guest")), mode=one_of(value["mode"], (*path, "mode"), MODES))


def _guest(value: object, path: Path) -> str:
    text = text_of(value, path)
    parts = text.split("/")[1:]
    if not text.startswith("/") or (text != "/" and any(p in ("", ".", "..") for p in parts)):
        raise Invalid(path, f"{text!r}, wanted an absolute path without . or .. and without a trailing slash")
    if len(text.encode()) > MAX_GUEST:
        raise Invalid(path, f"a path of {len(text.encode())} bytes, wanted at most {MAX_GUEST}")
    if text == SECRETS_AT or text.startswith(SECRETS_AT + "/"):
        raise Invalid(path, f"{text} is reserved for secrets")
    return text


def _guests(guests: list[str]) -> None:
    """Require that no directory is repeated or lies within another, except within the root.

    In an order by path component, a directory directly follows the one that contains it.
    """
    limited(guests, ("dirs",))
    unique(guests, "dirs", "guest")
    order = sorted((guest.replace("/", "\0"), i) for i, guest in enumerate(guests) if guest != "/")
    for (outer, i), (inner, j) in pairwise(order):
        if inner.startswith(outer + "\0"):
            raise Invalid(("dirs", j, "guest"), f"{guests[j]} lies within {guests[i]}, another directory")


PLACES = {"listen": "addr", "connect": "host"}


def _file(value: Any, path: Path) -> File:
    known_keys(value, path, names(File))
    needs(value, path, "a file", "kind")
    kind = one_of(value["kind"], (*path, "kind"), KINDS)
    if kind not in PLACES:
        known_keys(value, path, ("kind", "name"))
        return File(kind=kind, name=_name(value.get("name", kind), path))
    at = PLACES[kind]
    known_keys(value, path, ("kind", "name", "prot", "port", at))
    needs(value, path, f"a {kind} file", "prot", "name" if kind == "listen" else "host")
    prot = one_of(value["prot"], (*path, "prot"), tuple(PORTS))
    port = whole(value.get("port", PORTS[prot]), (*path, "port"), 1, 65535)
    place = text_of(value.get(at, "::"), (*path, at), empty=False)
    return File(kind=kind, name=_name(value.get("name", place), path), prot=prot, port=port, **{at: place})


def _name(value: object, path: Path) -> str:
    text = text_of(value, (*path, "name"), empty=False)
    if ":" in text:
        raise Invalid((*path, "name"), f"name is {text!r}, wanted a text without :", hint="names are joined by :")
    return text


def _positions(files: tuple[File, ...]) -> None:
    """Require suitable kinds at 0, 1 and 2: the index is the WASI descriptor."""
    wanted = (("stdin", "null"), ("stdout", "stderr", "null"), ("stdout", "stderr", "null"))
    for i, file in enumerate(files):
        allowed = wanted[i] if i < 3 else ("listen", "connect", "null")
        if file.kind not in allowed:
            message = f"descriptor {i} is a file of kind {file.kind}, wanted {' or '.join(allowed)}"
            raise Invalid(("files", i), message, hint="the order of [[files]] is the order of descriptors")


def parse_env(text: str) -> tuple[str, str]:
    """Name and value of NAME=VALUE; UsageError, which never contains the value."""
    name, given, value = text.partition("=")
    try:
        if not given:
            raise Invalid((), "a variable without =")
        return _variable(name, ("env",)), text_of(value, ("env", name))
    except Invalid as e:
        raise UsageError("env", e.message, hint="as NAME=VALUE") from None


def parse_dir(text: str) -> Dir:
    """The directory that HOST::GUEST or HOST::GUEST:rw stands for; UsageError."""
    host, given, guest = text.rpartition("::")
    guest, mode = (guest[:-3], guest[-2:]) if guest.endswith((":ro", ":rw")) else (guest, "ro")
    try:
        if not given or not host:
            raise Invalid((), f"{text!r} is not a directory")
        return Dir(guest=_guest(guest, ("guest",)), host=host, mode=mode)
    except Invalid as e:
        raise UsageError("dir", e.message, hint="as HOST::GUEST, or HOST::GUEST:rw") from None
