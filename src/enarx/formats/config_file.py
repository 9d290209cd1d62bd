"""Enarx.toml, the configuration of a workload as a person writes it (docs/guides/configuration.md).

Reading turns what a person may write, such as 64MiB, defaults and left-out names, into the values of
`enarx.formats.config`, which then checks them. Every error names line and column. A Keep does not contain this module.
"""

from __future__ import annotations

from typing import Any

from enarx.errors import UsageError
from enarx.formats.checks import Invalid, Path, dotted, kind_of, one_of, text_of, whole
from enarx.formats.config import (
    BOUNDS,
    KINDS,
    MAX_SECONDS,
    SIZES,
    SOCKETS,
    TIMES,
    Config,
    Dir,
    File,
    Limits,
    Secret,
)
from enarx.formats.quantities import parse_duration, parse_size
from enarx.formats.tables import each_of, known_keys, needs
from enarx.record import names, replace

KEYS = tuple(name for name in names(Config) if name != "tty")
"""The keys of a file. Whether the workload sees a terminal depends on the command that runs it."""

PORTS = {"tls": 443, "tcp": 80}


def loads(text: str, source: str) -> Config:
    """The configuration in a TOML text; UsageError with `source`:line:column."""
    from enarx.formats import parties, toml  # loaded late: a command without a file needs neither

    value, where = toml.loads(text, source)
    try:
        return parties.with_parties(_config(value), value)
    except Invalid as e:
        line, column = where(e.path)
        raise UsageError(e.code, f"{source}:{line}:{column}: {e.message}", hint=e.hint) from None


def changed(config: Config, changes: dict[str, Any]) -> Config:
    """A copy with some fields changed, checked as a whole; UsageError."""
    config = replace(config, **changes)
    try:
        config.check()
    except Invalid as e:
        raise UsageError(e.code, e.message, hint=e.hint) from None
    return config


def _config(value: dict[str, Any]) -> Config:
    known_keys(value, (), KEYS)
    config = Config(
        steward=value.get("steward"),
        args=each_of(value, (), "args", text_of),
        env=tuple(sorted(_table(value, "env", "a table").items())),
        files=each_of(value, (), "files", _file) if "files" in value else None,
        limits=limits_of(value.get("limits", {})),
        secrets=tuple(_secret(*item) for item in sorted(_table(value, "secrets", "a table of names").items())),
        dirs=each_of(value, (), "dirs", _dir),
    )
    config.check()
    return config


def _table(value: dict[str, Any], key: str, wanted: str) -> dict[str, Any]:
    table = value.get(key, {})
    if not isinstance(table, dict):
        raise Invalid((key,), f"{key} is {kind_of(table)}, wanted {wanted}", code="config-type")
    return table


def limits_of(value: Any) -> Limits:
    """The limits in the table [limits] of a file; Invalid."""
    known_keys(value, ("limits",), names(Limits))
    return Limits(**{key: _limit(key, item, ("limits", key)) for key, item in value.items()})


def _limit(key: str, value: object, path: Path) -> Any:
    if key in TIMES:
        return _duration(value, path)
    size = _read(value, path, parse_size) if key in SIZES and isinstance(value, str) else value
    return whole(size, path, *BOUNDS[key])


def _duration(value: object, path: Path) -> float:
    if isinstance(value, str):
        return float(_read(value, path, parse_duration))
    if type(value) is int:
        return float(whole(value, path, 1, MAX_SECONDS))
    if not isinstance(value, float):
        message = f'{dotted(path)} is {kind_of(value)}, wanted seconds or a text such as "1s"'
        raise Invalid(path, message, code="config-type")
    if not 0.001 <= value <= MAX_SECONDS:
        raise Invalid(path, f"{dotted(path)} is {value}, wanted 0.001 to {MAX_SECONDS} seconds")
    return value


def _read(value: str, path: Path, parse: Any) -> Any:
    try:
        return parse(value)
    except UsageError as e:
        raise Invalid(path, f"{dotted(path)}: {e.message}", hint=e.hint) from None


def _secret(name: str, table: Any) -> Secret:
    path: Path = ("secrets", name)
    if isinstance(table, str):
        message = f"secret {name} has a value, which must not be in a configuration file"
        hint = f"write {name} = {{}}, and pass the value when you deploy: --secret {name}=@FILE"
        raise Invalid(path, message, code="config-type", hint=hint)
    known_keys(table, path, ("env",))
    return Secret(name=name, env=table.get("env"))


def _dir(value: Any, path: Path) -> Dir:
    known_keys(value, path, names(Dir))
    needs(value, path, "a directory", "guest")
    host = text_of(value["host"], (*path, "host"), empty=False) if "host" in value else None
    return Dir(guest=value["guest"], host=host, mode=value.get("mode", "ro"))


def _file(value: Any, path: Path) -> File:
    known_keys(value, path, names(File))
    needs(value, path, "a file", "kind")
    kind = one_of(value["kind"], (*path, "kind"), KINDS)
    fields = SOCKETS.get(kind, ())
    known_keys(value, path, ("kind", "name", *fields))
    if not fields:
        return File(kind=kind, name=value.get("name", kind))
    at = fields[-1]
    needs(value, path, f"a {kind} file", "prot", "name" if kind == "listen" else "host")
    prot = one_of(value["prot"], (*path, "prot"), tuple(PORTS))
    place = value.get(at, "::")
    return File(kind=kind, name=value.get("name", place), prot=prot, port=value.get("port", PORTS[prot]), **{at: place})
