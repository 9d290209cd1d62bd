"""Confines a process that is already isolated. Each process of a Keep calls `confine` before its work."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterable
from itertools import takewhile

from enarx.errors import BackendError
from enarx.keep.sandbox import bpf, kernel, landlock
from enarx.keep.sandbox.bpf import WORD, Check, fail
from enarx.keep.sandbox.layers import Layer, attempt, check_names, require
from enarx.keep.sandbox.profiles import (
    AFTER_LOADING,
    ATTESTER,
    COLLECTOR,
    COMPILER,
    KEEPER,
    KEEPER_BOOT,
    KILLED,
    PRETENDED_TERMINAL,
    RUNNER,
    UNKNOWN,
    Profile,
)
from enarx.keep.sandbox.syscalls import ARCH, NUMBERS

_LAST_CAPABILITY = 63
_COUNTED_PER_NAMESPACE = (5, 14)
"""The first Linux that counts RLIMIT_NPROC in each user namespace. Earlier, all Keeps of a user would share the limit."""

_STACK = 8 << 20
"""Bytes of the first thread's stack, the usual default. RLIMIT_DATA does not count it, and it could grow by gigabytes."""

_SPACE = 64 << 30
"""Bytes of address space. wasmtime reserves 4 GiB for a linear memory and as much for each guard region, and touches neither.
Reading reserved memory costs page tables: at most 128 MiB under this limit."""

_PROGRAMS: dict[str, bytes] = {}
"""The filters that were assembled, by the name of their profile."""

_LIMITED = {
    resource.RLIMIT_CORE: "core",
    resource.RLIMIT_STACK: "stack",
    resource.RLIMIT_AS: "space",
    resource.RLIMIT_NOFILE: "files",
    resource.RLIMIT_NPROC: "processes",
    resource.RLIMIT_DATA: "data",
}


def confine(
    profile: Profile,
    *,
    skip: frozenset[str],
    nofile: int,
    nproc: int,
    data: int | None = None,
    read_only: Iterable[str] = (),
    read_write: Iterable[str] = (),
) -> tuple[Layer, ...]:
    """Confine this single-threaded process to `profile` for good; return the layers.

    `nofile` is one more than the highest descriptor that it may open. `nproc` counts all processes and threads of the
    Keep. `data` limits private writable memory in bytes; reserved address space does not count. `read_only` and
    `read_write` are directories. BackendError 'layers-missing' if the kernel refuses a layer that `skip` does not name,
    'threads' if the process has several threads, because the others would stay unconfined.
    """
    check_names(skip)
    _refuse_threads()
    limits = _limits(nofile, nproc if "user-namespace" not in skip else None, data)
    layers = try_confine(profile, skip, limits, read_only, read_write)
    require(layers, skip)
    return layers


def try_confine(
    profile: Profile, skip: frozenset[str], limits: dict[int, int], read_only: Iterable[str], read_write: Iterable[str]
) -> tuple[Layer, ...]:
    """Try each layer that `skip` does not name; return the outcome of each."""
    # outside a user namespace they count on the host
    kept = profile.capabilities if "user-namespace" not in skip else 0
    steps: dict[str, Callable[[], str]] = {
        "no-new-privs": _no_new_privs,
        "capabilities": lambda: _drop_capabilities(kept),
        "not-dumpable": _not_dumpable,
        "rlimits": lambda: _limit(limits),
        "landlock": lambda: _landlock(profile, read_only, read_write),
        "seccomp": lambda: _filter(profile),
    }
    if profile is KEEPER_BOOT:
        steps = {"mdwe": _will_refuse_new_code} | steps
    return tuple(attempt(name, step, skip) for name, step in steps.items())


def forbid_new_code(*, skip: frozenset[str] = frozenset()) -> Layer:
    """Refuse new executable memory to this process and all its threads. Memory that is executable already stays so.

    A filter refuses it, and so does PR_SET_MDWE if the kernel has it. BackendError as for `confine`.
    """
    layer = try_forbid_new_code(skip)
    require((layer,), skip)
    return layer


def pretend_terminal(*, skip: frozenset[str] = frozenset()) -> None:
    """Have isatty(3) report a terminal for each descriptor of this process. BackendError without the layer 'seccomp'."""
    if "seccomp" in skip:
        raise BackendError("terminal", "--tty needs the layer seccomp", hint="leave out --unsafe-skip-layer seccomp")
    _add(PRETENDED_TERMINAL)


def try_forbid_new_code(skip: frozenset[str]) -> Layer:
    """Try to refuse new executable memory; return the outcome."""
    return attempt("mdwe", lambda: _forbid_new_code(skip), skip)


def _refuse_threads() -> None:
    """Raise if there are several threads: unshare(2) with CLONE_THREAD has no effect, but fails in such a process."""
    try:
        kernel.unshare(kernel.CLONE_THREAD)
    except OSError as e:
        if e.errno == errno.EINVAL:
            raise BackendError("threads", "the process to confine has more than one thread") from e


def _no_new_privs() -> str:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    return "set"


def _drop_capabilities(kept: int) -> str:
    """Drop the bounding set too if the kernel allows; otherwise no_new_privs makes it ineffective."""
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    bounded = _empty_bounding_set()
    kept &= kernel.permitted_capabilities()
    kernel.set_capabilities(kept)
    return ("none kept" if not kept else "one kept, to resize /data") + ("" if bounded else "; bounding set unchanged")


def _empty_bounding_set() -> bool:
    try:
        for capability in range(_LAST_CAPABILITY + 1):
            if kernel.prctl(kernel.PR_CAPBSET_READ, capability):
                kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
    except OSError as e:
        return e.errno == errno.EINVAL  # past the last capability that this kernel knows
    return True


def _not_dumpable() -> str:
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    return "set"


def _limits(nofile: int, nproc: int | None, data: int | None) -> dict[int, int]:
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_STACK: _STACK, resource.RLIMIT_NOFILE: nofile}
    limits[resource.RLIMIT_AS] = _SPACE
    if nproc is not None and _linux() >= _COUNTED_PER_NAMESPACE:
        limits[resource.RLIMIT_NPROC] = nproc
    if data is not None:
        limits[resource.RLIMIT_DATA] = data
    return limits


def _limit(limits: dict[int, int]) -> str:
    for kind, wanted in limits.items():
        _lower(kind, wanted)
    return ", ".join(f"{_LIMITED[kind]} {wanted}" for kind, wanted in limits.items())


def _lower(kind: int, wanted: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (limit, limit))


def _linux() -> tuple[int, ...]:
    """Return the kernel's version and patch level, parsed from a release such as 6.1.0-13-amd64 or 6.1+."""
    parts = os.uname().release.split(".")[:2]
    return tuple(int("".join(takewhile(str.isdigit, part)) or "0") for part in parts)


def _landlock(profile: Profile, read_only: Iterable[str], read_write: Iterable[str]) -> str:
    """Restrict files. Landlock forbids remounting /data, so the booting keeper leaves it to `KEEPER`."""
    if profile is KEEPER_BOOT:
        return f"{landlock.usable()}, once the keeper is sealed and in all that it forks"
    return landlock.restrict(signals=profile.signals, read_only=read_only, read_write=read_write)


def prepare() -> None:
    """Assemble the filters of all profiles, so that processes that are forked afterwards share them."""
    if ARCH is not None:
        for profile in (KEEPER_BOOT, KEEPER, ATTESTER, COLLECTOR, COMPILER, RUNNER):
            _program(profile)


def _filter(profile: Profile) -> str:
    """Install the profile's filter, and before it another for the calls that need this process's own id."""
    if profile.own:
        own = {name: Check(0, WORD, (os.getpid(),), fail(errno.EPERM)) for name in profile.own}
        _add(own)
    kernel.set_filter(_program(profile))
    return f"profile {profile.name}, {len(profile.allowed) + len(profile.checks) + len(profile.own)} calls"


def _program(profile: Profile) -> bytes:
    if profile.name not in _PROGRAMS:
        allowed = profile.allowed | profile.own
        _PROGRAMS[profile.name] = _assemble(profile.checks, allowed, KILLED, UNKNOWN)
    return _PROGRAMS[profile.name]


def _add(checks: dict[str, Check]) -> None:
    """Install a filter of these checks alone: whatever it allows, earlier filters may still refuse."""
    kernel.set_filter(_assemble(checks, frozenset(), frozenset(), bpf.ALLOW))


def _assemble(checks: dict[str, Check], allowed: frozenset[str], killed: frozenset[str], default: int) -> bytes:
    """Return a filter; names of calls that this architecture lacks are left out."""
    if ARCH is None:
        raise OSError(errno.ENOSYS, "no table of calls for this architecture", "seccomp")
    return bpf.assemble(
        ARCH,
        checks={NUMBERS[name]: check for name, check in checks.items() if name in NUMBERS},
        allowed=[NUMBERS[name] for name in allowed if name in NUMBERS],
        killed=[NUMBERS[name] for name in killed.difference(allowed, checks) if name in NUMBERS],
        default=default,
    )


def _will_refuse_new_code() -> str:
    return "once the workload is loaded: " + ("a filter and PR_SET_MDWE" if _has_mdwe() else "a filter")


def _has_mdwe() -> bool:
    try:
        return kernel.prctl(kernel.PR_GET_MDWE) >= 0
    except OSError:
        return False


def _forbid_new_code(skip: frozenset[str]) -> str:
    hardened = _has_mdwe()
    if hardened:
        kernel.prctl(kernel.PR_SET_MDWE, kernel.PR_MDWE_REFUSE_EXEC_GAIN)
    if "seccomp" not in skip:
        _add(AFTER_LOADING)
    elif not hardened:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), "PR_SET_MDWE")
    return "PR_SET_MDWE" if hardened else "a filter alone: Linux is older than 6.3"
