"""From a module, its configuration and its secrets to a package, for the command line and for programs alike."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from enarx.api.text_format import assemble
from enarx.errors import UsageError
from enarx.formats.checks import Invalid
from enarx.formats.config import Config, Dir, Limits
from enarx.formats.config_file import limits_of
from enarx.formats.package import SALT_SIZE
from enarx.record import record, replace
from enarx.tenant import package
from enarx.tenant.owners import Owners, load
from enarx.tenant.package import Package
from enarx.tenant.paths import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.formats.package import Manifest
    from enarx.formats.sharing import Provider, Recipient
    from enarx.tenant.results import Results

Path = str | os.PathLike[str]
Dirs = Mapping[str, Path] | Iterable[Dir]

CONFIG = "Enarx.toml"
FIXED, KEEP = TIMES = ("fixed", "keep")
"""What becomes of modification times."""

MAX_CONFIG = 1 << 20
"""Bytes of a configuration file."""


@record()
class Out:
    """Where the content of output directories goes: `places` are (path for the guest, directory of this machine).

    A place must be absent or an empty directory; with `replace` it is replaced as a whole. With `times`, files get the times
    that they had in the Keep.
    """

    places: tuple[tuple[str, str], ...] = ()
    replace: bool = False
    times: bool = False

    def check(self) -> None:
        """Require that every place can be written. UsageError."""
        from enarx.tenant.destination import Destination, require_free

        require_free([Destination(place, replace=self.replace) for _, place in self.places])

    def results_of_owner(self, manifest: Manifest) -> Results | None:
        """What unpacks the results for the owner of a package; None if there are none, or if recipients get them. UsageError."""
        if not manifest.recipients:
            return self.results(manifest.config)
        if self.places:
            names = ", ".join(recipient.name for recipient in manifest.recipients)
            hint = "a recipient fetches them: enarx data open INVITATION --key FILE --out DIR::GUEST"
            raise UsageError("out-sealed", f"the results are not written here: they are sealed to {names}", hint=hint)
        return None

    def results(self, config: Config) -> Results | None:
        """What unpacks the output directories of `config`; None if it has none. UsageError for places of others."""
        if not self.places and all(d.mode != "out" for d in config.dirs):
            return None
        from enarx.tenant.results import Results  # most runs have none, and need not wait for it

        return Results(config, dict(self.places), replace=self.replace, times=self.times)


def out_of(out: Mapping[str, Path] | None, *, replace: bool, times: str = FIXED) -> Out:
    """The Out for these arguments of `run`, `deploy` and `attach`. UsageError for a wrong type."""
    _require("out", out or {}, (Mapping,), "a mapping of guest paths to directories")
    for guest, path in (out or {}).items():
        _require(f"out of {guest}", path, (str, os.PathLike), "a path")
    places = tuple((guest, os.fspath(path)) for guest, path in (out or {}).items())
    return Out(places=places, replace=replace, times=times == KEEP)


@record(hidden=("module", "args", "env", "secrets", "salt", "argv0"))
class Workload:
    """A module to run, with its configuration, data and secrets. No file is read before `build`.

    `module` is the path of a core WebAssembly module with WASI preview 1, or its bytes; both may have the text format, if
    wasmtime is installed. `config` is a Config or the path
    of an Enarx.toml; None is the Enarx.toml beside the module, if there is one. Its relative directories start from the
    file's directory and stay below it; those of a Config start from the working directory.

    `args` replaces the configuration's arguments; `env` and `dirs` are added to its variables and directories.
    `dirs` maps guest paths to directories of this machine, read-only in the Keep, or holds `Dir`s.

    `secrets` has a value for each name under [secrets]; None builds a package with empty values, which has the same digest.
    `owners` are key files, PEM, one of them private; none means the user's own key. `salt` is 32 bytes: keep it to get
    the same digest again.

    `argv0` is the workload's name for itself; None is the module's file name. `times` is "fixed", which gives all files
    one time, so that equal data has equal digests, or "keep", which keeps modification times.

    With `tty` the workload sees a terminal at its stdin, stdout and stderr. `limits` override those of the configuration,
    by name and as in the file: {"memory": "64MiB", "time": 2}.
    `out` are guest paths of directories whose content returns; those that the configuration lacks are added.
    """

    module: Path | bytes
    config: Config | Path | None = None
    args: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    dirs: tuple[Dir, ...] = ()
    secrets: tuple[tuple[str, bytes], ...] | None = None
    owners: tuple[str, ...] = ()
    salt: bytes | None = None
    argv0: str | None = None
    times: str = FIXED
    tty: bool = False
    limits: tuple[tuple[str, object], ...] = ()
    out: tuple[str, ...] = ()

    def build(self) -> tuple[Package, Owners]:
        """The package, and its owners with the key that signs the delivery. UsageError."""
        config, base = self._config()
        signers = load(self.owners)
        values = {secret.name: b"" for secret in config.secrets} if self.secrets is None else dict(self.secrets)
        salt = os.urandom(SALT_SIZE) if self.salt is None else self.salt
        if len(salt) != SALT_SIZE:
            raise UsageError("salt", f"the salt has {len(salt)} bytes, wanted {SALT_SIZE}")
        module = self.module if isinstance(self.module, bytes) else os.fspath(self.module)
        providers, recipients = _parties(config, base)
        if self.secrets is None:
            values = {name: b"" for name in values if not any(name in provider.secrets for provider in providers)}
        built = package.build(
            module,
            config,
            owners=signers.public,
            salt=salt,
            secrets=values,
            base=base,
            argv0=self._name() if self.argv0 is None else self.argv0,
            times=self.times == KEEP,
            providers=providers,
            recipients=recipients,
            assemble=assemble,
        )
        return built, signers

    def _name(self) -> str:
        """The module's file name; bytes, and a module from stdin, have none."""
        path = "" if isinstance(self.module, bytes) else os.path.basename(os.fspath(self.module))
        return path if path not in ("", "-") else package.ARGV0

    def _config(self) -> tuple[Config, str]:
        """The effective configuration, and the directory that its relative paths start from."""
        config, base = self._config_in_file()
        changes: dict[str, object] = {
            "env": tuple(sorted((dict(config.env) | dict(self.env)).items())),
            "dirs": _with_out((*config.dirs, *map(_from_here, self.dirs)), self.out),
            "limits": _changed(config.limits, dict(self.limits)),
            "tty": self.tty,
        }
        if self.args is not None:
            changes["args"] = self.args
        return config.replace(**changes), base

    def _config_in_file(self) -> tuple[Config, str]:
        """The configuration without the additions of this workload, and its directory."""
        if isinstance(self.config, Config):
            return self.config, "."
        path = "" if self.config is None else os.fspath(self.config)
        if not path and not isinstance(self.module, bytes):
            beside = os.path.join(os.path.dirname(os.fspath(self.module)), CONFIG)
            path = beside if os.path.exists(beside) else ""
        return (read_config(path), os.path.dirname(path) or ".") if path else (Config(), ".")


def workload(
    module: Path | bytes,
    *,
    config: Config | Path | None = None,
    args: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    dirs: Dirs = (),
    secrets: Mapping[str, bytes] | None = None,
    owners: Sequence[Path] = (),
    salt: bytes | None = None,
    argv0: str | None = None,
    times: str = FIXED,
    tty: bool = False,
    limits: Mapping[str, object] | None = None,
    out: Iterable[str] = (),
) -> Workload:
    """The Workload for these arguments of `run` and `deploy`; without `secrets` it has none. UsageError for a wrong type."""
    _require("module", module, (str, os.PathLike, bytes), "a path or bytes")
    _require("config", config, (Config, str, os.PathLike, type(None)), "an enarx.Config or a path")
    _require("args", args or (), (Sequence,), "a sequence of texts")
    _require("env", env or {}, (Mapping,), "a mapping of names to texts")
    _require("dirs", dirs, (Mapping, Iterable), "a mapping of guest paths to directories, or enarx.Dir objects")
    _require("secrets", secrets or {}, (Mapping,), "a mapping of names to bytes")
    _require("owners", owners, (Sequence,), "a sequence of paths")
    for name, value in (secrets or {}).items():
        _require(f"secret {name}", value, (bytes,), "bytes")
    if salt is not None:
        _require("salt", salt, (bytes,), "bytes")
    _require("argv0", argv0 or "", (str,), "a text")
    _require("tty", tty, (bool,), "True or False")
    _require("limits", limits or {}, (Mapping,), "a mapping of the names under [limits] to values")
    if times not in TIMES:
        raise UsageError("argument", f"times is {times!r}, wanted {' or '.join(map(repr, TIMES))}")
    return Workload(
        module=module,
        config=config,
        args=None if args is None else tuple(args),
        env=tuple((env or {}).items()),
        dirs=_dirs(dirs),
        secrets=tuple((secrets or {}).items()),
        owners=tuple(os.fspath(path) for path in owners),
        salt=salt,
        argv0=argv0,
        times=times,
        tty=tty,
        limits=tuple((limits or {}).items()),
        out=tuple(out),
    )


def _parties(config: Config, base: str) -> tuple[tuple[Provider, ...], tuple[Recipient, ...]]:
    """The further owners of data that a configuration names, if any. UsageError."""
    if not config.providers and not config.recipients:
        return (), ()
    from enarx.tenant import parties

    return parties.resolve(config, base)


def read_config(path: str) -> Config:
    """The configuration in a file, whose directories stay below the file's own. UsageError with line and column."""
    data = read_file(path, MAX_CONFIG + 1, code="config-file", hint="write one with: enarx init")
    try:
        text = data.decode().removeprefix("\ufeff")  # the mark of some editors
    except UnicodeDecodeError as e:
        from enarx.tenant import config_faults

        raise config_faults.undecodable(path, data, e.start) from e
    if len(data) > MAX_CONFIG:
        raise UsageError("config-size", f"{path}: over {MAX_CONFIG >> 20} MiB")
    try:
        config = Config.from_toml(text, source=path)
    except UsageError as e:
        from enarx.tenant import config_faults

        raise config_faults.refused(e, text, path) from None
    for directory in config.dirs:
        hint = f"paths in a file stay below it; if you mean it: --dir {directory.host}::{directory.guest}"
        _require_below("host", directory.host or ".", path, hint)
    for key in (*(p.key for p in config.providers), *(r.key for r in config.recipients)):
        _require_below("key", key, path, "put the key beside the file, or write its hexadecimal digits")
    return config


def _require_below(key: str, value: str, path: str, hint: str) -> None:
    """UsageError if the file names a path outside its own: its author may be anyone, so only the caller may do that."""
    if os.path.isabs(value) or os.path.splitdrive(value)[0] or ".." in value.replace(os.sep, "/").split("/"):
        raise UsageError("dir-outside", f"{path}: {key} = {value!r} leads out of the file's own directory", hint=hint)


def _changed(limits: Limits, changes: dict[str, object]) -> Limits:
    """The limits with some changed to values as in a file. UsageError."""
    try:
        changed = limits_of(changes)
    except Invalid as e:
        raise UsageError(e.code, e.message, hint=e.hint) from None
    return replace(limits, **{name: getattr(changed, name) for name in changes})


def _with_out(dirs: tuple[Dir, ...], out: tuple[str, ...]) -> tuple[Dir, ...]:
    """The directories, with one of mode `out` for each guest path in `out`. UsageError for a read-only one."""
    for guest in out:
        at = next((i for i, directory in enumerate(dirs) if directory.guest == guest), len(dirs))
        host, mode = (dirs[at].host, dirs[at].mode) if at < len(dirs) else (None, "out")
        if mode == "ro":
            hint = f'make it writable: --dir HOST::{guest}:rw, or mode = "out" in the file'
            raise UsageError("out-read-only", f"{guest} is read-only, and has no results", hint=hint)
        dirs = (*dirs[:at], Dir(guest=guest, host=host, mode="out"), *dirs[at + 1 :])
    return dirs


def _from_here(directory: Dir) -> Dir:
    """The directory with an absolute path: paths of the caller start from the working directory, not from the file's."""
    if directory.host is None:
        return directory
    return Dir(guest=directory.guest, host=os.path.abspath(directory.host), mode=directory.mode)


def _require(name: str, value: object, types: tuple[type, ...], wanted: str) -> None:
    """UsageError, which never contains the value, unless it is of one of these types."""
    if not isinstance(value, types) or (isinstance(value, str) and str not in types):  # a text is a sequence too
        raise UsageError("argument", f"{name} is of type {type(value).__name__}, wanted {wanted}")


def _dirs(dirs: Dirs) -> tuple[Dir, ...]:
    if not isinstance(dirs, Mapping):
        return tuple(dirs)
    return tuple(Dir(guest=str(guest), host=os.fspath(host)) for guest, host in dirs.items())
