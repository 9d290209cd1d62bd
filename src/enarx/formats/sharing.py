"""The further owners of data in a manifest: who provides a part of the input, and who may read the output.

Specified in docs/spec/package.md. A Keep has this module only with the profile `providers`.
"""

from __future__ import annotations

from typing import Any, Self

from enarx.formats.config import Config
from enarx.formats.package import OWNER_SIZE, Manifest, fail, head_fields, index_sizes, secret_values
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

    def numbers(self, config: Config) -> list[int]:
        """The numbers, in `config.dirs`, of its directories."""
        return [i for i, directory in enumerate(config.dirs) if directory.guest in self.dirs]


@record()
class Recipient:
    """A reader of the output: its raw HPKE public key, and its name for people."""

    key: bytes
    name: str


def read_parties(value: dict[str, Any], config: Config) -> dict[str, tuple[Provider, ...] | tuple[Recipient, ...]]:
    """The providers and recipients of a manifest's map, checked against its configuration; ParseError."""
    known = {"dirs": [d.guest for d in config.dirs], "secrets": [s.name for s in config.secrets]}
    providers = tuple(_provider(item, known) for item in _parties(value, Provider, OWNER_SIZE))
    provided = [("dir", guest) for p in providers for guest in p.dirs]
    provided += [("secret", name) for p in providers for name in p.secrets]
    if len(set(provided)) != len(provided):
        raise fail("manifest-providers", "manifest", "a directory or secret with two providers")
    recipients = tuple(Recipient(**item) for item in _parties(value, Recipient, RECIPIENT_SIZE))
    return {"providers": providers, "recipients": recipients}


def _parties(value: dict[str, Any], kind: type[Provider | Recipient], key_size: int) -> list[dict[str, Any]]:
    """The parties of one kind in a manifest's map, with everything checked that both kinds have."""
    what = f"{kind.__name__.lower()}s"
    parties = value[what]
    if not isinstance(parties, list) or len(parties) > MAX_PARTIES:
        raise fail(f"manifest-{what}", "manifest", f"wanted a list of at most {MAX_PARTIES} {what}")
    for party in parties:
        if not isinstance(party, dict) or set(party) != set(names(kind)):
            raise fail(f"manifest-{what}", "manifest", f"{what}: wanted maps with exactly {', '.join(names(kind))}")
        key, name = party["key"], party["name"]
        if not isinstance(key, bytes) or len(key) != key_size or not any(key):
            raise fail(f"manifest-{what}", "manifest", f"{what}: wanted keys of {key_size} bytes, not all zero")
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise fail(f"manifest-{what}", "manifest", f"{what}: wanted names of 1 to {MAX_NAME} printable characters")
    keys = [party["key"] for party in parties]
    if keys != sorted(set(keys)) or len({party["name"] for party in parties}) != len(parties):
        raise fail(f"manifest-{what}", "manifest", f"{what}: wanted distinct names and keys, sorted by key")
    return parties


def _provider(item: dict[str, Any], known: dict[str, list[str]]) -> Provider:
    for key, texts in known.items():
        if not isinstance(item[key], list) or item[key] != [text for text in texts if text in item[key]]:
            raise fail("manifest-providers", "manifest", f"provider: wanted {key} of the configuration, in its order")
    if not item["dirs"] and not item["secrets"]:
        raise fail("manifest-providers", "manifest", "a provider of no directory and no secret")
    return Provider(key=item["key"], name=item["name"], dirs=tuple(item["dirs"]), secrets=tuple(item["secrets"]))


@record(hidden=("salt", "secrets"))
class PartHead:
    """The first part of a provider's sealed part: its secrets and the sizes of its indexes. `salt` is 32 random bytes."""

    salt: bytes
    secrets: tuple[tuple[str, bytes], ...]
    index_sizes: tuple[int, ...]

    @classmethod
    def from_bytes(cls, data: bytes, manifest: Manifest, provider: Provider) -> Self:
        """The head in these bytes, with exactly what the manifest has this provider provide; ParseError."""
        value, salt = head_fields(data, names(cls), "part head")
        wanted = tuple(secret for secret in manifest.config.secrets if secret.name in provider.secrets)
        sizes = index_sizes(value["index_sizes"], len(provider.dirs))
        return cls(salt=salt, secrets=secret_values(value["secrets"], wanted), index_sizes=sizes)
