"""The tenant's half of packages: the bytes of manifests and heads (docs/spec/package.md). A Keep only reads these."""

from __future__ import annotations

from typing import Any

from enarx.formats.config import Config
from enarx.formats.package import MAX_HEAD, VERSION, Head, Manifest, fail
from enarx.formats.wire import encode
from enarx.record import as_dict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.formats.sharing import PartHead, Provider, Recipient


def make_manifest(
    *,
    owners: tuple[bytes, ...],
    wasm: bytes,
    config: Config,
    args: bytes,
    env: bytes,
    dirs: tuple[bytes, ...],
    providers: tuple[Provider, ...] = (),
    recipients: tuple[Recipient, ...] = (),
) -> Manifest:
    """The manifest of these values, parsed by `Manifest.from_bytes` so that both sides apply the same rules."""
    return Manifest.from_bytes(
        encode(
            {
                "version": VERSION,
                "owners": sorted(set(owners)),
                "wasm": wasm,
                "config": config.public(),
                "args": args,
                "env": env,
                "dirs": list(dirs),
                "providers": [_plain(p) for p in sorted(providers, key=lambda p: p.key)],
                "recipients": [_plain(r) for r in sorted(recipients, key=lambda r: r.key)],
            }
        )
    )


def head_bytes(head: Head | PartHead, limit: int = MAX_HEAD) -> bytes:
    """The canonical encoding of a package's or a part's head; ParseError if it has more than `limit` bytes."""
    value = _plain(head)
    data = encode(value | {name: dict(value[name]) for name in ("env", "secrets") if name in value})
    if len(data) > limit:
        raise fail("head-size", "head", f"{len(data)} bytes of arguments, environment and secrets, at most {limit}")
    return data


def _plain(value: Head | PartHead | Provider | Recipient) -> dict[str, Any]:
    """The fields of a record as plain values for CBOR."""
    return {name: list(item) if isinstance(item, tuple) else item for name, item in as_dict(value).items()}
