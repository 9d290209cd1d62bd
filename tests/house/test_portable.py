"""Tenant, verifier and command line load on other systems: their modules are imported without Linux's parts."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.test_invariants import LINUX, SRC, modules, parsed, zone

MODULES = (
    *("_posixshmem", "_posixsubprocess", "crypt", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource"),
    *(
        "spwd",
        "syslog",
        "termios",
        "tty",
        "prometheus_client",
        "starlette",
        "uvloop",
        "wasmtime",
    ),
)
"""Modules missing on other systems: the Unix modules of the standard library, and packages installed on Linux only."""

NAMES = {
    "os": (
        *("EFD_CLOEXEC", "MFD_CLOEXEC", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "P_PIDFD"),
        *("POSIX_SPAWN_CLOSE", "POSIX_SPAWN_DUP2", "POSIX_SPAWN_OPEN", "SCHED_OTHER", "WNOHANG", "chown", "chroot"),
        *(
            "confstr",
            "copy_file_range",
            "eventfd",
            "fchdir",
            "fchown",
            "fork",
            "forkpty",
            "getegid",
            "geteuid",
            "getgid",
        ),
        *(
            "getgroups",
            "getloadavg",
            "getpgid",
            "getpgrp",
            "getpriority",
            "getrandom",
            "getresgid",
            "getresuid",
            "getsid",
        ),
        *(
            "getuid",
            "killpg",
            "lchown",
            "major",
            "makedev",
            "memfd_create",
            "minor",
            "mkfifo",
            "mknod",
            "nice",
            "openpty",
        ),
        *("pidfd_open", "pipe2", "posix_fadvise", "posix_fallocate", "posix_spawn", "posix_spawnp", "pread", "preadv"),
        *(
            "pwrite",
            "pwritev",
            "readv",
            "register_at_fork",
            "sched_getaffinity",
            "sched_setaffinity",
            "sendfile",
            "setegid",
        ),
        *(
            "seteuid",
            "setgid",
            "setgroups",
            "setns",
            "setpgid",
            "setpriority",
            "setresgid",
            "setresuid",
            "setsid",
            "setuid",
        ),
        *("splice", "statvfs", "sync", "sysconf", "tcgetpgrp", "ttyname", "uname", "unshare", "wait", "wait3", "wait4"),
        *("waitid", "writev", "WEXITSTATUS", "WIFEXITED", "WIFSIGNALED", "WTERMSIG"),
    ),
    "signal": (
        *("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGUSR1", "SIGUSR2", "SIGWINCH"),
        *(
            "alarm",
            "pause",
            "pidfd_send_signal",
            "pthread_kill",
            "pthread_sigmask",
            "setitimer",
            "sigpending",
            "sigwait",
        ),
        *("sigtimedwait", "sigwaitinfo"),
    ),
    "socket": ("AF_NETLINK", "AF_UNIX", "AF_VSOCK", "CMSG_LEN", "SCM_RIGHTS", "SOCK_SEQPACKET", "recv_fds", "send_fds"),
    "select": ("EPOLLIN", "POLLIN", "POLLOUT", "epoll", "poll"),
}
"""Names that Windows lacks in modules that every system has."""

LOCAL = {
    "api/local_host.py": "starts a Keep on this machine; loaded by `enarx run`, which refuses elsewhere",
    "cli/sandbox_layers.py": "tries the layers of a Keep's sandbox; loaded by `enarx platform` on Linux",
    "tenant/connection.py": "a connection to a Unix socket says that there are none where that is so",
    "tenant/link.py": "LocalLink speaks to that Keep's socket",
}
"""Modules that may use such a name inside a function, with the reason."""

LOAD = """
import importlib, sys
names = sys.argv[1].split()
for name in names:
    importlib.import_module(name)  # the standard library's own modules come in as they are here
for name in [n for n in sys.modules if n.split(".")[0] == "enarx"]:
    del sys.modules[name]
for name in sys.argv[2].split():
    sys.modules[name] = None
for full in sys.argv[3].split():
    module, _, name = full.partition(".")
    vars(sys.modules[module]).pop(name, None) if module in sys.modules else None
for name in names:
    importlib.import_module(name)
"""


def portable() -> list[Path]:
    return [path for path in modules() if zone(path) not in LINUX]


def dotted(path: Path) -> str:
    return ".".join(("enarx", *path.relative_to(SRC).with_suffix("").parts)).removesuffix(".__init__")


def load(names: list[str], path: Path | None = None) -> subprocess.CompletedProcess[str]:
    missing = " ".join(f"{module}.{name}" for module, names in NAMES.items() for name in names)
    code = ("import sys; sys.path.insert(0, sys.argv[4])\n" if path else "") + LOAD
    command = [sys.executable, "-c", code, " ".join(names), " ".join(MODULES), missing, str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def used(tree: ast.AST) -> set[str]:
    """Unix-only names that a module uses as attributes."""
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
    return {f"{n.value.id}.{n.attr}" for n in found if n.attr in NAMES.get(n.value.id.lstrip("_"), ())}  # type: ignore[attr-defined]  # a Name, by the line above


def test_loads_where_there_is_no_linux() -> None:
    found = load([dotted(path) for path in portable()])
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    "line", ["import fcntl", "from os import fork", "import os; FLAGS = os.O_CLOEXEC", "import wasmtime"]
)
def test_what_is_of_linux_alone_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "enarx").mkdir()
    (tmp_path / "enarx" / "__init__.py").write_text(f"{line}\n")
    assert load(["os", "socket", "enarx"], tmp_path).returncode == 1


@pytest.mark.parametrize("path", portable(), ids=lambda p: str(p.relative_to(SRC)))
def test_uses_nothing_of_linux_alone(path: Path) -> None:
    if str(path.relative_to(SRC)) not in LOCAL:
        assert not used(parsed(path))


@pytest.mark.parametrize("name", LOCAL)
def test_exceptions_are_needed(name: str) -> None:
    assert used(parsed(SRC / name))
