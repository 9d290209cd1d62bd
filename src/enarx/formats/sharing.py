"""The further owners of data in a manifest: who provides a part of the input, and who may read the output.

Specified in docs/spec/package.md. A Keep has this module only with the profile `providers`.
"""

from __future__ import annotations

from typing import Any, Self

from enarx.formats.config import Config
from enarx.formats.package import OWNER_SIZE, Manifest, fail, head_fields, index_sizes, secret_values
from enarx.formats.wire import encode
from enarx.record import names, record

MAX_PARTIES = 8
"""Providers of a manifest, and recipients."""

MAX_NAME = 64
RECIPIENT_SIZE = 1184 + 32
"""Bytes of a recipient's HPKE key: ML-KEM-768, then X25519."""

MAX_PART_HEAD = 512 << 10
"""Bytes of a part's head, which holds its secrets: for MAX_PARTIES together, no more than a package's head."""


@record()
class Provider:
    """An owner of data that provides directories and secrets: its raw Ed25519 public key, and its name for people.

    `dirs` are guest paths in the configuration's order, `secrets` are sorted names.
    """

    key: bytes
    name: str
    dirs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def value(self) -> dict[str, Any]:
        """The provider as a plain value for CBOR."""
        return {"key": self.key, "name": self.name, "dirs": list(self.dirs), "secrets": list(self.secrets)}


@record()
class Recipient:
    """A reader of the output: its raw HPKE public key, and its name for people."""

    key: bytes
    name: str

    def value(self) -> dict[str, Any]:
        """The recipient as a plain value for CBOR."""
        return {"key": self.key, "name": self.name}


def read_parties(value: dict[str, Any], config: Config) -> tuple[tuple[Provider, ...], tuple[Recipient, ...]]:
    """The providers and recipients of a manifest's map, checked against its configuration; ParseError."""
    providers = tuple(_provider(item, config) for item in _entries(value["providers"], Provider, OWNER_SIZE))
    recipients = tuple(Recipient(**item) for item in _entries(value["recipients"], Recipient, RECIPIENT_SIZE))
    for items in ([d for p in providers for d in p.dirs], [s for p in providers for s in p.secrets]):
        if len(set(items)) != len(items):
            raise fail("manifest-providers", "manifest", "a directory or secret with two providers")
    return providers, recipients


def _entries(value: object, kind: type[Provider | Recipient], key_size: int) -> list[dict[str, Any]]:
    what = kind.__name__.lower()
    code = f"manifest-{what}s"
    if not isinstance(value, list) or len(value) > MAX_PARTIES:
        raise fail(code, "manifest", f"wanted a list of at most {MAX_PARTIES} {what}s")
    keys, labels = [], []
    for item in value:
        if not isinstance(item, dict) or set(item) != set(names(kind)):
            raise fail(code, "manifest", f"{what}: wanted a map with exactly {', '.join(names(kind))}")
        key, name = item["key"], item["name"]
        if not isinstance(key, bytes) or len(key) != key_size or not any(key):
            raise fail(code, "manifest", f"{what}: wanted a key of {key_size} bytes")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise fail(code, "manifest", f"{what}: wanted a name of 1 to {MAX_NAME} printable characters")
        keys.append(key)
        labels.append(name)
    if keys != sorted(set(keys)) or len(set(labels)) != len(labels):
        raise fail(code, "manifest", f"{what}s: wanted distinct names and keys, sorted by key")
    return value


def _provider(item: dict[str, Any], config: Config) -> Provider:
    for name, known in (("dirs", [d.guest for d in config.dirs]), ("secrets", [s.name for s in config.secrets])):
        given = item[name]
        if not isinstance(given, list) or given != [text for text in known if text in given]:
            raise fail("manifest-providers", "manifest", f"provider: wanted {name} of the configuration, in its order")
    if not item["dirs"] and not item["secrets"]:
        raise fail("manifest-providers", "manifest", "a provider of no directory and no secret")
    return Provider(key=item["key"], name=item["name"], dirs=tuple(item["dirs"]), secrets=tuple(item["secrets"]))


@record(hidden=("salt", "secrets"))
class PartHead:
    """The first part of a provider's sealed part: its secrets and the sizes of its indexes. `salt` is 32 random bytes."""

    salt: bytes
    secrets: tuple[tuple[str, bytes], ...]
    index_sizes: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The canonical encoding; ParseError if it is larger than MAX_PART_HEAD."""
        value = {"salt": self.salt, "secrets": dict(self.secrets), "index_sizes": list(self.index_sizes)}
        data = encode(value)
        if len(data) > MAX_PART_HEAD:
            raise fail("part-head", "part head", f"{len(data)} bytes of secrets, at most {MAX_PART_HEAD}")
        return data

    @classmethod
    def from_bytes(cls, data: bytes, manifest: Manifest, provider: Provider) -> Self:
        """The head in these bytes, with exactly what the manifest has this provider provide; ParseError."""
        value, salt = head_fields(data, names(cls), "part head")
        secrets = tuple(s for s in manifest.config.secrets if s.name in provider.secrets)
        return cls(
            salt=salt,
            secrets=secret_values(value["secrets"], secrets),
            index_sizes=index_sizes(value["index_sizes"], len(provider.dirs)),
        )
