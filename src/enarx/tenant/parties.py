"""The providers and recipients of a configuration, with their keys read: as a manifest names them."""

from __future__ import annotations

import os
from collections.abc import Callable

from enarx.delivery.messages import HPKE_PUBLIC_SIZE
from enarx.errors import UsageError
from enarx.formats import parties, sharing
from enarx.formats.config import Config
from enarx.formats.package import OWNER_SIZE
from enarx.formats.text import hex_bytes
from enarx.tenant import owners, recipients


def resolve(config: Config, base: str) -> tuple[tuple[sharing.Provider, ...], tuple[sharing.Recipient, ...]]:
    """The parties of a configuration whose relative paths start from `base`. UsageError."""
    parties.check(config)
    readers = tuple(
        sharing.Recipient(key=_key(r.key, base, HPKE_PUBLIC_SIZE, recipients.read_public), name=r.name)
        for r in config.recipients
    )
    providers = tuple(
        sharing.Provider(
            key=_key(p.key, base, OWNER_SIZE, owners.read_public),
            name=p.name,
            dirs=tuple(d.guest for d in config.dirs if d.guest in p.dirs),
            secrets=tuple(sorted(p.secrets)),
        )
        for p in config.providers
    )
    _require_distinct([(p.key, p.name) for p in providers])
    _require_distinct([(r.key, r.name) for r in readers])
    return providers, readers


def _key(text: str, base: str, size: int, read: Callable[[str], bytes]) -> bytes:
    """A public key that is written as hexadecimal digits, or as the path of its file."""
    try:
        return hex_bytes(text, size)
    except ValueError:
        return read(os.path.join(base, text))


def _require_distinct(keys: list[tuple[bytes, str]]) -> None:
    names: dict[bytes, str] = {}
    for key, name in keys:
        if key in names:
            hint = "give each party a key of its own"
            raise UsageError("party-key", f"{names[key]} and {name} have the same key", hint=hint)
        names[key] = name
