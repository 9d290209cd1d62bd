"""The host side of `enarx run`: a child process that serves one Keep, spoken to as any host is.

It is started before anything else of the command is even read, because it takes longest; what to launch follows over
a pipe. Its end of that pipe closes when this process ends, however it ends, and then it takes everything down.
"""

from __future__ import annotations

import _socket
import os
import sys

from enarx.tenant.paths import cache_dir, private_dir, state_dir

BOOT = (
    "import gc; gc.disable(); import os, sys; os.umask(0o77); sys.path[:0] = sys.argv[1].split(':'); "
    "from enarx.host.local import main; main()"
)
SOCKET_FD, ORDER_FD = 3, 4


class LocalHost:
    """The running child: `path` is its socket's, `launch` says what Keep to start."""

    def __init__(self, kind: str = "") -> None:
        self.kind = kind
        self.directory = _private_directory()
        self.path = f"{self.directory}/sock"
        listener = _socket.socket(_socket.AF_UNIX)
        listener.bind(self.path)
        os.chmod(self.path, 0o600)
        listener.listen(16)
        order, self._order = os.pipe()
        try:
            self._pid = self._spawn(listener.fileno(), order)
        finally:
            os.close(order)
            listener.close()

    def _spawn(self, listener: int, order: int) -> int:
        state = private_dir(os.path.join(state_dir(), "simulated"))
        cache = private_dir(cache_dir())
        arguments = [sys.executable, "-I", "-S", "-c", BOOT, ":".join(code_paths())]
        arguments += ["--state", state, "--cache", cache, "--directory", self.directory, "--kind", self.kind]
        high = [os.dup(fd) for fd in (listener, order)]
        actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0), (os.POSIX_SPAWN_DUP2, 0, 1)]
        actions += [(os.POSIX_SPAWN_DUP2, high[0], SOCKET_FD), (os.POSIX_SPAWN_DUP2, high[1], ORDER_FD)]
        try:
            return os.posix_spawn(sys.executable, arguments, {"LANG": "C.UTF-8"}, file_actions=actions)
        finally:
            for fd in high:
                os.close(fd)

    def launch(
        self, *, kind: str, package: bytes, memory: int, compile: int, disk: int, skip_layers: list[str]
    ) -> None:
        """Say what to start; the answer, good or bad, comes from the socket."""
        import json

        order = {"kind": kind, "host_data": package.hex(), "memory": memory, "compile": compile, "disk": disk}
        order |= {"skip_layers": skip_layers}
        os.write(self._order, json.dumps(order).encode() + b"\n")

    def close(self) -> None:
        """Take it down and wait until everything of it is gone."""
        if self._order >= 0:
            os.close(self._order)
            self._order = -1
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                return  # whoever started this command has it ignore its children: it has waited all the same


def code_paths() -> list[str]:
    """Where this installation's code is: the package's own parent, and the site directories."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [own, *(p for p in sys.path if p.endswith(("site-packages", "dist-packages")) and p != own)]


def _private_directory() -> str:
    """A directory in memory that only this user can enter."""
    places = (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", "/tmp")  # noqa: S108  # a new directory of mode 0700
    base = next(d for d in places if d and os.access(d, os.W_OK))
    while True:
        path = f"{base}/enarx-{os.urandom(8).hex()}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        os.chmod(path, 0o700)  # whatever the umask has taken away
        return path


_early: LocalHost | None = None


def start_early(arguments: list[str]) -> None:
    """Start the child now if this command line is going to need it."""
    global _early
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if sys.platform == "linux" and "--simulate" in own and not {"-h", "--help"} & set(own):
        _early = LocalHost()


def take() -> LocalHost:
    """The child that was started early, or a new one."""
    global _early
    found, _early = _early or LocalHost(), None
    return found


def close_unused() -> None:
    """The command ended before it needed the child."""
    global _early
    if _early is not None:
        _early.close()
        _early = None
