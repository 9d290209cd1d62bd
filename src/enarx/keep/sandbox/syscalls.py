"""System call numbers of x86_64 and aarch64, from the kernel's headers.

A test compares them with the headers. So far, Keeps have run on x86_64 only.
"""

from __future__ import annotations

import os

_AUDIT_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_ constants of <linux/audit.h>, by the machine's name in uname(2)."""

_TABLE = """
    accept=43,202 accept4=288,242 access=21,- add_key=248,217 bind=49,200 bpf=321,280 brk=12,214 capget=125,90
    capset=126,91 chroot=161,51 clock_getres=229,114 clock_gettime=228,113 clock_nanosleep=230,115
    clock_settime=227,112 clone=56,220 close=3,57 close_range=436,436 connect=42,203 delete_module=176,106 dup=32,23
    dup2=33,- dup3=292,24 epoll_create=213,- epoll_create1=291,20 epoll_ctl=233,21 epoll_pwait=281,22
    epoll_pwait2=441,441 epoll_wait=232,- eventfd2=290,19 execve=59,221 execveat=322,281 exit=60,93
    exit_group=231,94 faccessat=269,48 faccessat2=439,439 fadvise64=221,223 fallocate=285,47 fcntl=72,25
    fdatasync=75,83 finit_module=313,273 fork=57,- fsconfig=431,431 fsmount=432,432 fsopen=430,430 fspick=433,433
    fstat=5,80 fstatfs=138,44 fsync=74,82 ftruncate=77,46 futex=202,98 futex_requeue=456,456 futex_wait=455,455
    futex_waitv=449,449 futex_wake=454,454 futimesat=261,- get_robust_list=274,100 getcpu=309,168 getcwd=79,17
    getdents64=217,61 getegid=108,177 geteuid=107,175 getgid=104,176 getgroups=115,158 getpgid=121,155 getpgrp=111,-
    getpid=39,172 getppid=110,173 getpriority=140,141 getrandom=318,278 getresgid=120,150 getresuid=118,148
    getrlimit=97,163 getrusage=98,165 getsid=124,156 getsockname=51,204 getsockopt=55,209 gettid=186,178
    gettimeofday=96,169 getuid=102,174 init_module=175,105 io_uring_enter=426,426 io_uring_register=427,427
    io_uring_setup=425,425 ioctl=16,29 ioperm=173,- iopl=172,- kexec_file_load=320,294 kexec_load=246,104
    keyctl=250,219 kill=62,129 landlock_add_rule=445,445 landlock_create_ruleset=444,444
    landlock_restrict_self=446,446 link=86,- linkat=265,37 listen=50,201 lseek=8,62 lstat=6,- madvise=28,233
    membarrier=324,283 mkdir=83,- mkdirat=258,34 mmap=9,222 mount=165,40 mount_setattr=442,442 move_mount=429,429
    mprotect=10,226 mremap=25,216 munmap=11,215 nanosleep=35,101 newfstatat=262,79 open=2,-
    open_by_handle_at=304,265 open_tree=428,428 open_tree_attr=467,467 openat=257,56 openat2=437,437 pause=34,-
    perf_event_open=298,241 pidfd_getfd=438,438 pidfd_open=434,434 pidfd_send_signal=424,424 pipe=22,- pipe2=293,59
    pivot_root=155,41 pkey_mprotect=329,288 poll=7,- ppoll=271,73 prctl=157,167 pread64=17,67 preadv=295,69
    preadv2=327,286 prlimit64=302,261 process_madvise=440,440 process_vm_readv=310,270 process_vm_writev=311,271
    pselect6=270,72 ptrace=101,117 pwrite64=18,68 pwritev=296,70 pwritev2=328,287 read=0,63 readlink=89,-
    readlinkat=267,78 readv=19,65 reboot=169,142 recvfrom=45,207 rename=82,- renameat=264,38 renameat2=316,276
    request_key=249,218 restart_syscall=219,128 rmdir=84,- rseq=334,293 rseq_slice_yield=471,471 rt_sigaction=13,134
    rt_sigprocmask=14,135 rt_sigreturn=15,139 sched_get_priority_max=146,125 sched_get_priority_min=147,126
    sched_getaffinity=204,123 sched_getparam=143,121 sched_getscheduler=145,120 sched_yield=24,124 seccomp=317,277
    select=23,- sendto=44,206 set_robust_list=273,99 set_tid_address=218,96 setns=308,268 settimeofday=164,170
    sigaltstack=131,132 socket=41,198 socketpair=53,199 stat=4,- statfs=137,43 statx=332,291 swapoff=168,225
    swapon=167,224 symlink=88,- symlinkat=266,36 syncfs=306,267 sysinfo=99,179 tgkill=234,131 time=201,-
    times=100,153 truncate=76,45 umask=95,166 umount2=166,39 uname=63,160 unlink=87,- unlinkat=263,35 unshare=272,97
    userfaultfd=323,282 utime=132,- utimensat=280,88 utimes=235,- vfork=58,- wait4=61,260 waitid=247,95 write=1,64
    writev=20,66
"""
"""Entries of the form name=x86_64,aarch64, with a dash if the architecture lacks the call."""

_MACHINE = os.uname().machine
ARCH = _AUDIT_ARCHES.get(_MACHINE)
"""The architecture constant of this machine; None if the sandbox does not support it."""


def numbers(machine: str) -> dict[str, int]:
    """Return the call numbers of `machine` by name."""
    column = list(_AUDIT_ARCHES).index(machine)
    entries = (entry.split("=") for entry in _TABLE.split())
    columns = ((name, values.split(",")[column]) for name, values in entries)
    return {name: int(value) for name, value in columns if value != "-"}


NUMBERS = numbers(_MACHINE) if ARCH is not None else {}
