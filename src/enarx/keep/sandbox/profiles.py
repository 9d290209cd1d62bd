"""Which system calls each process of a Keep may make, and why.

Unlisted calls give ENOSYS, as a kernel would that lacks them: the C library and Rust's fall back to older ones, and
that keeps the lists valid for C libraries yet to come. Calls by which a process would leave its sandbox kill it. A
filter put on later is joined to the earlier ones, the stricter verdict holding: so KEEPER_BOOT, under which the runner
and the compiler are forked, allows whatever any other profile does.
"""

from __future__ import annotations

import errno

from enarx.keep.sandbox import kernel
from enarx.keep.sandbox.bpf import KILL, WORD, Check, fail
from enarx.record import record

UNKNOWN = fail(errno.ENOSYS)
CAP_SYS_ADMIN = 1 << 21

RESIZE_FLAGS = kernel.MS_REMOUNT | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
"""The one set of mount(2) flags that KEEPER_BOOT may use."""


def _calls(names: str) -> frozenset[str]:
    return frozenset(names.split())


_MEMORY = _calls("brk madvise membarrier munmap")
"""mremap is not among them: it can grow a stack's mapping, which RLIMIT_DATA does not count."""

_THREADS = _calls(
    """exit exit_group futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list getcpu gettid
    restart_syscall rseq rseq_slice_yield sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getparam sched_getscheduler sched_yield set_robust_list set_tid_address"""
)
_TIME = _calls("clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep pause time times")
_SIGNALS = _calls("rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack")
_DESCRIPTORS = _calls(
    """close close_range dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait
    eventfd2 fstat lseek newfstatat poll ppoll pread64 preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readv
    select statx write writev"""
)
_QUESTIONS = _calls(
    """capget getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getrandom getresgid
    getresuid getrlimit getrusage getsid getuid sysinfo uname"""
)
_LINKS = _calls("recvfrom sendto")
"""On sockets that are open already: nobody can make one, and no descriptor travels through them."""

_BASE = _MEMORY | _THREADS | _TIME | _SIGNALS | _DESCRIPTORS | _QUESTIONS | _LINKS

_FILES = _calls(
    """access faccessat faccessat2 fadvise64 fallocate fdatasync fstatfs fsync ftruncate futimesat getcwd getdents64
    link linkat lstat mkdir mkdirat open openat openat2 readlink readlinkat rename renameat renameat2 rmdir stat statfs
    symlink symlinkat syncfs truncate umask unlink unlinkat utime utimensat utimes"""
)
"""Which files is Landlock's and the mount namespace's matter. No device nodes, owners, modes or extended attributes."""

_OWN = _calls("getsockname getsockopt mremap pipe pipe2")
"""What only the keeper may do besides: no code of a workload runs in it."""

_CHILDREN = _calls("kill pidfd_open pidfd_send_signal tgkill wait4 waitid")

KILLED = _calls(
    """accept accept4 add_key bind bpf chroot clock_settime clone connect delete_module execve execveat finit_module
    fork fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl
    kexec_file_load kexec_load keyctl listen mount mount_setattr move_mount open_by_handle_at open_tree open_tree_attr
    perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev ptrace reboot request_key
    setns settimeofday socket socketpair swapoff swapon umount2 unshare userfaultfd vfork"""
)
"""Nothing of ours makes these, unless a profile names it above: whoever does is no longer our code."""

_NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWCGROUP
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
)
_PROT_WRITE, _PROT_EXEC = 2, 4
_AF_UNIX = 1
_HARMLESS_PRCTL = (
    kernel.PR_SET_NAME,
    kernel.PR_GET_NAME,
    kernel.PR_SET_VMA,
    kernel.PR_GET_DUMPABLE,
    kernel.PR_GET_SECCOMP,
    kernel.PR_GET_NO_NEW_PRIVS,
    kernel.PR_CAPBSET_READ,
    kernel.PR_GET_MDWE,
)
_BOOT_PRCTL = (
    kernel.PR_SET_PDEATHSIG,
    kernel.PR_SET_DUMPABLE,
    kernel.PR_CAPBSET_DROP,
    kernel.PR_SET_NO_NEW_PRIVS,
    kernel.PR_CAP_AMBIENT,
    kernel.PR_SET_MDWE,
)
_FCNTLS = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: no owners, signals, leases, locks or sizes of pipes."""

_MAPPING, _PRIVATE = 0x10F, 0x02
"""Of mmap's flags, how a mapping is shared, and MAP_GROWSDOWN: RLIMIT_DATA counts private memory that does not grow."""

_IOCTLS = (0x541B, 0x5421, 0x5450, 0x5451, 0x5401, 0x802C542A, 0x5413)
"""FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, and what isatty(3) asks: TCGETS, TCGETS2, TIOCGWINSZ."""


def _prctl(*more: int) -> Check:
    return Check(0, WORD, _HARMLESS_PRCTL + more, fail(errno.EPERM))


_THREADS_ONLY = Check(0, kernel.CLONE_THREAD | _NAMESPACES, (kernel.CLONE_THREAD,), KILL)
"""clone(2) for threads; clone3, whose flags no filter can read, gives ENOSYS, at which the C library takes clone."""

_BASE_CHECKS = {
    "clone": _THREADS_ONLY,
    "fcntl": Check(1, WORD, _FCNTLS, fail(errno.EINVAL)),
    "ioctl": Check(1, WORD, _IOCTLS, fail(errno.ENOTTY)),
    "prctl": _prctl(),
    "prlimit64": Check(0, WORD, (0,), fail(errno.EPERM)),
}


def _executable(otherwise: int) -> dict[str, Check]:
    """Checks on every way to executable memory: `otherwise` is the verdict on it."""
    return {name: Check(2, _PROT_EXEC, (0,), otherwise) for name in ("mmap", "mprotect", "pkey_mprotect")}


_COUNTED = Check(3, _MAPPING, (_PRIVATE,), fail(errno.EPERM))
NO_NEW_CODE = _executable(fail(errno.EACCES))
_STAYS_COUNTED = Check(2, _PROT_WRITE, (_PROT_WRITE,), fail(0))
"""RLIMIT_DATA does not count what can no longer be written to, though it is still held. Who guards a page is told that it is
guarded, and it is not."""

AFTER_LOADING = NO_NEW_CODE | {
    "mprotect": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_STAYS_COUNTED,)),
    "pkey_mprotect": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_STAYS_COUNTED,)),
    "seccomp": Check(0, 0, (1,), UNKNOWN),
}
"""With it goes the call that put it on."""

_DATA_ONLY = {
    "mmap": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_COUNTED,)),
    "mprotect": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_STAYS_COUNTED,)),
    "pkey_mprotect": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_STAYS_COUNTED,)),
}
"""Private memory that RLIMIT_DATA counts, and no code in it."""

_PRETENDED_CODE = _DATA_ONLY | {"mprotect": Check(2, _PROT_EXEC, (0,), fail(0), (_STAYS_COUNTED,))}
"""wasmtime makes what it compiled executable before it can be serialized: it is told so, and it is not."""

_CODE = frozenset(NO_NEW_CODE)


@record()
class Profile:
    """What one kind of process may do.

    `own` are calls whose first argument must be the process's own id; `capabilities` are those it keeps; `signals` says
    whether Landlock is to keep it from signalling others.
    """

    name: str
    allowed: frozenset[str]
    checks: dict[str, Check]
    own: frozenset[str] = frozenset()
    capabilities: int = 0
    signals: bool = True


KEEPER_BOOT = Profile(
    name="keeper-boot",
    allowed=_BASE
    | _OWN
    | _FILES
    | _CHILDREN
    | _CODE
    | {"capset", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp"},
    checks=_BASE_CHECKS
    | {
        "clone": Check(0, _NAMESPACES, (0,), KILL),
        "mount": Check(3, WORD, (RESIZE_FLAGS,), KILL),
        "prctl": _prctl(*_BOOT_PRCTL),
        "socketpair": Check(0, WORD, (_AF_UNIX,), KILL),
        "unshare": Check(0, WORD, (kernel.CLONE_THREAD,), KILL),
    },
    capabilities=CAP_SYS_ADMIN,
)
"""The keeper until its limits are known: forks the runner, may resize its own /data."""

KEEPER = Profile(
    name="keeper", allowed=_BASE | _OWN | _FILES | _CHILDREN, checks=_BASE_CHECKS | NO_NEW_CODE, signals=False
)
"""The keeper with keys. It must be able to kill the runner; the pid namespace keeps its signals from the host."""

ATTESTER = Profile(
    name="attester",
    allowed=_MEMORY | _calls("close exit exit_group futex read restart_syscall rt_sigreturn write"),
    checks=_DATA_ONLY,
)
"""Reads from and writes to what it was given open. An attester that needs files or ioctls allows them in its own module."""

COMPILER = Profile(
    name="compiler", allowed=_BASE, checks=_BASE_CHECKS | _PRETENDED_CODE, own=frozenset(("kill", "tgkill"))
)
"""Computes, with threads, between its open sockets. No files at all."""

RUNNER = Profile(
    name="runner",
    allowed=_BASE | _FILES | {"mprotect", "pkey_mprotect", "seccomp"},
    checks=_BASE_CHECKS | {"mmap": _COUNTED, "prctl": _prctl(kernel.PR_SET_MDWE)},
    own=frozenset(("kill", "tgkill")),
)
"""The workload in wasmtime. `forbid_new_code` takes executable memory, and seccomp, away once its code is loaded."""
