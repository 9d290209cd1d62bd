"""The configuration of a workload: its values, the rules that hold for them, and its form in a manifest.

`Config.public` is the part that a manifest carries in clear. `Config.from_public` parses it in a Keep, from bytes that the
Keep does not trust. `Config.check` holds all rules, for a manifest and for a file alike. Only the tenant's side reads files
(`enarx.formats.config_file`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats.checks import Invalid, Path, limited, one_of, same, text_of, unique, whole
from enarx.record import names, record

STDIO = ("stdin", "stdout", "stderr")
SOCKETS = {"listen": ("prot", "port", "addr"), "connect": ("prot", "port", "host")}
"""The kinds of files that need a network, each with its fields. The last is an address."""

KINDS = ("null", *STDIO, *SOCKETS)
PROTOCOLS = ("tls", "tcp")
SECRETS_AT = "/run/secrets"
SECRET_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
MODES = ("ro", "rw", "out")
MAX_GUEST = 1024
MAX_BYTES = 1 << 46
MAX_SECONDS = 10**9
SIZES = ("memory", "compile", "disk", "output")
TIMES = ("time", "contributions")
BOUNDS = dict.fromkeys(SIZES, (0, MAX_BYTES)) | dict.fromkeys(TIMES, (1, MAX_SECONDS * 1000))
BOUNDS |= {
    "memory": (65536, MAX_BYTES),
    "compile": (1 << 20, MAX_BYTES),
    "fuel": (1, (1 << 63) - 1),
    "open_files": (8, 65536),
}
"""The smallest and the greatest value of each limit in a manifest, where times are in milliseconds."""


@record()
class Limits:
    """The limits of a workload: sizes in bytes, time in seconds of wall clock. None means unlimited.

    `disk` limits the data that the workload writes, besides the directories of its package. `output` limits stdout and
    stderr together. `compile` limits the compiler's memory; None derives it from the module's size (`formats.bounds`).
    Providers' parts count against `disk`; the Keep waits for them for `contributions` seconds.
    """

    memory: int = 1 << 30
    compile: int | None = None
    time: float | None = None
    fuel: int | None = None
    open_files: int = 256
    disk: int = 64 << 20
    output: int | None = None
    contributions: float = 600.0

    def public(self) -> dict[str, Any]:
        """The limits as plain values for CBOR, with times in whole milliseconds, at least one."""
        value = {name: getattr(self, name) for name in names(Limits)}
        return value | {name: max(1, round(value[name] * 1000)) for name in TIMES if value[name] is not None}

    @classmethod
    def from_public(cls, value: Any) -> Limits:
        """The limits in a map that `public` made; Invalid, KeyError or TypeError for anything else."""
        given: dict[str, Any] = {
            name: whole(v, ("limits", name), *BOUNDS[name]) for name, v in dict(value).items() if v is not None
        }
        return cls(**given | {name: given[name] / 1000 for name in TIMES if name in given})


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

    With `tty` the workload sees a terminal at its descriptors 0 to 2. No file sets it: the tenant's side does.

    Arguments and variables are not shown: no host may see them, and a program may log a configuration.
    """

    steward: str | None = None
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    files: tuple[File, ...] | None = None
    limits: Limits = Limits()
    secrets: tuple[Secret, ...] = ()
    dirs: tuple[Dir, ...] = ()
    tty: bool = False
    providers: tuple[Any, ...] = ()  # of parties.Provider, and below of parties.Recipient; empty in a Keep
    recipients: tuple[Any, ...] = ()

    @classmethod
    def from_toml(cls, text: str, *, source: str = "Enarx.toml") -> Config:
        """The configuration in a TOML text; UsageError with `source`:line:column."""
        from enarx.formats import config_file

        return config_file.loads(text, source)

    def replace(self, **changes: Any) -> Config:
        """A copy with some fields changed, checked as a whole; UsageError."""
        from enarx.formats import config_file

        return config_file.changed(self, changes)

    def check(self) -> None:
        """Check every value except limits, which are checked where they are read, and the rules across entries; Invalid."""
        files = self.files or ()
        for key, entries in (("files", files), ("secrets", self.secrets), ("dirs", self.dirs)):
            limited(entries, (key,))
        if self.steward is not None:
            _steward(self.steward)
        for i, arg in enumerate(self.args):
            text_of(arg, ("args", i))
        for name, text in self.env:
            text_of(text, ("env", _variable(name, ("env", name))))
        for i, file in enumerate(files):
            _file(file, ("files", i))
        _positions(files)
        unique([f"{i}:" if f.kind == f.name == "null" else f.name for i, f in enumerate(files)], "files", "name")
        for secret in self.secrets:
            _secret(secret, ("secrets", secret.name))
        unique([s.name for s in self.secrets], "secrets", "name")
        _variables(self.env, self.secrets)
        for i, directory in enumerate(self.dirs):
            _dir(directory, ("dirs", i))
        _guests([d.guest for d in self.dirs])

    def sockets(self) -> tuple[File, ...]:
        """The entries of `files` that need a network."""
        return tuple(f for f in self.files or () if f.kind in SOCKETS)

    def public(self) -> dict[str, Any]:
        """The part that a manifest carries in clear, as plain values for CBOR."""
        return {
            "steward": self.steward,
            "files": None if self.files is None else [_plain(f) for f in self.files],
            "limits": self.limits.public(),
            "secrets": [_plain(s) for s in self.secrets],
            "dirs": [{"guest": d.guest, "mode": d.mode} for d in self.dirs],
            "tty": self.tty,
        }

    @classmethod
    def from_public(cls, value: object) -> Self:
        """The configuration in a manifest; ParseError unless `public` of it is exactly `value`."""
        try:
            config = cls._from_public(value)
            config.check()
            if not same(value, config.public()):
                raise TypeError
        except (Invalid, KeyError, TypeError, AttributeError, ValueError) as e:
            why = e.message if isinstance(e, Invalid) else "malformed"
            raise ParseError("manifest-config", f"manifest configuration: {why}", what="manifest") from None
        return config

    @classmethod
    def _from_public(cls, value: Any) -> Self:
        """The values that `check` has yet to examine. Keys that are left out here differ from `public`."""
        files = value["files"]
        return cls(
            steward=value["steward"],
            files=None if files is None else tuple(_public_file(f) for f in files),
            limits=Limits.from_public(value["limits"]),
            secrets=tuple(sorted((Secret(**s) for s in value["secrets"]), key=lambda s: s.name)),
            dirs=tuple(Dir(guest=d["guest"], mode=d["mode"]) for d in value["dirs"]),
            tty=value["tty"] is True,
        )


def _plain(entry: File | Secret) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in names(entry)}


def _public_file(value: Any) -> File:
    return File(**{name: value[name] for name in ("kind", "name", *SOCKETS.get(value["kind"], ()))})


def _steward(value: object) -> None:
    path: Path = ("steward",)
    text = text_of(value, path)
    rest = text.removeprefix("https://")
    if rest == text or rest[:1] in ("", "/") or " " in text or not text.isprintable():
        raise Invalid(path, f"steward is {text!r}, wanted an https:// URL")


def _variable(name: object, path: Path) -> str:
    text = text_of(name, path)
    if not text or "=" in text:
        raise Invalid(path, f"{text!r} is not a variable name")
    return text


def _variables(env: tuple[tuple[str, str], ...], secrets: tuple[Secret, ...]) -> None:
    """Require that `env` and `secrets` together set each variable at most once."""
    places: list[tuple[str, Path]] = [(k, ("env", k)) for k, _ in env]
    places += [(s.env, ("secrets", s.name, "env")) for s in secrets if s.env is not None]
    taken: set[str] = set()
    for name, path in places:
        if name in taken:
            raise Invalid(path, f"the variable {name} is set twice", code="config-duplicate")
        taken.add(name)


def _secret(secret: Secret, path: Path) -> None:
    name = text_of(secret.name, path)
    if not name or len(name) > 64 or name.startswith(".") or not SECRET_CHARACTERS.issuperset(name):
        raise Invalid(path, f"{name!r} is not a secret name", hint="letters, digits, . _ and -, at most 64")
    if secret.env is not None:
        _variable(secret.env, (*path, "env"))


def _dir(directory: Dir, path: Path) -> None:
    one_of(directory.mode, (*path, "mode"), MODES)
    _guest(directory.guest, (*path, "guest"))


def _guest(value: object, path: Path) -> None:
    text = text_of(value, path)
    parts = text.split("/")[1:]
    if not text.startswith("/") or (text != "/" and any(p in ("", ".", "..") for p in parts)):
        raise Invalid(path, f"{text!r}, wanted an absolute path without . or .. and without a trailing slash")
    if len(text.encode()) > MAX_GUEST:
        raise Invalid(path, f"a path of {len(text.encode())} bytes, wanted at most {MAX_GUEST}")
    if text == SECRETS_AT or text.startswith(SECRETS_AT + "/"):
        raise Invalid(path, f"{text} is reserved for secrets")


def _guests(guests: list[str]) -> None:
    """Require that no directory is repeated or lies within another, except within the root.

    In an order by path component, a directory directly follows the one that contains it.
    """
    unique(guests, "dirs", "guest")
    order = sorted((guest.replace("/", "\0"), i) for i, guest in enumerate(guests) if guest != "/")
    for (outer, i), (inner, j) in pairwise(order):
        if inner.startswith(outer + "\0"):
            raise Invalid(("dirs", j, "guest"), f"{guests[j]} lies within {guests[i]}, another directory")


def _file(file: File, path: Path) -> None:
    if one_of(file.kind, (*path, "kind"), KINDS) in SOCKETS:
        at = SOCKETS[file.kind][-1]
        one_of(file.prot, (*path, "prot"), PROTOCOLS)
        whole(file.port, (*path, "port"), 1, 65535)
        text_of(getattr(file, at), (*path, at), empty=False)
    name = text_of(file.name, (*path, "name"), empty=False)
    if ":" in name:
        raise Invalid((*path, "name"), f"name is {name!r}, wanted a text without :", hint="names are joined by :")


def _positions(files: tuple[File, ...]) -> None:
    """Require suitable kinds at 0, 1 and 2: the index is the WASI descriptor."""
    wanted = (("stdin", "null"), ("stdout", "stderr", "null"), ("stdout", "stderr", "null"))
    for i, file in enumerate(files):
        allowed = wanted[i] if i < 3 else (*SOCKETS, "null")
        if file.kind not in allowed:
            message = f"descriptor {i} is a file of kind {file.kind}, wanted {' or '.join(allowed)}"
            raise Invalid(("files", i), message, hint="the order of [[files]] is the order of descriptors")
