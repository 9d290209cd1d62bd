"""From files on the tenant's machine to a package: its manifest, and the plaintext that a delivery seals."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator

from enarx.delivery.content import sealed_size
from enarx.errors import UsageError
from enarx.formats.bounds import compile_allowance
from enarx.formats.config import SECRETS_AT, Config, Dir, Secret
from enarx.formats.making import head_bytes, make_manifest
from enarx.formats.package import (
    MAX_ENTRIES,
    MAX_INDEX,
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
from enarx.tenant.module import Assemble
from enarx.tenant.module import load as load_module
from enarx.tenant.tree import Tree

ARGV0 = "main.wasm"
"""The name of a workload that has no file name."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.formats.sharing import Provider, Recipient


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
        return chunks_of(
            (len(self.head).to_bytes(4, "big"), self.head, self.wasm, *self.indexes), self.trees, self.size
        )


def chunks_of(start: tuple[bytes, ...], trees: tuple[Tree, ...], left: int) -> Iterator[tuple[memoryview, bool]]:
    """A plaintext of `left` bytes, `start` and then the files of `trees`, as `Package.chunks` returns it."""
    buffer = memoryview(bytearray(CHUNK))
    have = 0
    for source, size, path in _pieces(start, trees):
        rest = size
        while rest and (count := source.readinto(buffer[have : have + min(CHUNK - have, rest)])):
            have, left, rest = have + count, left - count, rest - count
            if have == CHUNK and left:
                yield buffer, False
                have = 0
        if isinstance(source, io.FileIO):
            tree.require_end(source, rest, path)
    yield buffer[:have], True


def _pieces(start: tuple[bytes, ...], trees: tuple[Tree, ...]) -> Iterator[tuple[_Source | io.FileIO, int, str]]:
    for piece in start:
        yield _Source(piece), len(piece), ""
    for each in trees:
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
    providers: tuple[Provider, ...] = (),
    recipients: tuple[Recipient, ...] = (),
    assemble: Assemble | None = None,
) -> Package:
    """The package of a module, a path or its bytes, under an effective configuration. UsageError.

    Relative directories start from `base`. `salt` is 32 bytes: fresh, or kept to get the same digest again. `secrets`
    has a value for each name in the configuration. `argv0` is the workload's own name. With `times`, files and
    directories keep their modification times. What `providers` bring is left out. `assemble` turns a module in the
    text format into the binary format.
    """
    theirs = {item for provider in providers for item in (*provider.dirs, *provider.secrets)}
    own_dirs = tuple(directory for directory in config.dirs if directory.guest not in theirs)
    module = load_module(wasm, memory=config.limits.memory, assemble=assemble)
    _check_secrets(tuple(secret for secret in config.secrets if secret.name not in theirs), secrets)
    args = (_require_name(argv0), *config.args)
    trees = [read_tree(directory, base, times=times) for directory in own_dirs]
    _check_outputs(own_dirs, trees, config.limits.disk)
    indexes = tuple(encode_index(list(each.nodes)) for each in trees)
    _require_few(indexes, trees)
    manifest = make_manifest(
        owners=owners,
        wasm=hashlib.sha256(module).digest(),
        config=config,
        args=commit_args(salt, args),
        env=commit_env(salt, config.env),
        dirs=tuple(commit_dir(salt, d.guest, i) for d, i in zip(own_dirs, indexes, strict=True)),
        providers=providers,
        recipients=recipients,
    )
    head = Head(
        salt=salt,
        args=args,
        env=config.env,
        secrets=tuple(secrets.items()),
        wasm_size=len(module),
        index_sizes=tuple(map(len, indexes)),
    )
    return Package(manifest=manifest, head=head_bytes(head), wasm=module, indexes=indexes, trees=tuple(trees))


def _require_name(argv0: str) -> str:
    """The workload's own name. UsageError if it cannot be an argument of a guest."""
    try:
        argv0.encode()
    except UnicodeEncodeError:
        raise UsageError("argv0", f"{argv0!r}: the workload's name is not UTF-8", hint="--argv0 NAME") from None
    if "\0" in argv0:
        raise UsageError("argv0", f"{argv0!r}: the workload's name contains NUL", hint="--argv0 NAME")
    return argv0


def _check_secrets(wanted: tuple[Secret, ...], secrets: dict[str, bytes]) -> None:
    names = {secret.name for secret in wanted}
    missing = sorted(names - set(secrets))
    if unknown := sorted(set(secrets) - names):  # first: a misspelled name is also missing
        from enarx.tenant.module_files import nearest  # only a mistake needs it

        near = nearest(unknown[0], missing)
        raise UsageError(
            "secret-unknown",
            f"a value for secret {unknown[0]}, which the configuration does not name",
            hint=f"did you mean {near}?" if near else f'add "{unknown[0]} = {{}}" under [secrets]',
        )
    if missing:
        raise UsageError("secret-missing", f"no value for secret {missing[0]}", hint=f"--secret {missing[0]}=@FILE")
    for secret in wanted:
        if secret.env is not None and not is_variable(secrets[secret.name]):
            raise UsageError(
                "secret-variable",
                f"secret {secret.name} cannot be the variable {secret.env}: wanted UTF-8 without NUL",
                hint=f"encode it, or remove env: the workload can read it from {SECRETS_AT}/{secret.name}",
            )


def read_tree(directory: Dir, base: str, *, times: bool = False) -> Tree:
    """All entries of a directory. A relative path is from a configuration file, and must stay below `base`."""
    if directory.host is None:
        return Tree(start=base, below=(), nodes=(), identities=())
    path = os.path.join(base, directory.host)
    if not os.path.isdir(path):
        message = f"{path}: not a directory, wanted for {directory.guest}"
        hint = "name a directory of this machine" if os.path.lexists(path) else "it does not exist"
        raise UsageError("dir-missing", message, hint=hint)
    if os.path.isabs(directory.host):
        return tree.read(path, times=times)
    start, real = os.path.realpath(base), os.path.realpath(path)
    if real != start and not real.startswith(start.rstrip(os.sep) + os.sep):
        hint = f"if you mean it, name it on the command line: --dir {path}::{directory.guest}"
        raise UsageError("dir-outside", f"{path}: leads outside {start}", hint=hint)
    below = () if real == start else tuple(os.path.relpath(real, start).split(os.sep))
    return tree.read(start, below, times=times)


def _check_outputs(dirs: tuple[Dir, ...], trees: list[Tree], disk: int) -> None:
    """UsageError for a copy in an output directory that could not come back: with links, or larger than limits.disk."""
    size = 0
    for directory, each in zip(dirs, trees, strict=True):
        if directory.mode != "out":
            continue
        size += sum(node.size for node in each.nodes)
        link = next((node.path for node in each.nodes if node.kind == "l"), None)
        if link is not None:
            message = f"{directory.host}: {link} is a link, which an output directory cannot return"
            raise UsageError("out-link", message, hint="replace it by a copy of its target")
    if size > disk:
        message = f"the output directories start with {size} bytes, limits.disk is {disk}"
        raise UsageError("out-size", message, hint="raise limits.disk: it limits what they return")


def _require_few(indexes: tuple[bytes, ...], trees: list[Tree]) -> None:
    """UsageError if the indexes of all directories together are too large."""
    size, entries = sum(map(len, indexes)), sum(len(each.nodes) for each in trees)
    if size > MAX_INDEX or entries > MAX_ENTRIES:
        message = f"the directories have {entries} entries in {size >> 20} MiB of indexes"
        limit = f"wanted at most {MAX_ENTRIES} in {MAX_INDEX >> 20} MiB"
        raise UsageError("dir-size", f"{message}, {limit}", hint="package less, or archives")
