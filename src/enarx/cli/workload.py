"""From the options that say what runs to a package: shared by run, deploy and package."""

from __future__ import annotations

import argparse
import os

from enarx.errors import UsageError
from enarx.formats.config import Config, Dir, parse_dir, parse_env
from enarx.formats.package import SALT_SIZE
from enarx.tenant import owners, package
from enarx.tenant.paths import read_file, write_private

CONFIG = "Enarx.toml"
MAX_CONFIG = 1 << 20
MAX_SECRET = 1 << 20


def config(options: argparse.Namespace) -> tuple[Config, str]:
    """The effective configuration, command line over file, and the directory that its paths start from."""
    found, base = _file(options)
    env = dict(found.env) | dict(parse_env(text) for text in options.env)
    dirs = [*found.dirs, *(_from_here(parse_dir(text)) for text in options.dir)]
    merged = found.replace(
        args=tuple(options.args) if options.args else found.args, env=tuple(sorted(env.items())), dirs=tuple(dirs)
    )
    return merged, base


def _from_here(directory: Dir) -> Dir:
    """Paths of the command line start from the working directory, those of a file from the file's."""
    if directory.host is None:
        return directory
    return Dir(guest=directory.guest, host=os.path.abspath(directory.host), mode=directory.mode)


def _file(options: argparse.Namespace) -> tuple[Config, str]:
    beside = os.path.join(os.path.dirname(options.wasm), CONFIG)
    path = options.config or (beside if os.path.exists(beside) else "")
    if not path:
        return Config(), "."
    data = read_file(path, MAX_CONFIG + 1, code="config-file", hint="write one with: enarx init")
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        raise UsageError("config-encoding", f"{path}: not UTF-8 at byte {e.start}") from e
    if len(data) > MAX_CONFIG:
        raise UsageError("config-size", f"{path}: over {MAX_CONFIG >> 20} MiB")
    found = Config.from_toml(text, source=path)
    for directory in found.dirs:
        _require_below(directory, path)
    return found, os.path.dirname(path)


def _require_below(directory: Dir, path: str) -> None:
    """A file may come from anybody: only the command line names directories beyond the one that the file is in."""
    host = directory.host or "."
    if os.path.isabs(host) or os.path.splitdrive(host)[0] or ".." in host.replace(os.sep, "/").split("/"):
        hint = f"paths in a file stay below it; if you mean it: --dir {host}::{directory.guest}"
        raise UsageError("dir-outside", f"{path}: host = {host!r} leads out of the file's own directory", hint=hint)


def build(
    options: argparse.Namespace, *, secrets: dict[str, bytes] | None = None
) -> tuple[package.Package, owners.Owners]:
    """The package that the options describe. Without `secrets` their values are empty: they are not in the digest."""
    effective, base = config(options)
    who = owners.load(tuple(options.owner))
    values = {s.name: b"" for s in effective.secrets} if secrets is None else secrets
    built = package.build(
        options.wasm, effective, owners=who.public, salt=_salt(options.salt), secrets=values, base=base or "."
    )
    return built, who


def _salt(path: str | None) -> bytes:
    if path is None:
        return os.urandom(SALT_SIZE)
    if not os.path.exists(path):
        salt = os.urandom(SALT_SIZE)
        write_private(os.path.abspath(path), salt.hex().encode() + b"\n")
        return salt
    try:
        salt = bytes.fromhex(read_file(path, 256, code="salt-file").decode("ascii").strip())
    except ValueError as e:
        raise UsageError("salt-file", f"{path}: not a file with {2 * SALT_SIZE} hexadecimal digits") from e
    if len(salt) != SALT_SIZE:
        raise UsageError("salt-file", f"{path}: {len(salt)} bytes, wanted {SALT_SIZE}")
    return salt


def secrets(options: argparse.Namespace) -> dict[str, bytes]:
    """The values of --secret: from files, variables or the terminal, never from the command line itself."""
    values: dict[str, bytes] = {}
    for text in options.secret:
        name, given, source = text.partition("=")
        if name in values:
            raise UsageError("secret-twice", f"secret {name}: given twice")
        values[name] = _value(name, source if given else "?")
    return values


def _value(name: str, source: str) -> bytes:
    if source.startswith("@"):
        value = read_file(source[1:], MAX_SECRET + 1, code="secret-file", hint=f"wanted a file for secret {name}")
        if len(value) > MAX_SECRET:
            raise UsageError("secret-size", f"secret {name}: over {MAX_SECRET >> 20} MiB")
        return value
    if source.startswith("env:"):
        if source[4:] not in os.environ:
            raise UsageError("secret-env", f"secret {name}: the variable {source[4:]} is not set")
        return os.environb[source[4:].encode()] if os.supports_bytes_environ else os.environ[source[4:]].encode()
    if source == "?":
        return _ask(name)
    raise UsageError(
        "secret-source",
        f"secret {name}: a value on the command line can be seen by others; it was not used",
        hint=f"--secret {name}=@FILE, --secret {name}=env:VARIABLE, or --secret {name} to be asked",
    )


def _ask(name: str) -> bytes:
    import getpass
    import sys

    if not sys.stdin.isatty():
        raise UsageError("secret-prompt", f"secret {name}: no terminal to ask on", hint=f"--secret {name}=@FILE")
    return getpass.getpass(f"value of secret {name}: ").encode()
