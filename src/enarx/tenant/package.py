"""From files on the tenant's machine to a package: the manifest, and the plaintext that a delivery seals."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator

from enarx.delivery.content import sealed_size
from enarx.errors import UsageError
from enarx.formats.bounds import compile_allowance
from enarx.formats.config import Config, Dir
from enarx.formats.package import (
    MAX_WASM,
    Head,
    Manifest,
    Node,
    commit_args,
    commit_dir,
    commit_env,
    encode_index,
)
from enarx.formats.wire import CHUNK
from enarx.record import record

WASM_MAGIC = b"\0asm\1\0\0\0"
COMPONENT_MAGIC = b"\0asm\r\0\1\0"


@record()
class Package:
    """What goes to a Keep. `files` are the tenant's paths of each directory's files, in the order of its index."""

    manifest: Manifest
    head: bytes
    wasm: bytes
    indexes: tuple[bytes, ...]
    trees: tuple[tuple[tuple[str, Node], ...], ...]

    @property
    def size(self) -> int:
        """Bytes of plaintext that a delivery seals."""
        return sealed_size(self.head, len(self.wasm), list(self.indexes), [[n for _, n in t] for t in self.trees])

    @property
    def compile(self) -> int:
        """Bytes that the host must let the compiler take."""
        return self.manifest.config.limits.compile or compile_allowance(len(self.wasm))

    @property
    def disk(self) -> int:
        """Bytes of files that the host must let the Keep hold, a page for what it keeps of each entry among them."""
        pages = sum(4096 - (-node.size // 4096) * 4096 for tree in self.trees for _, node in tree)
        return pages + self.manifest.config.limits.disk + (2 << 20)

    def chunks(self) -> Iterator[tuple[memoryview, bool]]:
        """The plaintext in chunks of CHUNK bytes, the last marked; each is valid until the next is asked for."""
        buffer = memoryview(bytearray(CHUNK))
        have, left = 0, self.size
        for source in self._pieces():
            while True:
                count = source.readinto(buffer[have : have + min(CHUNK - have, left)])
                if not count:
                    break
                have, left = have + count, left - count
                if have == CHUNK and left:
                    yield buffer, False
                    have = 0
        if left:
            raise UsageError("files-changed", "a file became shorter while it was delivered", hint="deploy again")
        yield buffer[:have], True

    def _pieces(self) -> Iterator[_Source | io.FileIO]:
        yield _Source(len(self.head).to_bytes(4, "big"))
        for piece in (self.head, self.wasm, *self.indexes):
            yield _Source(piece)
        for tree in self.trees:
            for path, node in tree:
                if node.kind == "f":
                    with _open(path) as file:
                        yield file


class _Source:
    """Bytes in memory, read like a file."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def readinto(self, out: memoryview) -> int:
        """As io.RawIOBase."""
        count = min(len(out), len(self._rest))
        out[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _open(path: str) -> io.FileIO:
    """A file of the tenant's, never through a link, without a buffer."""
    try:
        return io.FileIO(path, opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NOFOLLOW", 0)))
    except OSError as e:
        raise UsageError("dir-file", f"{path}: {e.strerror}") from e


def build(
    wasm: str, config: Config, *, owners: tuple[bytes, ...], salt: bytes, secrets: dict[str, bytes], base: str = "."
) -> Package:
    """The package of the module at path `wasm` under an effective configuration; `base` is where `dirs` start from.

    `salt` is 32 bytes: fresh ones, or a kept salt for a digest that is to be the same again. `secrets` must have a
    value for each of the configuration's names.
    """
    _check_secrets(config, secrets)
    module = read_module(wasm)
    trees = [_tree(directory, base) for directory in config.dirs]
    indexes = tuple(encode_index([node for _, node in tree]) for tree in trees)
    manifest = Manifest.make(
        owners=owners,
        wasm=hashlib.sha256(module).digest(),
        config=config,
        args=commit_args(salt, config.args),
        env=commit_env(salt, config.env),
        dirs=tuple(commit_dir(salt, d.guest, i) for d, i in zip(config.dirs, indexes, strict=True)),
    )
    head = Head(
        salt=salt,
        args=config.args,
        env=config.env,
        secrets=tuple(secrets.items()),
        wasm_size=len(module),
        index_sizes=tuple(map(len, indexes)),
    )
    return Package(
        manifest=manifest, head=head.to_bytes(), wasm=module, indexes=indexes, trees=tuple(map(tuple, trees))
    )


def read_module(path: str) -> bytes:
    """A core WebAssembly module; UsageError with the reason for anything else."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_WASM + 1)
    except OSError as e:
        raise UsageError("wasm-file", f"{path}: {e.strerror}") from e
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


def _tree(directory: Dir, base: str) -> list[tuple[str, Node]]:
    """All entries of a directory with the tenant's paths, in the order of the index."""
    if directory.host is None:
        return []
    root = os.path.join(base, directory.host)
    if not os.path.isdir(root):
        raise UsageError("dir-missing", f"{root}: no such directory, wanted for {directory.guest}")
    found = [(path, _node(path, os.path.relpath(path, root).replace(os.sep, "/"))) for path in _walk(root)]
    return sorted(found, key=lambda item: item[1].path.split("/"))


def _walk(root: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(root))
    except OSError as e:
        raise UsageError("dir-read", f"{root}: {e.strerror}") from e
    for entry in entries:
        yield entry.path
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)


def _node(path: str, name: str) -> Node:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError("dir-name", f"{path!r}: a file name that is not UTF-8") from None
    mode = os.lstat(path).st_mode
    if stat.S_ISDIR(mode):
        return Node(name, "d")
    if stat.S_ISLNK(mode):
        return Node(name, "l", target=os.readlink(path))
    if stat.S_ISREG(mode):
        size, digest = _hash(path)
        return Node(name, "f", size=size, digest=digest)
    raise UsageError("dir-kind", f"{path}: neither file, directory nor link", hint="take it out of the directory")


def _hash(path: str) -> tuple[int, bytes]:
    sha, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(CHUNK))
    with _open(path) as file:
        while count := file.readinto(buffer):
            sha.update(buffer[:count])
            size += count
    return size, sha.digest()
