"""The system calls that each process of a Keep may make, and why.

* An unlisted call returns ENOSYS, as on a kernel that lacks it. The C library and Rust's standard library then fall back
  to older calls, so the lists remain valid for later libraries.
* A call that could take a process out of its sandbox kills it.
* Filters accumulate, and the strictest verdict applies. The attester, the compiler and the runner are forked under
  KEEPER_BOOT, so that profile allows every call that theirs allow.
"""

from __future__ import annotations

import errno

from enarx.keep.sandbox import kernel
from enarx.keep.sandbox.bpf import KILL, WORD, Check, fail
from enarx.record import record

UNKNOWN = fail(errno.ENOSYS)
CAP_SYS_ADMIN = 1 << 21

RESIZE_FLAGS = kernel.MS_REMOUNT | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
"""The only flags for mount(2) that KEEPER_BOOT allows."""


def _calls(names: str) -> frozenset[str]:
    return frozenset(names.split())


_MEMORY = _calls("brk madvise membarrier munmap")
"""Without mremap: it can grow the mapping of a stack, which RLIMIT_DATA does not count."""

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
"""For sockets that are open already. These calls create no socket and pass no descriptors."""

_BASE = _MEMORY | _THREADS | _TIME | _SIGNALS | _DESCRIPTORS | _QUESTIONS | _LINKS

_FILES = _calls(
    """access faccessat faccessat2 fadvise64 fallocate fdatasync fstatfs fsync ftruncate futimesat getcwd getdents64
    link linkat lstat mkdir mkdirat open openat openat2 readlink readlinkat rename renameat renameat2 rmdir stat statfs
    symlink symlinkat syncfs truncate umask unlink unlinkat utime utimensat utimes"""
)
"""Landlock and the mount namespace decide on the files. No device nodes, owners, modes or extended attributes."""

_OWN = _calls("getsockname getsockopt mremap pipe pipe2")
"""Calls for the keeper alone, in which no code of a workload runs."""

_CHILDREN = _calls("kill pidfd_open pidfd_send_signal tgkill wait4 waitid")

KILLED = _calls(
    """accept accept4 add_key bind bpf chroot clock_settime clone connect delete_module execve execveat finit_module
    fork fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl
    kexec_file_load kexec_load keyctl listen mount mount_setattr move_mount open_by_handle_at open_tree open_tree_attr
    perf_event_open pidfd_getfd pivot_root process_madvise process_vm_readv process_vm_writev ptrace reboot request_key
    setns settimeofday socket socketpair swapoff swapon umount2 unshare userfaultfd vfork"""
)
"""Calls that no code of a Keep makes unless its profile lists them. A process that makes one runs other code, and is killed."""

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
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC. No owners, signals, leases, locks or pipe sizes."""

_MAPPING, _PRIVATE = 0x10F, 0x02
"""The flags of mmap(2) that decide whether RLIMIT_DATA counts a mapping: it must be private, and must not grow."""

_IOCTLS = (0x541B, 0x5421, 0x5450, 0x5451, 0x5401, 0x802C542A, 0x5413)
"""FIONREAD, FIONBIO, FIONCLEX, FIOCLEX, and the requests of isatty(3): TCGETS, TCGETS2, TIOCGWINSZ."""


def _prctl(*more: int) -> Check:
    return Check(0, WORD, _HARMLESS_PRCTL + more, fail(errno.EPERM))


_THREADS_ONLY = Check(0, kernel.CLONE_THREAD | _NAMESPACES, (kernel.CLONE_THREAD,), KILL)
"""clone(2) for threads only. clone3 returns ENOSYS, as no filter can read its flags, and the C library then uses clone."""

_BASE_CHECKS = {
    "clone": _THREADS_ONLY,
    "fcntl": Check(1, WORD, _FCNTLS, fail(errno.EINVAL)),
    "ioctl": Check(1, WORD, _IOCTLS, fail(errno.ENOTTY)),
    "prctl": _prctl(),
    "prlimit64": Check(0, WORD, (0,), fail(errno.EPERM)),
}


def _executable(otherwise: int) -> dict[str, Check]:
    """Return checks that give executable memory the verdict `otherwise`, for every call that could create it."""
    return {name: Check(2, _PROT_EXEC, (0,), otherwise) for name in ("mmap", "mprotect", "pkey_mprotect")}


_COUNTED = Check(3, _MAPPING, (_PRIVATE,), fail(errno.EPERM))
NO_NEW_CODE = _executable(fail(errno.EACCES))
_STAYS_COUNTED = Check(2, _PROT_WRITE, (_PROT_WRITE,), fail(0))
"""RLIMIT_DATA does not count memory that is not writable, although the process still holds it. So memory stays writable: a
call that removes the right returns success without effect, also where it sets up a guard page."""

AFTER_LOADING = NO_NEW_CODE | {
    "mprotect": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_STAYS_COUNTED,)),
    "pkey_mprotect": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_STAYS_COUNTED,)),
    "seccomp": Check(0, 0, (1,), UNKNOWN),
}
"""The last filter of the runner. It also removes the call that installed it."""

_DATA_ONLY = {
    "mmap": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_COUNTED,)),
    "mprotect": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_STAYS_COUNTED,)),
    "pkey_mprotect": Check(2, _PROT_EXEC, (0,), fail(errno.EACCES), (_STAYS_COUNTED,)),
}
"""Private memory that RLIMIT_DATA counts, and no code in it."""

_PRETENDED_CODE = _DATA_ONLY | {"mprotect": Check(2, _PROT_EXEC, (0,), fail(0), (_STAYS_COUNTED,))}
"""wasmtime makes machine code executable before it serializes it. That call returns success without effect."""

_CODE = frozenset(NO_NEW_CODE)


@record()
class Profile:
    """The rights of one kind of process.

    allowed       calls with any arguments
    checks        calls with conditions on their arguments
    own           calls whose first argument must be the process's own id
    capabilities  the mask of the capabilities that it retains
    signals       whether Landlock forbids it to signal other processes
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
"""The keeper until the package's limits are known. It forks the other processes, and may resize its own /data."""

KEEPER = Profile(
    name="keeper", allowed=_BASE | _OWN | _FILES | _CHILDREN, checks=_BASE_CHECKS | NO_NEW_CODE, signals=False
)
"""The keeper during a run. It may signal, since it has to kill the runner; the pid namespace contains its signals."""

ATTESTER = Profile(
    name="attester",
    allowed=_MEMORY | _calls("close exit exit_group futex read restart_syscall rt_sigreturn write"),
    checks=_DATA_ONLY,
)
"""Reads and writes the two descriptors that it has. An attester that needs more extends this in its own module."""

COLLECTOR = Profile(
    name="collector",
    allowed=_MEMORY
    | _calls("close dup exit exit_group fstat futex getdents64 lseek newfstatat openat read recvfrom restart_syscall")
    | _calls("rt_sigreturn sendto statx write"),
    checks=_DATA_ONLY | {"fcntl": _BASE_CHECKS["fcntl"]},
)
"""Reads files, for which Landlock grants /data alone, and uses the two descriptors that it has."""

COMPILER = Profile(
    name="compiler", allowed=_BASE, checks=_BASE_CHECKS | _PRETENDED_CODE, own=frozenset(("kill", "tgkill"))
)
"""Computes, with threads, and uses the two descriptors that it has. It opens no file."""

RUNNER = Profile(
    name="runner",
    allowed=_BASE | _FILES | {"mprotect", "pkey_mprotect", "seccomp"},
    checks=_BASE_CHECKS | {"mmap": _COUNTED, "prctl": _prctl(kernel.PR_SET_MDWE)},
    own=frozenset(("kill", "tgkill")),
)
"""Runs the guest in wasmtime. `forbid_new_code` later removes executable memory, and the seccomp call."""
