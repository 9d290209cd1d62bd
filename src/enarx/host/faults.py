"""Refusals: what a failure means to a client. One of the operating system says which resource has run out, and the remedy."""

from __future__ import annotations

import errno

from enarx.errors import BackendError, EnarxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FULL = ("disk-full", "the host's disk is full", "enarx keep prune, or free space on the disk of its state directory")
READ_ONLY = ("state-read-only", "the host cannot write to its state directory", "its operator can make it writable")
DESCRIPTORS = ("descriptors", "the host has no file descriptors left", "try again later")
MEMORY = ("host-memory", "the host has no memory or processes left", "try again later")
FAULTS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,
    errno.EPERM: READ_ONLY,
    errno.EMFILE: DESCRIPTORS,
    errno.ENFILE: DESCRIPTORS,
    errno.ENOMEM: MEMORY,
    errno.EAGAIN: MEMORY,
}
"""Code, message and hint by errno."""


def refusal(e: OSError | EnarxError) -> dict[str, Any]:
    """The answer that reports a failure, in the form of supervisors and launchers. A backend's has its checks."""
    if isinstance(e, EnarxError):
        checks = e.checks if isinstance(e, BackendError) else ()
        return {"ok": False, "code": e.code, "message": e.message, "hint": e.hint, "checks": checks}
    other = ("launch", f"the host failed: {e.strerror}", "its log may give the reason")
    code, message, hint = FAULTS.get(e.errno or 0, other)
    return {"ok": False, "code": code, "message": message, "hint": hint}
