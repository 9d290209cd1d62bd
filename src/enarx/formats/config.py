"""Enarx.toml: how a workload is to run. Parsed strictly; every error names line and column (docs/guides/configuration.md).

`Config.from_toml` reads what a person wrote. `Config.public` and `Config.from_public` are the part of it that a manifest
carries in clear, which a Keep reads back from bytes that it does not trust.
"""

from __future__ import annotations

from typing import Any, Self

from enarx.errors import ParseError, UsageError
from enarx.formats.checks import Invalid, Path, dotted, each_of, kind_of, known_keys, nearest, text_of, unique, whole
from enarx.formats.quantities import MAX_BYTES, parse_duration, parse_size
from enarx.formats.wire import encode
from enarx.record import names, record, replace

STDIO = ("stdin", "stdout", "stderr")
KINDS = ("null", *STDIO, "listen", "connect")
SECRETS_AT = "/run/secrets"
PAGE = 65536
PORTS = {"tls": 443, "tcp": 80}
SECRET_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


@record()
class Limits:
    """What a workload may take. Sizes in bytes, time in seconds of wall clock; None is no limit.

    disk is what it may write on top of the data that travels with it; output is stdout and stderr together.
    """

    memory: int = 1 << 30
    time: float | None = None
    fuel: int | None = None
    open_files: int = 256
    disk: int = 64 << 20
    output: int | None = None


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
    """A directory at `guest`: from `host` on the tenant's machine, or an empty scratch. `mode` is ro or rw."""

    guest: str
    host: str | None = None
    mode: str = "ro"


@record()
class Secret:
    """A secret's name: a file below /run/secrets for the guest, and a variable too if `env` names one."""

    name: str
    env: str | None = None


@record()
class Config:
    """An effective configuration. `files` is None where none are given: stdio is then inherited."""

    steward: str | None = None
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[File, ...] | None = None
    limits: Limits = Limits()
    secrets: tuple[Secret, ...] = ()
    dirs: tuple[Dir, ...] = ()

    @classmethod
    def from_toml(cls, text: str, *, source: str = "Enarx.toml") -> Self:
        """Parse a file's text; UsageError with `source`:line:column for anything that is not as it must be."""
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
        steward = value.get("steward")
        if steward is not None and not (isinstance(steward, str) and steward.startswith("https://")):
            raise Invalid(("steward",), f"steward is {steward!r}, wanted an https:// URL")
        files = each_of(value, (), "files", _file) if "files" in value else None
        config = cls(
            steward=steward,
            args=each_of(value, (), "args", lambda v, path: text_of(v, path)),
            env=_env(value.get("env", {})),
            files=files,
            limits=_limits(value.get("limits", {})),
            secrets=_secrets(value.get("secrets", {})),
            dirs=each_of(value, (), "dirs", _dir),
        )
        config.check()
        return config

    def replace(self, **changes: Any) -> Config:
        """Another configuration with some fields changed, checked as a whole; UsageError if it is not valid."""
        changed = replace(self, **changes)
        try:
            changed.check()
        except Invalid as e:
            raise UsageError(e.code, e.message, hint=e.hint) from None
        return changed

    def check(self) -> None:
        """What concerns more than one entry; Invalid says which."""
        _positions(self.files or ())
        unique([f"{i}:" if f.kind == "null" else f.name for i, f in enumerate(self.files or ())], "files", "name")
        unique([s.name for s in self.secrets], "secrets", "name")
        _guests([d.guest for d in self.dirs])
        names = [s.env for s in self.secrets if s.env is not None]
        clash = sorted(set(names) & {k for k, _ in self.env}) or sorted({n for n in names if names.count(n) > 1})
        if clash:
            raise Invalid(("secrets",), f"the variable {clash[0]} is set twice", code="config-duplicate")

    def sockets(self) -> tuple[File, ...]:
        """The entries that need a network."""
        return tuple(f for f in self.files or () if f.kind in ("listen", "connect"))

    def public(self) -> dict[str, Any]:
        """What a manifest carries in clear, as plain values."""
        limits = {name: getattr(self.limits, name) for name in names(Limits)}
        limits["time"] = None if self.limits.time is None else max(1, round(self.limits.time * 1000))
        return {
            "steward": self.steward,
            "files": None if self.files is None else [_plain(f) for f in self.files],
            "limits": limits,
            "secrets": [_plain(s) for s in self.secrets],
            "dirs": [{"guest": d.guest, "mode": d.mode} for d in self.dirs],
        }

    @classmethod
    def from_public(cls, value: object) -> Self:
        """The configuration in a manifest; ParseError unless it is exactly what `public` gives for some configuration."""
        try:
            found = cls._from_public(value)
        except (Invalid, KeyError, TypeError, AttributeError) as e:
            said = e.message if isinstance(e, Invalid) else "not of its form"
            raise ParseError("manifest-config", f"manifest configuration: {said}", what="manifest") from None
        if encode(found.public()) != encode(value):  # as bytes: to Python, True is 1
            raise ParseError("manifest-config", "manifest configuration: not of its form", what="manifest")
        return found

    @classmethod
    def _from_public(cls, value: Any) -> Self:
        milliseconds = value["limits"]["time"]
        limits = {**value["limits"], "time": None if milliseconds is None else milliseconds / 1000}
        given: dict[str, Any] = {
            "limits": {k: v for k, v in limits.items() if v is not None},
            "secrets": {s["name"]: ({} if s["env"] is None else {"env": s["env"]}) for s in value["secrets"]},
        }
        if value["steward"] is not None:
            given["steward"] = value["steward"]
        if value["files"] is not None:
            given["files"] = [{k: v for k, v in f.items() if v is not None} for f in value["files"]]
        config = cls._from_value(given)
        dirs = tuple(Dir(guest=_guest(d["guest"], ("dirs",)), mode=_mode(d["mode"], ("dirs",))) for d in value["dirs"])
        config = replace(config, dirs=dirs, secrets=tuple(sorted(config.secrets, key=lambda s: s.name)))
        config.check()
        return config


def _plain(entry: File | Secret) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in names(entry)}


def _variable(name: object, path: Path) -> str:
    text = text_of(name, path)
    if not text or "=" in text:
        raise Invalid(path, f"{text!r} is no name of a variable")
    return text


def _env(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise Invalid(("env",), f"env is {kind_of(value)}, wanted a table", code="config-type")
    return tuple(sorted((_variable(k, ("env", k)), text_of(v, ("env", k))) for k, v in value.items()))


def _limits(value: object) -> Limits:
    known_keys(value, ("limits",), names(Limits))
    assert isinstance(value, dict)  # known_keys has looked
    found: dict[str, Any] = {}
    for key in ("memory", "disk", "output"):
        if key in value:
            found[key] = _size(value[key], ("limits", key))
    if "time" in value:
        found["time"] = _duration(value["time"], ("limits", "time"))
    if "fuel" in value:
        found["fuel"] = whole(value["fuel"], ("limits", "fuel"), 1, (1 << 63) - 1)
    if "open_files" in value:
        found["open_files"] = whole(value["open_files"], ("limits", "open_files"), 8, 65536)
    if found.get("memory", PAGE) < PAGE:
        raise Invalid(("limits", "memory"), f"limits.memory is {found['memory']}, wanted at least one page of {PAGE}")
    return Limits(**found)


def _size(value: object, path: Path) -> int:
    if isinstance(value, str):
        try:
            value = parse_size(value)
        except UsageError as e:
            raise Invalid(path, f"{dotted(path)}: {e.message}", hint=e.hint) from None
    return whole(value, path, 0, MAX_BYTES)


def _duration(value: object, path: Path) -> float:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except UsageError as e:
            raise Invalid(path, f"{dotted(path)}: {e.message}", hint=e.hint) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(path, f'{dotted(path)} is {kind_of(value)}, wanted seconds or a text as "1s"', code="config-type")
    if not 0.001 <= value <= 10**9:
        raise Invalid(path, f"{dotted(path)} is {value}, wanted at least a millisecond")
    return float(value)


def _secrets(value: object) -> tuple[Secret, ...]:
    if not isinstance(value, dict):
        raise Invalid(("secrets",), f"secrets is {kind_of(value)}, wanted a table of names", code="config-type")
    return tuple(_secret(name, table) for name, table in sorted(value.items()))


def _secret(name: str, table: object) -> Secret:
    path: Path = ("secrets", name)
    if not name or len(name) > 64 or name.startswith(".") or not SECRET_CHARACTERS.issuperset(name):
        raise Invalid(path, f"{name!r} is no name of a secret", hint="letters, digits, . _ and -, at most 64")
    if isinstance(table, str):
        raise Invalid(
            path,
            f"secret {name} has a value here, which must not be in a file of configuration",
            code="config-type",
            hint=f"{name} = {{}}, and give the value at deploy time: --secret {name}=@FILE",
        )
    known_keys(table, path, ("env",))
    assert isinstance(table, dict)  # known_keys has looked
    return Secret(name=name, env=_variable(table["env"], (*path, "env")) if "env" in table else None)


def _dir(value: Any, path: Path) -> Dir:
    known_keys(value, path, names(Dir))
    if "guest" not in value:
        raise Invalid(path, "a directory without guest, the path that the workload sees", code="config-missing")
    host = text_of(value["host"], (*path, "host")) if "host" in value else None
    mode = _mode(value.get("mode", "ro"), (*path, "mode"))
    if host is None and mode == "ro":
        raise Invalid(path, "an empty directory that can not be written to", hint='give host, or mode = "rw"')
    return Dir(guest=_guest(value["guest"], (*path, "guest")), host=host, mode=mode)


def _mode(value: object, path: Path) -> str:
    if value not in ("ro", "rw"):
        raise Invalid(path, f"mode is {value!r}, wanted ro or rw")
    return str(value)


def _guest(value: object, path: Path) -> str:
    text = text_of(value, path)
    parts = text.split("/")[1:]
    if (
        not text.startswith("/")
        or (text != "/" and any(p in ("", ".", "..") for p in parts))
        or len(text.encode()) > 1024
    ):
        raise Invalid(path, f"{text!r}, wanted an absolute path without . or .. and without a slash at its end")
    if text == SECRETS_AT or text.startswith(SECRETS_AT + "/"):
        raise Invalid(path, f"{text} is where secrets are")
    return text


def _guests(guests: list[str]) -> None:
    unique(guests, "dirs", "guest")
    for i, inner in enumerate(guests):
        for outer in guests:
            if outer != "/" and inner.startswith(outer + "/"):
                raise Invalid(("dirs", i, "guest"), f"{inner} lies in {outer}, which is a directory of its own")


FILE_KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("null", *STDIO), ("kind", "name")),
    "listen": ("kind", "name", "prot", "addr", "port"),
    "connect": ("kind", "name", "prot", "host", "port"),
}


def _file(value: Any, path: Path) -> File:
    known_keys(value, path, names(File))
    kind = value.get("kind")
    if kind not in KINDS:
        hint = nearest(kind, KINDS) if isinstance(kind, str) else f"one of {', '.join(KINDS)}"
        raise Invalid((*path, "kind"), f"kind is {kind!r}, which is no kind of file", hint=hint)
    known_keys(value, path, FILE_KEYS[kind])
    for key in {"listen": ("prot", "name"), "connect": ("prot", "host")}.get(kind, ()):
        if key not in value:
            raise Invalid(path, f"a {kind} file without {key}", code="config-missing")
    name = text_of(value.get("name", value.get("host", kind)), (*path, "name"))
    if not name or ":" in name:
        raise Invalid((*path, "name"), f"name is {name!r}, wanted a text without :")
    if kind not in ("listen", "connect"):
        return File(kind=kind, name=name)
    prot = value["prot"]
    if prot not in PORTS:
        raise Invalid((*path, "prot"), f"prot is {prot!r}, wanted tcp or tls")
    port = whole(value.get("port", PORTS[prot]), (*path, "port"), 1, 65535)
    if kind == "connect":
        return File(kind=kind, name=name, prot=prot, port=port, host=text_of(value["host"], (*path, "host")))
    return File(kind=kind, name=name, prot=prot, port=port, addr=text_of(value.get("addr", "::"), (*path, "addr")))


def _positions(files: tuple[File, ...]) -> None:
    """The index is the WASI descriptor: what can stand at 0, 1 and 2 is given by what they are."""
    wanted = (("stdin", "null"), ("stdout", "stderr", "null"), ("stdout", "stderr", "null"))
    for i, file in enumerate(files):
        allowed = wanted[i] if i < 3 else ("listen", "connect", "null")
        if file.kind not in allowed:
            raise Invalid(
                ("files", i),
                f"a file of kind {file.kind} as descriptor {i}, wanted {' or '.join(allowed)}",
                hint="the order of [[files]] is the order of descriptors",
            )


def parse_env(text: str) -> tuple[str, str]:
    """Name and value of a text as K=V."""
    name, given, value = text.partition("=")
    if not given or not name or "\0" in text:
        raise UsageError("env", f"{text!r} is no variable", hint="as NAME=VALUE")
    return name, value


def parse_dir(text: str) -> Dir:
    """A directory of a text as HOST::GUEST or HOST::GUEST:rw."""
    host, given, guest = text.rpartition("::")
    mode = "rw" if guest.endswith(":rw") else "ro"
    guest = guest.removesuffix(":rw").removesuffix(":ro")
    try:
        if not given or not host:
            raise Invalid((), f"{text!r} is no directory")
        return Dir(guest=_guest(guest, ()), host=host, mode=mode)
    except Invalid as e:
        raise UsageError("dir", e.message, hint="as HOST::GUEST, or HOST::GUEST:rw") from None
