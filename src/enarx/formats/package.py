"""A package: the content of a run, its owners, and the digest that evidence binds.

Specified in docs/spec/package.md. A `Manifest` travels in clear, so it must not let a host confirm a guess. Arguments,
environment and directories enter it as commitments under a random 32-byte salt, which only a sealed delivery carries.
Each item has its own salt, derived from that of the package, so one item can be disclosed without the others.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Self

from enarx.errors import ParseError
from enarx.formats import cbor
from enarx.formats.config import Config
from enarx.formats.wire import MAX_DEPTH, decode, encode
from enarx.record import record

VERSION = 3
SALT_SIZE = 32
DIGEST_SIZE = 32
OWNER_SIZE = 32
MAX_OWNERS = 16
MAX_MANIFEST = 256 << 10
MAX_WASM = 256 << 20
MAX_HEAD = 4 << 20
MAX_INDEX = 64 << 20
"""Bytes of all directory indexes of a package together."""
MAX_ENTRIES = 1 << 19
"""Entries of all directory indexes of a package together."""
INDEX = cbor.Form(depth=MAX_DEPTH, items=1 + 6 * MAX_ENTRIES)
MAX_PATH = 4096
MAX_NAME = 255
MAX_TREE_DEPTH = 64
FIXED_TIME = 315_532_800 * 10**9
"""1980-01-01T00:00:00Z, the first time that a ZIP archive can hold, in nanoseconds since 1970: the time of an entry that carries
none, so that equal data has equal digests."""

MAX_TIME = (1 << 63) - 1

MANIFEST_KEYS = {"version", "owners", "wasm", "config", "args", "env", "dirs", "providers", "recipients"}


def fail(code: str, what: str, got: str) -> ParseError:
    """The error for bytes that do not follow the format `what`."""
    return ParseError(code, f"{what}: {got}", what=what)


@record()
class Manifest:
    """Everything that changes a run, in the order of docs/spec/package.md.

    `config` is the effective configuration without arguments, environment and the tenant's own paths. `args`, `env` and
    `dirs` (one for each of `config.dirs`) are commitments. `owners` are raw Ed25519 public keys, sorted and unique.
    `providers` and `recipients` are reserved for further data owners, and are empty in this release.
    """

    owners: tuple[bytes, ...]
    wasm: bytes
    config: Config
    args: bytes
    env: bytes
    dirs: tuple[bytes, ...]
    raw: bytes

    @classmethod
    def make(
        cls, *, owners: tuple[bytes, ...], wasm: bytes, config: Config, args: bytes, env: bytes, dirs: tuple[bytes, ...]
    ) -> Self:
        """The manifest of these values, parsed by `from_bytes` so that both sides apply the same rules."""
        return cls.from_bytes(
            encode(
                {
                    "version": VERSION,
                    "owners": sorted(set(owners)),
                    "wasm": wasm,
                    "config": config.public(),
                    "args": args,
                    "env": env,
                    "dirs": list(dirs),
                    "providers": [],
                    "recipients": [],
                }
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The manifest in these bytes, which `raw` keeps; ParseError."""
        if len(data) > MAX_MANIFEST:
            raise fail("manifest-size", "manifest", f"{len(data)} bytes, at most {MAX_MANIFEST}")
        value: Any = decode(data, "manifest")
        if not isinstance(value, dict):
            raise fail("manifest-keys", "manifest", "wanted a map")
        if value.get("version") != VERSION or isinstance(value["version"], bool):
            raise fail("manifest-version", "manifest", f"unknown version, wanted {VERSION}")
        if set(value) != MANIFEST_KEYS:
            raise fail("manifest-keys", "manifest", f"wanted a map with exactly {', '.join(sorted(MANIFEST_KEYS))}")
        for key in ("providers", "recipients"):
            if value[key] != []:
                raise fail(f"manifest-{key}", "manifest", f"{key}: not supported by this release, wanted an empty list")
        config = Config.from_public(value["config"])
        dirs = byte_strings(value["dirs"], DIGEST_SIZE, "manifest directories")
        if len(dirs) != len(config.dirs):
            raise fail("manifest-dirs", "manifest", f"{len(dirs)} commitments for {len(config.dirs)} directories")
        owners = byte_strings(value["owners"], OWNER_SIZE, "manifest owners")
        if not 1 <= len(owners) <= MAX_OWNERS or list(owners) != sorted(set(owners)):
            raise fail("manifest-owners", "manifest", f"wanted 1 to {MAX_OWNERS} owners, sorted and unique")
        wasm, args, env = byte_strings([value[k] for k in ("wasm", "args", "env")], DIGEST_SIZE, "manifest digests")
        return cls(owners=owners, wasm=wasm, config=config, args=args, env=env, dirs=dirs, raw=data)

    @property
    def digest(self) -> bytes:
        """The package digest: the SHA-256 of the manifest's bytes."""
        return hashlib.sha256(self.raw).digest()


def byte_strings(value: object, size: int, what: str) -> tuple[bytes, ...]:
    """The byte strings in a list, each of exactly `size` bytes; ParseError."""
    if not isinstance(value, list) or any(not isinstance(v, bytes) or len(v) != size for v in value):
        raise fail("field", what, f"wanted byte strings of {size} bytes")
    return tuple(value)


def commit(salt: bytes, label: str, content_digest: bytes) -> bytes:
    """The commitment to one item: HMAC-SHA256, under the item's own salt, of the SHA-256 of its content."""
    return hmac.digest(item_salt(salt, label), content_digest, "sha256")


def item_salt(salt: bytes, label: str) -> bytes:
    """The salt of one item; to reveal it discloses that item and no other."""
    if len(salt) != SALT_SIZE:
        raise fail("salt", "package salt", f"{len(salt)} bytes, wanted {SALT_SIZE}")
    return hmac.digest(salt, b"enarx package item v3\0" + label.encode(), "sha256")


def commit_args(salt: bytes, args: tuple[str, ...]) -> bytes:
    """The commitment to the workload's arguments. The first is its own name, `argv[0]`."""
    return commit(salt, "args", hashlib.sha256(encode(list(args))).digest())


def commit_env(salt: bytes, env: tuple[tuple[str, str], ...]) -> bytes:
    """The commitment to the workload's environment."""
    return commit(salt, "env", hashlib.sha256(encode(dict(env))).digest())


def commit_dir(salt: bytes, guest: str, index: bytes) -> bytes:
    """The commitment to the index of the directory that the workload sees at `guest`."""
    return commit(salt, f"dir {guest}", hashlib.sha256(index).digest())


@record(kw_only=False)
class Node:
    """An entry of a directory index: kind `d`, `f` (size in bytes, SHA-256) or `l` (target of a symbolic link).

    Files and directories have an `mtime`, in nanoseconds since 1970; files may be `executable`.
    """

    path: str
    kind: str
    size: int = 0
    digest: bytes = b""
    target: str = ""
    executable: bool = False
    mtime: int = FIXED_TIME

    def value(self) -> list[object]:
        """The entry as a plain value for CBOR."""
        if self.kind == "l":
            return [self.path, "l", self.target]
        entry: list[object] = [self.path, "d"]
        if self.kind == "f":
            entry = [self.path, "x" if self.executable else "f", self.size, self.digest]
        return entry if self.mtime == FIXED_TIME else [*entry, self.mtime]


def _place(path: str) -> str:
    """The sort key of a path. It orders by component, because names contain no NUL."""
    return path.replace("/", "\0")


def encode_index(nodes: list[Node]) -> bytes:
    """The index of a directory, sorted by path, so that each directory precedes its entries; ParseError if too large."""
    data = encode([node.value() for node in sorted(nodes, key=lambda n: _place(n.path))])
    if len(data) > MAX_INDEX or len(nodes) > MAX_ENTRIES:
        got = f"{len(nodes)} entries in {len(data)} bytes, at most {MAX_ENTRIES} in {MAX_INDEX}"
        raise fail("index-size", "directory index", got)
    return data


def decode_index(data: bytes, room: int = MAX_ENTRIES) -> list[Node]:
    """The entries of an index. Creating them in order cannot leave the directory.

    Each path is relative, normalized and unique, and its parent is an earlier entry of kind `d`. `room` is the number of
    entries left for this index: MAX_ENTRIES minus those of the package's other directories. ParseError.
    """
    if len(data) > MAX_INDEX:
        raise fail("index-size", "directory index", f"{len(data)} bytes, at most {MAX_INDEX}")
    nodes: list[Node] = []
    dirs = {""}
    before = ""
    for item in cbor.each(data, "directory index", INDEX):
        if len(nodes) >= room:
            raise fail("index-size", "directory index", f"more than {MAX_ENTRIES} entries in all directories")
        node = _node(item)
        place = _place(node.path)
        if place <= before:
            raise fail("index-order", "directory index", "entries out of order or repeated")
        if node.path.rpartition("/")[0] not in dirs:
            raise fail("index-parent", "directory index", "an entry whose parent is not a directory of the index")
        if node.kind == "d":
            dirs.add(node.path)
        before = place
        nodes.append(node)
    return nodes


def _node(item: object) -> Node:
    match item:
        case [str(path), "f" | "x" as kind, int(size), bytes(digest), *time] if (
            size >= 0 and len(digest) == DIGEST_SIZE
        ):
            if not isinstance(size, bool):
                return Node(_path(path), "f", size, digest, "", kind == "x", _time(time))
        case [str(path), "d", *time]:
            return Node(_path(path), "d", 0, b"", "", False, _time(time))
        case [str(path), "l", str(target)] if target and len(target.encode()) < MAX_PATH and "\0" not in target:
            return Node(_path(path), "l", target=target)
    raise fail("index-entry", "directory index", "an entry is neither directory, file nor link")


def _time(given: list[object]) -> int:
    """The time at the end of an entry. FIXED_TIME is left out, so that each entry has one encoding."""
    match given:
        case []:
            return FIXED_TIME
        case [int(time)] if type(time) is int and 0 <= time <= MAX_TIME and time != FIXED_TIME:
            return time
    raise fail("index-time", "directory index", f"a time that is not 0 to {MAX_TIME}, or is the fixed time")


_NO_NAMES = frozenset(("", ".", ".."))


def _path(path: str) -> str:
    size = len(path.encode())
    if size >= MAX_PATH or path.count("/") >= MAX_TREE_DEPTH:
        raise fail("index-path", "directory index", f"a path of more than {MAX_PATH} bytes or {MAX_TREE_DEPTH} levels")
    parts = path.split("/")
    long = size > MAX_NAME and any(len(p.encode()) > MAX_NAME for p in parts)
    if long or "\0" in path or not _NO_NAMES.isdisjoint(parts):
        raise fail("index-path", "directory index", "a path that is not relative and normalized")
    return path


HEAD_KEYS = {"salt", "args", "env", "secrets", "wasm_size", "index_sizes"}


@record(hidden=("salt", "args", "env", "secrets"))
class Head:
    """The first part of a sealed package: the committed arguments and environment, the secrets, the sizes of the rest.

    `args` starts with the workload's own name, `argv[0]`.
    """

    salt: bytes
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, bytes], ...]
    wasm_size: int
    index_sizes: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The canonical encoding; ParseError if it is larger than MAX_HEAD."""
        value = {k: getattr(self, k) for k in HEAD_KEYS}
        value |= {"args": list(self.args), "env": dict(self.env), "secrets": dict(self.secrets)}
        data = encode(value | {"index_sizes": list(self.index_sizes)})
        if len(data) > MAX_HEAD:
            raise fail("head-size", "package head", f"{len(data)} bytes of arguments, environment and secrets")
        return data

    @classmethod
    def from_bytes(cls, data: bytes, manifest: Manifest) -> Self:
        """The head in these bytes, checked against the manifest's commitments; ParseError."""
        value: Any = decode(data, "package head")
        if not isinstance(value, dict) or set(value) != HEAD_KEYS:
            raise fail("head-keys", "package head", f"wanted a map with exactly {', '.join(sorted(HEAD_KEYS))}")
        head = cls(
            salt=byte_strings([value["salt"]], SALT_SIZE, "package salt")[0],
            args=_args(value["args"]),
            env=tuple(sorted(_text_map(value["env"]))),
            secrets=_secrets(value["secrets"], manifest.config),
            wasm_size=_sizes([value["wasm_size"]], MAX_WASM)[0],
            index_sizes=_sizes(value["index_sizes"], MAX_INDEX),
        )
        if len(head.index_sizes) != len(manifest.dirs):
            raise fail("head-dirs", "package head", "its number of directories differs from the manifest's")
        if sum(head.index_sizes) > MAX_INDEX:
            raise fail("head-sizes", "package head", f"{sum(head.index_sizes)} bytes of indexes, at most {MAX_INDEX}")
        if commit_args(head.salt, head.args) != manifest.args or commit_env(head.salt, head.env) != manifest.env:
            raise fail(
                "head-commitment", "package head", "arguments or environment do not match the manifest's commitments"
            )
        return head


def _args(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(not isinstance(v, str) or "\0" in v for v in value):
        raise fail("head-args", "package head", "arguments: wanted the workload's name and texts, without NUL")
    return tuple(value)


def _text_map(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, dict):
        raise fail("head-env", "package head", "environment: wanted a map")
    for name, text in value.items():
        if not isinstance(name, str) or not isinstance(text, str) or not name or "=" in name or "\0" in name + text:
            raise fail("head-env", "package head", "environment: wanted names and texts without NUL, names without =")
    return list(value.items())


def _secrets(value: object, config: Config) -> tuple[tuple[str, bytes], ...]:
    names = {secret.name for secret in config.secrets}
    if not isinstance(value, dict) or set(value) != names or any(not isinstance(v, bytes) for v in value.values()):
        raise fail("head-secrets", "package head", "wanted exactly one value for each secret of the manifest")
    if any(secret.env is not None and not is_variable(value[secret.name]) for secret in config.secrets):
        raise fail("head-secrets", "package head", "a secret that is a variable: wanted UTF-8 without NUL")
    return tuple(value.items())


def is_variable(secret: bytes) -> bool:
    """Whether a secret can be an environment variable of a guest: UTF-8 without NUL. The file has no such bound."""
    try:
        return "\0" not in secret.decode()
    except UnicodeDecodeError:
        return False


def _sizes(value: object, limit: int) -> tuple[int, ...]:
    if not isinstance(value, list) or any(type(v) is not int or not 0 <= v <= limit for v in value):
        raise fail("head-sizes", "package head", f"sizes: wanted integers from 0 to {limit}")
    return tuple(value)
