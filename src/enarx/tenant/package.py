"""From files on the tenant's machine to a package: its manifest, and the plaintext that a delivery seals."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator

from enarx.delivery.content import sealed_size
from enarx.errors import UsageError
from enarx.formats.bounds import compile_allowance
from enarx.formats.config import SECRETS_AT, Config, Dir
from enarx.formats.package import (
    MAX_ENTRIES,
    MAX_INDEX,
    MAX_WASM,
    Head,
    Manifest,
    commit_args,
    commit_dir,
    commit_env,
    encode_index,
    is_variable,
)
from enarx.formats.wire import CHUNK
from enarx.record import record
from enarx.tenant import tree
from enarx.tenant.paths import read_file
from enarx.tenant.tree import Tree

ARGV0 = "main.wasm"
"""The name of a workload that has no file name."""

WASM_MAGIC = b"\0asm\1\0\0\0"
COMPONENT_MAGIC = b"\0asm\r\0\1\0"


@record(hidden=("head", "wasm", "indexes", "trees"))
class Package:
    """What is delivered to a Keep. `trees` are its directories on the tenant's machine, in the order of `indexes`."""

    manifest: Manifest
    head: bytes
    wasm: bytes
    indexes: tuple[bytes, ...]
    trees: tuple[Tree, ...]

    @property
    def size(self) -> int:
        """Bytes of plaintext that a delivery seals."""
        return sealed_size(self.head, len(self.wasm), list(self.indexes), [list(t.nodes) for t in self.trees])

    @property
    def compile(self) -> int:
        """Bytes of memory that the host must allow the compiler."""
        return self.manifest.config.limits.compile or compile_allowance(len(self.wasm))

    @property
    def disk(self) -> int:
        """Bytes of files that the host must allow the Keep, one page for each entry included."""
        pages = sum(4096 - (-node.size // 4096) * 4096 for each in self.trees for node in each.nodes)
        return pages + self.manifest.config.limits.disk + (2 << 20)

    def chunks(self) -> Iterator[tuple[memoryview, bool]]:
        """The plaintext in chunks of CHUNK bytes, with True for the last. A chunk is valid until the next is requested."""
        buffer = memoryview(bytearray(CHUNK))
        have, left = 0, self.size
        for source, size, path in self._pieces():
            rest = size
            while rest and (count := source.readinto(buffer[have : have + min(CHUNK - have, rest)])):
                have, left, rest = have + count, left - count, rest - count
                if have == CHUNK and left:
                    yield buffer, False
                    have = 0
            if isinstance(source, io.FileIO):
                tree.require_end(source, rest, path)
        yield buffer[:have], True

    def _pieces(self) -> Iterator[tuple[_Source | io.FileIO, int, str]]:
        for piece in (len(self.head).to_bytes(4, "big"), self.head, self.wasm, *self.indexes):
            yield _Source(piece), len(piece), ""
        for each in self.trees:
            for node, file in each.files():
                yield file, node.size, node.path


class _Source:
    """Bytes in memory with the reading interface of a file."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def readinto(self, out: memoryview) -> int:
        """Like io.RawIOBase: fill `out`, return the count."""
        count = min(len(out), len(self._rest))
        out[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def build(
    wasm: str | bytes,
    config: Config,
    *,
    owners: tuple[bytes, ...],
    salt: bytes,
    secrets: dict[str, bytes],
    base: str = ".",
    argv0: str = ARGV0,
    times: bool = False,
) -> Package:
    """The package of a module, a path or its bytes, under an effective configuration. UsageError.

    Relative directories start from `base`. `salt` is 32 bytes: fresh, or kept to get the same digest again. `secrets`
    has a value for each name in the configuration. `argv0` is the workload's own name. With `times`, files and
    directories keep their modification times.
    """
    _check_secrets(config, secrets)
    args = (_require_name(argv0), *config.args)
    module = require_module(wasm, "the module") if isinstance(wasm, bytes) else read_module(wasm)
    trees = [_tree(directory, base, times) for directory in config.dirs]
    _check_outputs(config, trees)
    indexes = tuple(encode_index(list(each.nodes)) for each in trees)
    _require_few(indexes, trees)
    manifest = Manifest.make(
        owners=owners,
        wasm=hashlib.sha256(module).digest(),
        config=config,
        args=commit_args(salt, args),
        env=commit_env(salt, config.env),
        dirs=tuple(commit_dir(salt, d.guest, i) for d, i in zip(config.dirs, indexes, strict=True)),
    )
    head = Head(
        salt=salt,
        args=args,
        env=config.env,
        secrets=tuple(secrets.items()),
        wasm_size=len(module),
        index_sizes=tuple(map(len, indexes)),
    )
    return Package(manifest=manifest, head=head.to_bytes(), wasm=module, indexes=indexes, trees=tuple(trees))


def read_module(path: str) -> bytes:
    """The core WebAssembly module in a file. UsageError."""
    return require_module(read_file(path, MAX_WASM + 1, code="wasm-file"), path)


def require_module(data: bytes, path: str) -> bytes:
    """The bytes, if they are a core WebAssembly module of at most MAX_WASM bytes. UsageError, which names `path`."""
    if data.startswith(COMPONENT_MAGIC):
        raise UsageError(
            "wasm-component",
            f"{path}: a WebAssembly component, wanted a core module with WASI preview 1",
            hint="build it for the target wasm32-wasip1",
        )
    if not data.startswith(WASM_MAGIC):
        raise UsageError("wasm-magic", f"{path}: not a WebAssembly module in the binary format")
    if len(data) > MAX_WASM:
        raise UsageError("wasm-size", f"{path}: over {MAX_WASM >> 20} MiB")
    return data


def _require_name(argv0: str) -> str:
    """The workload's own name. UsageError if it cannot be an argument of a guest."""
    try:
        argv0.encode()
    except UnicodeEncodeError:
        raise UsageError("argv0", f"{argv0!r}: the workload's name is not UTF-8", hint="--argv0 NAME") from None
    if "\0" in argv0:
        raise UsageError("argv0", f"{argv0!r}: the workload's name contains NUL", hint="--argv0 NAME")
    return argv0


def _check_secrets(config: Config, secrets: dict[str, bytes]) -> None:
    names = {secret.name for secret in config.secrets}
    if missing := sorted(names - set(secrets)):
        raise UsageError("secret-missing", f"no value for secret {missing[0]}", hint=f"--secret {missing[0]}=@FILE")
    if unknown := sorted(set(secrets) - names):
        raise UsageError(
            "secret-unknown",
            f"a value for secret {unknown[0]}, which the configuration does not name",
            hint=f'add "{unknown[0]} = {{}}" under [secrets]',
        )
    for secret in config.secrets:
        if secret.env is not None and not is_variable(secrets[secret.name]):
            raise UsageError(
                "secret-variable",
                f"secret {secret.name} cannot be the variable {secret.env}: wanted UTF-8 without NUL",
                hint=f"encode it, or remove env: the workload can read it from {SECRETS_AT}/{secret.name}",
            )


def _tree(directory: Dir, base: str, times: bool) -> Tree:
    """All entries of a directory. A relative path is from a configuration file, and must stay below `base`."""
    if directory.host is None:
        return Tree(start=base, below=(), nodes=(), identities=())
    path = os.path.join(base, directory.host)
    if not os.path.isdir(path):
        raise UsageError("dir-missing", f"{path}: not a directory, wanted for {directory.guest}")
    if os.path.isabs(directory.host):
        return tree.read(path, times=times)
    start, real = os.path.realpath(base), os.path.realpath(path)
    if real != start and not real.startswith(start.rstrip(os.sep) + os.sep):
        hint = f"if you mean it, name it on the command line: --dir {path}::{directory.guest}"
        raise UsageError("dir-outside", f"{path}: leads outside {start}", hint=hint)
    below = () if real == start else tuple(os.path.relpath(real, start).split(os.sep))
    return tree.read(start, below, times=times)


def _check_outputs(config: Config, trees: list[Tree]) -> None:
    """UsageError for a copy in an output directory that could not come back: with links, or larger than limits.disk."""
    size = 0
    for directory, each in zip(config.dirs, trees, strict=True):
        if directory.mode != "out":
            continue
        size += sum(node.size for node in each.nodes)
        link = next((node.path for node in each.nodes if node.kind == "l"), None)
        if link is not None:
            message = f"{directory.host}: {link} is a link, which an output directory cannot return"
            raise UsageError("out-link", message, hint="replace it by a copy of its target")
    if size > config.limits.disk:
        message = f"the output directories start with {size} bytes, limits.disk is {config.limits.disk}"
        raise UsageError("out-size", message, hint="raise limits.disk: it limits what they return")


def _require_few(indexes: tuple[bytes, ...], trees: list[Tree]) -> None:
    """UsageError if the indexes of all directories together are too large."""
    size, entries = sum(map(len, indexes)), sum(len(each.nodes) for each in trees)
    if size > MAX_INDEX or entries > MAX_ENTRIES:
        message = f"the directories have {entries} entries in {size >> 20} MiB of indexes"
        limit = f"wanted at most {MAX_ENTRIES} in {MAX_INDEX >> 20} MiB"
        raise UsageError("dir-size", f"{message}, {limit}", hint="package less, or archives")
