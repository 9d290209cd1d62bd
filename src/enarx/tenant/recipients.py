"""Keys of recipients: HPKE (docs/spec/delivery.md, "Suite"), in files that look like PEM with labels of their own.

A manifest names the public keys of those who may read the output. A Keep seals the output's secret to each of them.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat

from enarx.delivery.messages import HPKE_PUBLIC_SIZE
from enarx.delivery.suite import HPKE_SEED_SIZE, HpkeKey
from enarx.errors import UsageError
from enarx.tenant.paths import open_regular, write_private

PRIVATE, PUBLIC = "ENARX RECIPIENT PRIVATE KEY", "ENARX RECIPIENT PUBLIC KEY"
SIZES = {PRIVATE: HPKE_SEED_SIZE, PUBLIC: HPKE_PUBLIC_SIZE}
SUFFIX = ".pub"
MAX_FILE = 16 << 10
LINE = 64


def create(path: str) -> bytes:
    """Make a key pair: the private key in a new file of mode 0600, the public key beside it; returns the public key.

    UsageError if either file exists.
    """
    seed = os.urandom(HPKE_SEED_SIZE)
    public = HpkeKey(seed).public
    beside = path + SUFFIX
    for name in (path, beside):
        if os.path.lexists(name):
            raise UsageError("recipient-exists", f"{name}: exists", hint="a key is never overwritten")
    try:
        write_private(path, _encoded(PRIVATE, seed), new=True)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(_encoded(PUBLIC, public))
    except FileExistsError as e:
        raise UsageError("recipient-exists", f"{e.filename or path}: exists", hint="a key is never overwritten") from e
    except OSError as e:
        raise UsageError("recipient-file", f"{e.filename or path}: {e.strerror}") from e
    return public


def load(path: str) -> HpkeKey:
    """The key pair in the file of a private key. UsageError, also if others can read the file."""
    label, data, mode = _read(path)
    if label != PRIVATE:
        raise UsageError("recipient-public", f"{path}: a public key, wanted the private key that belongs to it")
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError("recipient-mode", f"{path}: others can read this private key", hint=f"chmod 600 {path}")
    return HpkeKey(data)


def read_public(path: str) -> bytes:
    """The raw public key in a file with either half, 1216 bytes. UsageError."""
    label, data, _ = _read(path)
    return data if label == PUBLIC else HpkeKey(data).public


def _encoded(label: str, data: bytes) -> bytes:
    text = base64.b64encode(data).decode()
    lines = [text[at : at + LINE] for at in range(0, len(text), LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def _read(path: str) -> tuple[str, bytes, int]:
    """The label and the bytes of a key, and the mode of its file."""
    hint = "make one with: enarx data key FILE"
    try:
        with open(open_regular(path), "rb") as file:
            text, mode = file.read(MAX_FILE).decode("latin-1"), os.fstat(file.fileno()).st_mode
    except (OSError, ValueError) as e:  # ValueError: a NUL in the path
        why = e.strerror if isinstance(e, OSError) and e.strerror else "not a file path"
        raise UsageError("recipient-file", f"{path}: {why}", hint=hint) from e
    lines = text.split("\n")
    for label, size in SIZES.items():
        if lines[0] != f"-----BEGIN {label}-----" or lines[-2:] != [f"-----END {label}-----", ""]:
            continue
        try:
            data = base64.b64decode("".join(lines[1:-2]), validate=True)
        except binascii.Error:
            data = b""
        if len(data) == size:
            return label, data, mode
        raise UsageError("recipient-key", f"{path}: damaged, wanted {size} bytes in base64", hint=hint)
    owner = "BEGIN PRIVATE KEY" in text or "BEGIN PUBLIC KEY" in text
    what = "an owner's key, which signs" if owner else "not a recipient's key"
    raise UsageError("recipient-key", f"{path}: {what}; wanted a recipient's key, which opens results", hint=hint)
