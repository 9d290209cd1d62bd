"""What each profile says of each call, as the kernel would: the filters are run, not the calls."""

from __future__ import annotations

import errno

import pytest

from enarx.keep.sandbox import bpf, kernel
from enarx.keep.sandbox.bpf import ALLOW, KILL, fail
from enarx.keep.sandbox.profiles import (
    AFTER_LOADING,
    ATTESTER,
    COMPILER,
    KEEPER,
    KEEPER_BOOT,
    KILLED,
    PRETENDED_TERMINAL,
    RESIZE_FLAGS,
    RUNNER,
    UNKNOWN,
    Profile,
)
from enarx.keep.sandbox.syscalls import numbers
from tests.keep.sandbox.filters import verdict

ARCH = 0xC000003E
CALLS = numbers("x86_64")
PROFILES = {p.name: p for p in (KEEPER_BOOT, KEEPER, ATTESTER, COMPILER, RUNNER)}
FORKED = [p for p in PROFILES.values() if p is not KEEPER_BOOT]
EPERM, EACCES, EINVAL, DONE = fail(errno.EPERM), fail(errno.EACCES), fail(errno.EINVAL), fail(0)
PRIVATE, SHARED, GROWING = 0x22, 0x21, 0x122
READ, WRITE, CODE = 1, 2, 4
THREAD = kernel.CLONE_THREAD
SIGCHLD = 17


def program(profile: Profile) -> bytes:
    return bpf.assemble(
        ARCH,
        checks={CALLS[name]: check for name, check in profile.checks.items()},
        allowed=[CALLS[name] for name in profile.allowed if name in CALLS],
        killed=[CALLS[name] for name in KILLED.difference(profile.allowed, profile.checks)],
        default=UNKNOWN,
    )


PROGRAMS = {name: program(profile) for name, profile in PROFILES.items()}


def of(profile: Profile, call: str, *arguments: int) -> int:
    return verdict(PROGRAMS[profile.name], ARCH, CALLS[call], *arguments)


def map_(profile: Profile, protection: int, kind: int) -> int:
    return of(profile, "mmap", 0, 4096, protection, kind)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_call_has_the_verdict_of_its_list(profile: Profile) -> None:
    for name in CALLS:
        if name in profile.checks:
            continue
        wanted = ALLOW if name in profile.allowed else KILL if name in KILLED else UNKNOWN
        assert of(profile, name) == wanted, name
    assert verdict(PROGRAMS[profile.name], ARCH, 4000) == UNKNOWN


@pytest.mark.parametrize("profile", FORKED, ids=lambda p: p.name)
def test_a_forked_process_asks_for_nothing_that_the_booting_keeper_may_not(profile: Profile) -> None:
    """Its filter is joined to that one, so any call beyond would be refused, and the table would lie."""
    assert profile.allowed | profile.checks.keys() <= KEEPER_BOOT.allowed | KEEPER_BOOT.checks.keys()


def test_profiles_name_calls_that_exist() -> None:
    known = CALLS.keys() | numbers("aarch64").keys()
    for profile in PROFILES.values():
        assert profile.allowed | profile.checks.keys() | profile.own <= known, profile.name
    assert known >= KILLED


def test_a_profile_allows_a_call_once() -> None:
    for profile in PROFILES.values():
        assert not profile.allowed & profile.checks.keys(), profile.name
        assert not profile.own & profile.allowed, profile.name


def test_the_attester_has_the_least() -> None:
    assert all(len(ATTESTER.allowed) < len(p.allowed) / 3 for p in PROFILES.values() if p is not ATTESTER)
    assert not ATTESTER.allowed & {"openat", "recvfrom", "sendto", "kill", "clone", "ioctl", "fcntl"}


@pytest.mark.parametrize(
    ("profile", "flags", "result"),
    [
        (KEEPER_BOOT, SIGCHLD, ALLOW),
        (KEEPER_BOOT, THREAD, ALLOW),
        (KEEPER_BOOT, kernel.CLONE_NEWUSER | SIGCHLD, KILL),
        (KEEPER, THREAD, ALLOW),
        (KEEPER, SIGCHLD, KILL),
        (COMPILER, THREAD, ALLOW),
        (COMPILER, SIGCHLD, KILL),
        (RUNNER, THREAD, ALLOW),
        (RUNNER, THREAD | kernel.CLONE_NEWNS, KILL),
        (ATTESTER, THREAD, KILL),
        (ATTESTER, SIGCHLD, KILL),
    ],
)
def test_who_may_fork_and_who_may_start_threads(profile: Profile, flags: int, result: int) -> None:
    assert of(profile, "clone", flags) == result


@pytest.mark.parametrize(
    ("profile", "protection", "kind", "result"),
    [
        (KEEPER, READ | WRITE, PRIVATE, ALLOW),
        (KEEPER, READ | CODE, PRIVATE, EACCES),
        (KEEPER, READ | WRITE, SHARED, ALLOW),
        (ATTESTER, READ | WRITE, PRIVATE, ALLOW),
        (ATTESTER, READ | CODE, PRIVATE, EACCES),
        (ATTESTER, READ | WRITE, SHARED, EPERM),
        (ATTESTER, READ | WRITE, GROWING, EPERM),
        (COMPILER, READ | WRITE, PRIVATE, ALLOW),
        (COMPILER, READ | WRITE | CODE, PRIVATE, EACCES),
        (COMPILER, READ | WRITE, SHARED, EPERM),
        (RUNNER, READ | CODE, PRIVATE, ALLOW),
        (RUNNER, READ | WRITE, SHARED, EPERM),
    ],
)
def test_memory(profile: Profile, protection: int, kind: int, result: int) -> None:
    assert map_(profile, protection, kind) == result


@pytest.mark.parametrize(
    ("profile", "protection", "result"),
    [
        (KEEPER, CODE, EACCES),
        (KEEPER, READ, ALLOW),
        (ATTESTER, CODE, EACCES),
        (ATTESTER, READ, DONE),
        (ATTESTER, READ | WRITE, ALLOW),
        (COMPILER, CODE, DONE),
        (COMPILER, READ, DONE),
        (COMPILER, READ | WRITE, ALLOW),
        (RUNNER, CODE, ALLOW),
    ],
)
def test_protection(profile: Profile, protection: int, result: int) -> None:
    """Success is pretended where memory would become what RLIMIT_DATA does not count, or code that is never run."""
    assert of(profile, "mprotect", 0, 4096, protection) == result


def test_after_loading_nothing_becomes_code() -> None:
    checks = {CALLS[name]: check for name, check in AFTER_LOADING.items()}
    program = bpf.assemble(ARCH, checks=checks, allowed=(), killed=(), default=ALLOW)
    assert verdict(program, ARCH, CALLS["mmap"], 0, 4096, READ | CODE, PRIVATE) == EACCES
    assert verdict(program, ARCH, CALLS["mprotect"], 0, 4096, CODE) == EACCES
    assert verdict(program, ARCH, CALLS["mprotect"], 0, 4096, READ) == DONE
    assert verdict(program, ARCH, CALLS["pkey_mprotect"], 0, 4096, CODE) == EACCES
    assert verdict(program, ARCH, CALLS["seccomp"], 1, 0) == UNKNOWN
    assert verdict(program, ARCH, CALLS["write"], 1, 0) == ALLOW


def test_only_the_booting_keeper_mounts_and_only_to_resize() -> None:
    assert of(KEEPER_BOOT, "mount", 0, 0, 0, RESIZE_FLAGS) == ALLOW
    assert of(KEEPER_BOOT, "mount", 0, 0, 0, 0) == KILL
    assert of(KEEPER_BOOT, "mount", 0, 0, 0, RESIZE_FLAGS & ~kernel.MS_NOEXEC) == KILL
    assert {of(profile, "mount", 0, 0, 0, RESIZE_FLAGS) for profile in FORKED} == {KILL}


@pytest.mark.parametrize("profile", [KEEPER, COMPILER, RUNNER], ids=lambda p: p.name)
def test_arguments_that_reach_others(profile: Profile) -> None:
    assert of(profile, "prlimit64", 0) == ALLOW
    assert of(profile, "prlimit64", 1) == EPERM
    assert of(profile, "fcntl", 0, 3) == ALLOW
    assert {of(profile, "fcntl", 0, command) for command in (6, 8, 10, 15, 1024, 1031)} == {EINVAL}
    assert of(profile, "ioctl", 0, 0x541B) == ALLOW
    assert of(profile, "ioctl", 0, 0x5412) == fail(errno.ENOTTY)  # TIOCSTI
    assert of(profile, "prctl", kernel.PR_SET_NAME) == ALLOW
    assert {of(profile, "prctl", option) for option in (kernel.PR_SET_DUMPABLE, kernel.PR_CAPBSET_DROP, 22)} == {EPERM}


def test_a_pretended_terminal_answers_isatty_and_leaves_other_requests_alone() -> None:
    checks = {CALLS[name]: check for name, check in PRETENDED_TERMINAL.items()}
    terminal = bpf.assemble(ARCH, checks=checks, allowed=(), killed=(), default=ALLOW)
    tcgets, tcgets2, tiocgwinsz, fionread, fionbio = 0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421
    for request in (tcgets, tcgets2, tiocgwinsz):
        assert verdict(terminal, ARCH, CALLS["ioctl"], 1, request) == DONE
        assert of(RUNNER, "ioctl", 1, request) == ALLOW, "which the later filter overrules"
    for request in (fionread, fionbio):
        assert verdict(terminal, ARCH, CALLS["ioctl"], 1, request) == ALLOW
    assert verdict(terminal, ARCH, CALLS["read"], 0, 0) == ALLOW
