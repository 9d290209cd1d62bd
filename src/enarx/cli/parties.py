"""Several owners of data on a terminal: what a Keep is for, in words, and whose parts have come."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from enarx.api.data import Preview
from enarx.cli import console
from enarx.delivery.tenant import Session
from enarx.formats.config import Dir, Limits, Secret
from enarx.formats.package import Manifest
from enarx.formats.sharing import Provider, Recipient

MODES = {"ro": "read-only", "rw": "writable", "out": "output"}


class Waiting:
    """Whose parts a job waits for. Its methods are called in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._came: list[str] = []
        self._names: tuple[str, ...] | None = None

    def expect(self, session: Session, path: str) -> None:
        """Say for whom the invitation at `path` is, and who is missing."""
        manifest = Manifest.from_bytes(session.manifest)
        with self._lock:
            self._names = tuple(provider.name for provider in manifest.providers)
            readers = [recipient.name for recipient in manifest.recipients]
            who = ", ".join(dict.fromkeys((*self._names, *readers)))
            console.note(f"{path} is the invitation for {who}: send it to them")
            if self._names:
                self._tell("the Keep has the package")

    def took(self, name: str) -> None:
        """Note that the Keep has confirmed this provider's part."""
        with self._lock:
            self._came.append(name)
            if self._names is not None:
                self._tell(f"the Keep has the part of {name}")

    def _tell(self, news: str) -> None:
        missing = [name for name in self._names or () if name not in self._came]
        console.note(
            f"{news}; " + (f"it waits for {', '.join(missing)}" if missing else "it has all parts, and starts")
        )


def fingerprint(key: bytes) -> str:
    """The SHA-256 of a recipient's key, which is too long to be compared by people."""
    return hashlib.sha256(key).hexdigest()


def provider_as_json(provider: Provider) -> dict[str, Any]:
    """A provider as a plain value for JSON."""
    return {
        "name": provider.name,
        "key": provider.key.hex(),
        "dirs": list(provider.dirs),
        "secrets": list(provider.secrets),
    }


def recipient_as_json(recipient: Recipient) -> dict[str, Any]:
    """A recipient as a plain value for JSON, with the fingerprint of its key."""
    return {"name": recipient.name, "key_sha256": fingerprint(recipient.key)}


def as_json(preview: Preview) -> dict[str, Any]:
    """A preview as a plain value for JSON."""
    manifest = preview.manifest
    return {
        "package": preview.package.hex(),
        "session": preview.session.hex(),
        "wasm": manifest.wasm.hex(),
        "config": manifest.config.public(),
        "owners": [owner.hex() for owner in manifest.owners],
        "commitments": {
            "args": manifest.args.hex(),
            "env": manifest.env.hex(),
            "dirs": [commitment.hex() for commitment in manifest.dirs],
        },
        "providers": [provider_as_json(provider) for provider in manifest.providers],
        "recipients": [recipient_as_json(recipient) for recipient in manifest.recipients],
        "parts": {name: digest.hex() for name, digest in preview.parts},
        "missing": list(preview.missing),
    }


def lines(preview: Preview) -> list[str]:
    """All of the public manifest in words, one line for each fact."""
    manifest, parts = preview.manifest, dict(preview.parts)
    config = manifest.config
    sources = {item: p.name for p in manifest.providers for item in (*p.dirs, *p.secrets)}
    shown = [
        f"package      {preview.package.hex()}",
        f"module       SHA-256 {manifest.wasm.hex()}",
        "arguments    chosen by the coordinator, not shown, fixed by a commitment",
        "environment  chosen by the coordinator, not shown, fixed by a commitment",
        f"limits       {_limits(config.limits)}",
        f"descriptors  {_files(manifest)}",
    ]
    shown += [f"owner        Ed25519 {owner.hex()}" for owner in manifest.owners]
    shown += [_directory(directory, sources) for directory in config.dirs]
    shown += [_secret(secret, sources) for secret in config.secrets]
    for provider in manifest.providers:
        state = f"its part has come: {parts[provider.name].hex()}" if provider.name in parts else "its part is missing"
        shown.append(f"provider     {provider.name}, Ed25519 {provider.key.hex()}; {state}")
    for recipient in manifest.recipients:
        shown.append(f"results for  {recipient.name}, HPKE key with SHA-256 {fingerprint(recipient.key)}")
    if not manifest.recipients:
        shown.append("results for  the owner")
    return shown


def _limits(limits: Limits) -> str:
    texts = [f"memory {_size(limits.memory)}", f"disk {_size(limits.disk)}"]
    texts += [f"time {limits.time:g} s"] if limits.time is not None else []
    texts += [f"fuel {limits.fuel}"] if limits.fuel is not None else []
    texts += [f"output {_size(limits.output)}"] if limits.output is not None else []
    return ", ".join([*texts, f"parts within {limits.contributions:g} s"])


def _size(count: int) -> str:
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count and not count % (1 << shift):
            return f"{count >> shift} {unit}"
    return f"{count} bytes"


def _files(manifest: Manifest) -> str:
    files = manifest.config.files
    if files is None:
        return "stdin, stdout, stderr"
    return ", ".join(f"{f.kind} {f.name}" if f.kind in ("listen", "connect") else f.kind for f in files) or "none"


def _directory(directory: Dir, sources: dict[str, str]) -> str:
    mode = MODES.get(directory.mode, directory.mode)
    return f"directory    {directory.guest}, {mode}, from {sources.get(directory.guest, 'the owner')}"


def _secret(secret: Secret, sources: dict[str, str]) -> str:
    variable = f", as the variable {secret.env} too" if secret.env else ""
    return f"secret       {secret.name}{variable}, from {sources.get(secret.name, 'the owner')}"
