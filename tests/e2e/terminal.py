"""A command at a terminal of its own, driven as a person drives it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

PATIENCE = 60.0
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """A running command whose stdin, stdout and stderr are a terminal of `columns` by `lines`.

        with Terminal(["cat"], dict(os.environ)) as terminal:
            terminal.type("hello\\n")
            terminal.expect("hello\\r\\nhello")
            terminal.type(CTRL_D)
            assert terminal.wait() == 0

    `shown` is everything that it displayed. The terminal edits lines and echoes, and turns Ctrl-C into SIGINT.
    """

    def __init__(self, command: Sequence[str], env: dict[str, str], *, columns: int = 80, lines: int = 24) -> None:
        self.shown = ""
        self._seen = 0
        size = struct.pack("HHHH", lines, columns, 0, 0)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.execvpe(command[0], list(command), env)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)  # which hangs up
        if not hasattr(self, "_status"):
            os.waitpid(self.pid, 0)

    def type(self, text: str) -> None:
        """Type some text."""
        os.write(self._fd, text.encode())

    def expect(self, text: str, seconds: float = PATIENCE) -> str:
        """Wait until the text is displayed, after what earlier calls expected; returns what came before it."""
        end = time.monotonic() + seconds
        while (at := self.shown.find(text, self._seen)) < 0:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"waited for {text!r}, displayed since: {self.shown[self._seen :]!r}")
        before, self._seen = self.shown[self._seen : at], at + len(text)
        return before

    def wait(self, seconds: float = PATIENCE) -> int:
        """Display the rest, and return the exit code of the command; the negative signal if it was killed."""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass
        if time.monotonic() > end:
            raise AssertionError(f"the command did not end, displayed since: {self.shown[self._seen :]!r}")
        self._status = os.waitpid(self.pid, 0)[1]
        return os.waitstatus_to_exitcode(self._status)

    def _read(self, seconds: float) -> bool:
        """Display what comes next; False after `seconds` or at the end."""
        if not select.select([self._fd], [], [], max(0, seconds))[0]:
            return False
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # EIO: the last process at the terminal has closed it
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


DIALOGUE = (
    ("1 + 1", "2\r\n>>> "),
    ("1 / 0", "ZeroDivisionError: division by zero\r\n>>> "),
    ("for i in range(2):", "... "),
    ("    print('number', i)", "... "),
    ("", "number 0\r\nnumber 1\r\n>>> "),
    ("import sys; sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty()", "(True, True, True)\r\n>>> "),
    ("sys.stdin.readline()", "\r\n"),
    ("a line", "'a line\\n'\r\n>>> "),
)
"""Lines for the prompt of CPython's REPL, and what must appear after each."""


def python_dialogue(command: Sequence[str], env: dict[str, str], *, first: float = 300.0) -> str:
    """Hold DIALOGUE with a CPython REPL, end it by exit(), and return the transcript from the first prompt on.

    The command may take `first` seconds to prompt. AssertionError if an answer does not appear, or the exit code is not 0.
    """
    with Terminal(command, env) as terminal:
        terminal.expect(">>> ", first)
        start = len(terminal.shown) - len(">>> ")
        for line, answer in DIALOGUE:
            terminal.type(line + "\n")
            terminal.expect(answer)
        terminal.type("exit()\n")
        code = terminal.wait()
        assert code == 0, f"the REPL ended with {code}: {terminal.shown}"
        return terminal.shown[start:]
