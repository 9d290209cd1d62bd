"""The workload that the options of run, deploy and package describe."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator

from enarx.api.workloads import Out, Workload, out_of
from enarx.errors import UsageError
from enarx.formats.arguments import parse_dir, parse_env
from enarx.formats.package import MAX_WASM, SALT_SIZE
from enarx.formats.text import hex_bytes
from enarx.tenant.paths import read_file, write_private

LIMITS = ("memory", "time", "fuel", "disk")
"""The limits that have an option each."""

STDIN = 0
MAX_SECRET = 1 << 20
"""Bytes of a secret's value."""


def from_options(options: argparse.Namespace, *, secrets: bool) -> Workload:
    """The workload that these options describe. UsageError.

    Without `secrets` the values of secrets are left empty; the package digest does not cover them.
    """
    return Workload(
        module=module_of(options),
        config=options.config or None,
        args=tuple(options.args) or None,
        env=(*(_terminal_size() if options.tty else ()), *(parse_env(text) for text in options.env)),
        dirs=tuple(parse_dir(text) for text in options.dir),
        secrets=tuple(read_secrets(options.secret).items()) if secrets else None,
        owners=tuple(options.owner),
        salt=_salt(options.salt),
        argv0=options.argv0,
        times=options.times,
        tty=options.tty,
        limits=tuple(_limits(options)),
        out=tuple(places(options.out)),
    )


def _limits(options: argparse.Namespace) -> Iterator[tuple[str, object]]:
    """The limits among the options, as values of a configuration file."""
    for name in LIMITS:
        text = getattr(options, name)
        if text is not None:
            yield name, int(text) if name == "fuel" and text.isascii() and text.isdigit() else text


def _terminal_size() -> Iterator[tuple[str, str]]:
    """COLUMNS and LINES of the terminal, if there is any; the workload cannot learn of changes later."""
    for descriptor in (1, 2, 0):
        with contextlib.suppress(OSError):
            columns, lines = os.get_terminal_size(descriptor)
            if columns and lines:
                yield from (("COLUMNS", str(columns)), ("LINES", str(lines)))
                return


def out(options: argparse.Namespace) -> Out:
    """Where the results go. UsageError."""
    return out_of(places(options.out), replace=options.replace, times=options.times)


def places(texts: list[str]) -> dict[str, str]:
    """The directories of --out HOST::GUEST, by guest path. UsageError."""
    given: dict[str, str] = {}
    for text in texts:
        host, _, guest = text.rpartition("::")
        if not host or not guest.startswith("/"):
            why = f"{guest!r} is not an absolute path, " if host and guest else ""
            raise UsageError("out", f"--out {text}: {why}wanted HOST::GUEST", hint="as --out results::/out")
        if guest in given:
            raise UsageError("out", f"--out: {guest} is given twice")
        given[guest] = host
    return given


def module_of(options: argparse.Namespace) -> str | bytes:
    """The path of the module; its bytes if it is on stdin, whose end a workload then sees at once. UsageError."""
    return _from_stdin() if options.wasm == "-" else str(options.wasm)


def _from_stdin() -> bytes:
    try:
        if os.isatty(STDIN):
            raise UsageError("wasm-stdin", "the module on stdin: a terminal", hint="pipe it in, or give its path")
        with open(STDIN, "rb", closefd=False) as file:
            return file.read(MAX_WASM + 1)
    except OSError as e:
        raise UsageError("wasm-stdin", f"the module on stdin: {e.strerror}") from e


def _salt(path: str | None) -> bytes | None:
    """The salt in a file; a missing file is created with a fresh salt. UsageError."""
    if path is None:
        return None
    if not os.path.exists(path):
        salt = os.urandom(SALT_SIZE)
        write_private(os.path.abspath(path), salt.hex().encode() + b"\n")
        return salt
    try:
        return hex_bytes(read_file(path, 256, code="salt-file").decode("ascii").strip(), SALT_SIZE)
    except ValueError:
        message = f"{path}: not a salt, wanted {SALT_SIZE} bytes in hexadecimal digits"
        raise UsageError("salt-file", message, hint="a file that does not exist gets a new salt") from None


def read_secrets(texts: list[str]) -> dict[str, bytes]:
    """The values of --secret: from files, variables or the terminal, never from the command line itself."""
    values: dict[str, bytes] = {}
    for text in texts:
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
        return _prompted(name)
    raise UsageError(
        "secret-source",
        f"secret {name}: a value on the command line can be seen by others; it was not used",
        hint=f"--secret {name}=@FILE, --secret {name}=env:VARIABLE, or --secret {name} to be prompted",
    )


def _prompted(name: str) -> bytes:
    import getpass
    import sys

    if not sys.stdin.isatty():
        raise UsageError("secret-prompt", f"secret {name}: no terminal to prompt on", hint=f"--secret {name}=@FILE")
    return getpass.getpass(f"value of secret {name}: ").encode()
