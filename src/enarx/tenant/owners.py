"""Owner keys: Ed25519, in PEM (PKCS#8 private, SubjectPublicKeyInfo public).

A package names the public keys of its owners. The holder of one of the private keys may provision its secrets.
"""

from __future__ import annotations

import base64
import contextlib
import os
import stat

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from enarx.errors import UsageError
from enarx.record import record
from enarx.tenant.paths import config_dir, open_regular, private_dir, write_private

MAX_FILE = 16 << 10
PKCS8_ED25519 = bytes.fromhex("302e020100300506032b657004220420")
"""The fixed DER prefix of the 32 bytes of an Ed25519 private key (RFC 8410, section 7)."""


@record(kw_only=False, hidden=("seed",))
class Owners:
    """The public keys that a package names, 32 bytes each, and the 32-byte seed of the key that signs here."""

    public: tuple[bytes, ...]
    seed: bytes


def default_path() -> str:
    """The path of the user's own key."""
    return os.path.join(config_dir(), "owner.pem")


def create(path: str) -> bytes:
    """Make a key in a new file of mode 0600; returns the raw public key, 32 bytes. UsageError if the file exists."""
    try:
        return _create(path)
    except FileExistsError as e:
        raise UsageError("owner-exists", f"{path}: exists", hint="an owner key is never overwritten") from e


def _create(path: str) -> bytes:
    key = Ed25519PrivateKey.generate()
    body = base64.b64encode(PKCS8_ED25519 + key.private_bytes_raw())
    try:
        write_private(path, b"-----BEGIN PRIVATE KEY-----\n" + body + b"\n-----END PRIVATE KEY-----\n", new=True)
    except FileExistsError:
        raise
    except OSError as e:
        raise UsageError("owner-file", f"{path}: {e.strerror}") from e
    return key.public_key().public_bytes_raw()


def load(paths: tuple[str, ...] = ()) -> Owners:
    """The owners in these files, exactly one of them a private key. UsageError.

    Without files it is the user's own key, which is made on first use.
    """
    if not paths:
        path = default_path()
        if not os.path.lexists(path):
            private_dir(os.path.dirname(path))
            with contextlib.suppress(FileExistsError):  # another process has just made it
                _create(path)
        paths = (path,)
    seeds, public = [], []
    for path in paths:
        key = _read(path)
        if isinstance(key, Ed25519PrivateKey):
            seeds.append(key.private_bytes_raw())
            key = key.public_key()
        public.append(key.public_bytes_raw())
    if len(seeds) != 1:
        raise UsageError(
            "owner-private",
            f"{len(seeds)} private owner keys, wanted exactly one to sign with",
            hint="give one private key and any number of public ones",
        )
    return Owners(tuple(public), seeds[0])


def public_pem(raw: bytes) -> str:
    """A raw public key in PEM, to be given to others."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PublicKey.from_public_bytes(raw)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_public(path: str) -> bytes:
    """The raw public key in a file with either half, 32 bytes. UsageError."""
    key = _read(path)
    return (key.public_key() if isinstance(key, Ed25519PrivateKey) else key).public_bytes_raw()


def _read(path: str) -> Ed25519PrivateKey | Ed25519PublicKey:
    try:
        with open(open_regular(path), "rb") as file:
            data, mode = file.read(MAX_FILE), os.fstat(file.fileno()).st_mode
    except OSError as e:
        raise UsageError("owner-file", f"{path}: {e.strerror}", hint="make one with: enarx owner new") from e
    private = b"PRIVATE KEY" in data
    if private and os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError("owner-mode", f"{path}: others can read this private key", hint=f"chmod 600 {path}")
    plain = _plain(data)
    if plain is not None:
        return plain
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

    try:
        key = load_pem_private_key(data, None) if private else load_pem_public_key(data)
    except (ValueError, TypeError) as e:
        hint = "wanted an owner's key, as enarx owner new makes it"
        raise UsageError("owner-pem", f"{path}: not an unencrypted PEM key", hint=hint) from e
    if not isinstance(key, (Ed25519PrivateKey, Ed25519PublicKey)):
        raise UsageError("owner-kind", f"{path}: not an Ed25519 key")
    return key


def _plain(data: bytes) -> Ed25519PrivateKey | None:
    """A private key in the form that `create` writes; None for any other. Loading the general parser takes 20 ms."""
    lines = data.split()
    if len(lines) != 7 or lines[:3] != [b"-----BEGIN", b"PRIVATE", b"KEY-----"]:
        return None
    try:
        der = base64.b64decode(lines[3], validate=True)
    except ValueError:
        return None
    if len(der) != len(PKCS8_ED25519) + 32 or not der.startswith(PKCS8_ED25519):
        return None
    return Ed25519PrivateKey.from_private_bytes(der[len(PKCS8_ED25519) :])
