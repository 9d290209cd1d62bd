"""`enarx`: parses the command line, runs the command, and turns its errors into exit codes."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # loading typing takes longer than running this file
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    gc.disable()  # loading modules makes no garbage
    if arguments[:1] == ["run"]:
        from enarx.api import local_host

        local_host.start_early(arguments)
    from enarx.cli.parser import parser_for

    own, arguments_of_workload = _split(arguments)
    options = parser_for(own[0] if own else "").parse_args(own)
    options.args = arguments_of_workload
    return _guarded(options)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and those after the first --, which are the workload's."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _guarded(options: argparse.Namespace) -> int:
    """Run the command; turn what it raises into an exit code."""
    from enarx.cli import console
    from enarx.errors import EnarxError

    gc.freeze()
    gc.enable()
    try:
        return int(options.run(options))
    except EnarxError as e:
        return console.report(e, as_json=getattr(options, "json", False))
    except KeyboardInterrupt:
        return console.EXIT_INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return console.EXIT_PIPE


def _silence_stdout() -> None:
    """Redirect stdout to /dev/null, so that the flush at exit does not fail on the closed pipe again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


PR_SET_DUMPABLE = 4


def _leave_no_dump() -> None:
    """Forbid core dumps, and reads of this process's memory by other processes of the user: it will hold keys and secrets.

    The call goes through `_ctypes`, which loads in a quarter of the time of ctypes. Programs that this process starts are
    not affected.
    """
    try:
        import resource
    except ImportError:  # no Unix, no cores
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import _ctypes

        program = _ctypes.dlopen(None, os.RTLD_NOW)  # type: ignore[arg-type]  # None is the program itself
        _ctypes.call_function(_ctypes.dlsym(program, "prctl"), (PR_SET_DUMPABLE, 0, 0, 0, 0))


def script() -> None:
    """The console script. It exits without tearing the interpreter down, which would take longer than many commands."""
    _leave_no_dump()
    try:
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 1
        sys.stdout.flush()  # of --help and --version
    except BrokenPipeError:
        code = 141
    except KeyboardInterrupt:  # before the command runs, or a second one while it cleans up
        code = 130
    except Exception as e:  # noqa: BLE001  # the outermost edge: print a line, not a traceback
        code = _unexpected(e)
    os._exit(code)


def _unexpected(e: Exception) -> int:
    """Report an exception that no command expects; returns the exit code.

    A traceback may contain secrets, so it is shown on request only. Output that cannot be written is not a bug, and gets a
    message of its own.
    """
    if os.environ.get("ENARX_TRACEBACK"):
        raise e
    import contextlib
    import errno

    lines = [f"error: unexpected {type(e).__name__}; this is a fault of the program"]
    lines += ["hint: ENARX_TRACEBACK=1 shows where; check it for secrets before you share it"]
    if isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        lines = [f"error: output cannot be written: {e.strerror}", "hint: its device is full or broken"]
    with contextlib.suppress(OSError):
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    return 125


if __name__ == "__main__":
    script()
