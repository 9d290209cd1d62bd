"""The host side of `enarx run`: a child process that serves one Keep over a socket, as any host does.

It takes longest to start, so it is started before the rest of the command is loaded; the launch order follows over a pipe. When
this process ends, in any way, its end of that pipe closes, and the child removes everything.
"""

from __future__ import annotations

import _socket
import os
import sys

from enarx.spawn import start_python
from enarx.tenant.paths import cache_dir, private_dir, state_dir

SIGINT = 2
"""As on every Unix. Importing `signal` takes longer than it is worth here."""

BOOT = (
    "import gc; gc.disable(); import os, sys; os.umask(0o77); sys.path[:0] = sys.argv[1].split(':'); "
    "from enarx.host.local import main; main()"
)


class LocalHost:
    """The running child. `path` is the path of its socket, `kind` its backend; empty is the simulated backend."""

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
            self._pid = start_python(BOOT, self._arguments(), (listener.fileno(), order), blocked_signals=(SIGINT,))
        except BaseException:
            os.close(self._order)
            os.unlink(self.path)
            os.rmdir(self.directory)
            raise
        finally:
            os.close(order)
            listener.close()

    def _arguments(self) -> list[str]:
        state = private_dir(os.path.join(state_dir(), "simulated"))
        options = {
            "--state": state,
            "--cache": private_dir(cache_dir()),
            "--directory": self.directory,
            "--kind": self.kind,
        }
        return [":".join(code_paths()), *(part for option in options.items() for part in option)]

    def launch(self, *, package: bytes, memory: int, compile: int, disk: int, skip_layers: list[str]) -> None:
        """Send the order to launch the Keep; sizes in bytes. Whether the launch succeeded is reported on the socket."""
        import json

        from enarx.errors import UnavailableError

        order = {"host_data": package.hex(), "memory": memory, "compile": compile, "disk": disk}
        order |= {"skip_layers": skip_layers}
        try:
            os.write(self._order, json.dumps(order).encode() + b"\n")
        except BrokenPipeError as e:
            raise UnavailableError("host-gone", "the host side on this machine ended", hint="try again") from e

    def close(self) -> None:
        """End the child, and wait until it and its Keep are gone."""
        if self._order >= 0:
            os.close(self._order)
            self._order = -1
            try:
                os.waitpid(self._pid, 0)
            except ChildProcessError:
                return  # SIGCHLD is ignored, as inherited: waitpid has waited, and the kernel has reaped the child


def code_paths() -> list[str]:
    """Where this installation's code is: the package's parent directory and the site directories."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [own, *(p for p in sys.path if p.endswith(("site-packages", "dist-packages")) and p != own)]


LONGEST_PLACE = 79
"""Bytes of the path of a directory below which a private directory and its socket still fit a socket's address."""


def _takes_socket(path: str) -> bool:
    """Whether a private directory can be made in `path`."""
    fits = os.path.isabs(path) and len(os.fsencode(path)) <= LONGEST_PLACE
    return fits and os.path.isdir(path) and os.access(path, os.W_OK)


def _private_directory() -> str:
    """A new directory in memory that only this user can enter. UsageError if there is no place for it."""
    places = (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", "/tmp")  # noqa: S108  # a new directory of mode 0700
    base = next(filter(_takes_socket, places), "")
    if not base:
        from enarx.errors import UsageError

        hint = "set XDG_RUNTIME_DIR to the absolute path of a directory that you can write to"
        raise UsageError("runtime-directory", f"no place for a socket: {' and '.join(filter(None, places))}", hint=hint)
    while True:
        path = f"{base}/enarx-{os.urandom(8).hex()}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        os.chmod(path, 0o700)  # the umask may have removed permissions
        return path


_early: LocalHost | None = None


def start_early(arguments: list[str]) -> None:
    """Start the child now if the command line `arguments` of `enarx run` will need it."""
    global _early
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if sys.platform != "linux" or {"-h", "--help"} & set(own):
        return
    named = _guess_kind(own)
    if named or "--simulate" in own:
        _early = LocalHost(named)


def _guess_kind(arguments: list[str]) -> str:
    """The kind that --backend names; empty without one, and for `auto`. A guess: the real parser runs later and decides."""
    kind = ""
    for option, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if option == "--backend":
            kind = following
        elif option.startswith("--backend="):
            kind = option.partition("=")[2]
    return "" if kind == "auto" else kind


def choose(backend: str, *, simulate: bool) -> str:
    """The kind to launch here: empty, for the simulated backend, or the kind `backend`, which this machine can launch.

    `auto` chooses only kinds that hardware protects. BackendError; UsageError without the packages of a Keep.
    """
    require_keep()
    if simulate:
        return ""
    from enarx.errors import BackendError
    from enarx.host import backends

    kinds = backends.kinds() if backend == "auto" else (backend,)
    for kind in kinds:
        candidate = backends.find(kind)
        if candidate.probe()["available"] and not (backend == "auto" and candidate.warning):
            return kind
    what = "no Keep" if backend == "auto" else f"no Keep of kind {backend}"
    raise BackendError(
        "no-hardware",
        f"{what} can be started: this machine has no hardware that this release can drive",
        hint="see: enarx platform; to try without protection from this machine's owner: --simulate",
    )


def require_keep() -> None:
    """Return if this installation can start and measure Keeps. UsageError without the extra `host`."""
    from enarx.image import contents  # not needed to start the child

    contents.require(tuple(code_paths()))


def take(kind: str = "") -> LocalHost:
    """The child that was started early, if it is of `kind`; otherwise a new one."""
    global _early
    early, _early = _early, None
    if early is not None and early.kind == kind:
        return early
    if early is not None:
        early.close()
    return LocalHost(kind)


def close_unused() -> None:
    """End a child that was started early but never taken."""
    global _early
    if _early is not None:
        _early.close()
        _early = None
