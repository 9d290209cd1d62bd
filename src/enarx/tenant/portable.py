"""File names that mean the same file on every system. A workload chose them, so none is used before it is checked here."""

from __future__ import annotations

import os
import unicodedata

from enarx.errors import DeliveryError

SEPARATORS = frozenset("/\\")
NOT_ON_WINDOWS = frozenset('<>:"|?*')
"""Characters that other systems allow in a name. On Windows a colon even leads to another place."""

RESERVED = frozenset(
    [
        "CON",
        "PRN",
        "AUX",
        "NUL",
        "CONIN$",
        "CONOUT$",
        *(f"{device}{n}" for device in ("COM", "LPT") for n in "123456789¹²³"),
    ]
)
"""Names that are devices on Windows, also with an extension."""


def check(name: str, path: str) -> None:
    """DeliveryError, which names `path`, unless `name` is a portable name of a file or directory."""
    if why := _fault(name):
        raise refused(path, why)


def key(name: str) -> str:
    """The name as a system sees it that ignores case and forms of Unicode: equal for names that it would take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def refused(path: str, why: str) -> DeliveryError:
    """The error for a name that is not accepted."""
    hint = "nothing was written; have the workload choose another name"
    return DeliveryError("results-name", f"results: {path!r}: {why}", state="session", hint=hint)


def _fault(name: str) -> str:
    if name in ("", ".", ".."):
        return "a name that leads out of its directory"
    if not SEPARATORS.isdisjoint(name):
        return "a name with a separator"
    if any(unicodedata.category(c) == "Cc" for c in name):
        return "a name with a control character"
    if name[-1] in ". ":
        return "a name that ends in a dot or a space"
    if name.partition(".")[0].rstrip(" ").upper() in RESERVED:
        return "a name that is reserved on Windows"
    if os.name == "nt" and not NOT_ON_WINDOWS.isdisjoint(name):
        return "a name with a character that Windows does not allow"
    return ""
