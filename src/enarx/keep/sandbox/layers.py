"""The layers of the sandbox by name: what each stops, what it needs, and whether it is on.

A layer that the kernel refuses ends the launch with a remedy, unless the host left it out by name. Nothing is skipped
silently.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable

from enarx.errors import BackendError, UsageError
from enarx.record import record

STOPS = {
    "unprivileged-uid": "an escape as root: the Keep's user id outside is not root's",
    "user-namespace": "capabilities that count outside; gives an ordinary user the right to the other namespaces",
    "pid-namespace": "seeing, signalling or tracing any process of the host; nothing outlives the Keep's first process",
    "mount-namespace": "reaching any file of the host, and files of the Keep reaching a disk: its root is in memory",
    "net-namespace": "every network interface, the loopback too, and abstract Unix sockets",
    "ipc-namespace": "System V IPC and POSIX message queues of the host",
    "uts-namespace": "learning or changing the host's name",
    "no-new-privs": "gaining privileges by executing anything, set-user-id or otherwise",
    "capabilities": "using, or ever regaining, any right of root, even inside the namespaces",
    "not-dumpable": "other processes of the same user reading its memory, and core dumps",
    "rlimits": "core files and, beyond their limits, open files, processes and data",
    "landlock": "opening files outside the granted directories, TCP, abstract sockets, the workload signalling others",
    "seccomp": "every system call that the process has no use for; the dangerous ones kill it",
    "mdwe": "new executable memory, once the workload's compiled code is loaded",
}
"""What each layer stops, in the order in which the layers are applied."""

LAYERS = tuple(STOPS)

NEEDS = {
    "user-namespace": "a kernel built with CONFIG_USER_NS",
    "no-new-privs": "Linux 3.5 or later",
    "not-dumpable": "permission for prctl(2)",
    "landlock": "Linux 5.19 or later, built with CONFIG_SECURITY_LANDLOCK and booted with landlock in lsm=",
    "seccomp": "Linux 4.14 or later on x86_64 or aarch64, built with CONFIG_SECCOMP_FILTER",
    "mdwe": "Linux 6.3 or later, or the seccomp layer",
    "unprivileged-uid": "CAP_SETUID and CAP_SETGID for root, or an ordinary user to begin with",
    "rlimits": "hard limits that are not below the wanted ones",
    "capabilities": "permission for capset(2)",
}
NEEDS_NAMESPACE = "the user-namespace layer, or root with CAP_SYS_ADMIN"

_SETTINGS = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "an AppArmor profile that grants this interpreter userns, or "
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
"""Settings under /proc/sys that can forbid user namespaces: path, forbidding value, remedy."""

_REFUSALS = {
    ("user-namespace", errno.EPERM): (
        "a container or service manager that allows unshare(2), such as docker run --security-opt seccomp=unconfined"
    ),
    ("mount-namespace", errno.EACCES): (
        "a container in which AppArmor allows mount(2), such as docker run --security-opt apparmor=unconfined"
    ),
    ("landlock", errno.EPERM): "the no-new-privs layer",
    ("seccomp", errno.EACCES): "the no-new-privs layer",
    ("mount-namespace", errno.EINVAL): "a root file system other than the kernel's initial one in memory",
}
"""Remedies that depend on the error number as well."""


@record()
class Layer:
    """The outcome for one layer. `remedy` says what it needs; it is empty if the layer is on."""

    name: str
    on: bool
    detail: str
    remedy: str = ""


def attempt(name: str, step: Callable[[], str], skip: frozenset[str]) -> Layer:
    """Apply a layer with `step`, which returns a description. The layer is off if `skip` names it or the kernel refuses."""
    if name in skip:
        return Layer(name=name, on=False, detail="left out, as asked", remedy=f"do not name {name} as left out")
    try:
        return Layer(name=name, on=True, detail=step())
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        return Layer(name=name, on=False, detail=f"{where}{e.strerror}".lower(), remedy=remedy(name, e.errno or 0))


def require(layers: Iterable[Layer], skip: frozenset[str]) -> None:
    """Raise BackendError 'layers-missing' unless every layer is on or named in `skip`."""
    missing = tuple((x.name, x.detail, x.remedy) for x in layers if not x.on and x.name not in skip)
    if missing:
        names = ", ".join(name for name, _, _ in missing)
        raise BackendError(
            "layers-missing",
            f"the sandbox lacks {names} on this machine",
            checks=missing,
            hint="provide what each missing layer needs, or name the layers to do without",
        )


def check_names(skip: frozenset[str]) -> None:
    """Raise UsageError if `skip` has a name that is not a layer's."""
    unknown = ", ".join(sorted(skip.difference(LAYERS)))
    if unknown:
        raise UsageError("unknown-layer", f"no sandbox layer is called {unknown}", hint=f"layers: {', '.join(LAYERS)}")


def remedy(name: str, code: int) -> str:
    """Return the remedy for a layer that failed with error number `code`."""
    if not name.endswith("-namespace"):
        return _REFUSALS.get((name, code)) or NEEDS[name]
    for path, forbids, what in _SETTINGS:
        if _setting(path) == forbids:
            return what
    if code == errno.ENOSPC:
        return f"sysctl -w user.max_{_KINDS[name]}_namespaces=10000"
    return _REFUSALS.get((name, code)) or NEEDS.get(name, NEEDS_NAMESPACE)


_KINDS = {f"{kind}-namespace": kind for kind in ("user", "pid", "net", "ipc", "uts")} | {"mount-namespace": "mnt"}


def _setting(path: str) -> str:
    try:
        with open(f"/proc/sys/{path}", "rb") as file:  # in text mode, Python might have to import a codec
            return file.read().decode().strip()
    except OSError:
        return ""
