"""`enarx`: parses the command line, runs the command, and turns its errors into exit codes."""

from __future__ import annotations

import errno
import gc
import os
import sys

from enarx.errors import EnarxError

TYPE_CHECKING = False  # loading typing takes longer than running this file
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

USAGE, INTERRUPTED, PIPE = 125, 130, 141
"""Exit codes, as in `console`, which takes longer to load than this file."""

UNWRITABLE = (errno.EBADF, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What writing to a closed descriptor, to a full disk or to a broken device fails with."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. SystemExit for wrong usage, and after help."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    gc.disable()  # loading modules makes no garbage
    own, arguments_of_workload = _split(arguments)
    options: argparse.Namespace | None = None
    try:
        if arguments[:1] == ["run"]:
            from enarx.api import local_host

            local_host.start_early(arguments)
        from enarx.cli.parser import parser_for

        options = parser_for(own[0] if own else "").parse_args(own)
        options.args = arguments_of_workload
        gc.freeze()
        gc.enable()
        return int(options.run(options))
    except KeyboardInterrupt:
        return INTERRUPTED
    except EnarxError as e:
        from enarx.cli import console

        return console.report(e, as_json=getattr(options, "json", False))


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and those after the first --, which are the workload's."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


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
    _open_standard_streams()
    _leave_no_dump()
    try:
        code = _completed()
    except BrokenPipeError:
        code = PIPE
    except KeyboardInterrupt:  # before the command runs, or a second one while it cleans up
        code = INTERRUPTED
    except Exception as e:  # noqa: BLE001  # the outermost edge: print a line, not a traceback
        code = _unexpected(e)
    os._exit(code)


def _completed() -> int:
    """The exit code of the command, once its output is written: output that is lost is an error."""
    try:
        code = main()
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else int(e.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _open_standard_streams() -> None:
    """Open descriptors 0, 1 and 2 if the caller closed them, so that no file of this process takes their place.

    A closed stdin is empty. The others are opened for reading: writing to them is the same error as if they were closed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # takes the lowest free number, which is this one
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def _unexpected(e: Exception) -> int:
    """Report an exception that no command expects; returns the exit code.

    A traceback may contain secrets, so it is shown on request only. A failure of the operating system is not a bug, and gets
    a message of its own.
    """
    if os.environ.get("ENARX_TRACEBACK"):
        raise e
    import contextlib

    lines = [f"error: unexpected {type(e).__name__}; this is a fault of the program"]
    lines += ["hint: ENARX_TRACEBACK=1 shows where; check it for secrets before you share it"]
    if isinstance(e, OSError):
        lines = _failure(e)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    with contextlib.suppress(OSError):
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    return USAGE


def _failure(e: OSError) -> list[str]:
    """The lines that report a failure of the operating system: of the output, of the working directory, or of anything else."""
    if e.filename is None and e.errno in UNWRITABLE:
        hint = "stdout or stderr is closed" if e.errno == errno.EBADF else "its device is full or broken"
        return [f"error: output cannot be written: {e.strerror}", f"hint: {hint}"]
    try:
        os.getcwd()
    except OSError:
        return ["error: the current directory does not exist any more", "hint: cd to a directory that exists"]
    place = f"{e.filename!r}: " if e.filename is not None else ""
    return [f"error: {place}{e.strerror or type(e).__name__}", "hint: ENARX_TRACEBACK=1 shows where this failed"]


if __name__ == "__main__":
    script()
