"""Standard streams that cannot be written, are closed, or lead nowhere: ordinary errors, and never 0 for output that is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import ENARX, PATIENCE, environment
from tests.programs import module

LOST = b"error: output cannot be written: "
FAULT = b"fault of the program"

COMMANDS = (
    ["--help"],
    ["--version"],
    ["help", "keep", "attach"],
    ["version"],
    ["platform"],
    ["platform", "--json"],
    ["completion", "bash"],
    ["completion", "fish"],
    ["owner", "show"],
    ["package", "digest", "WASM"],
    ["package", "show", "WASM"],
    ["policy", "init", "--kind", "snp"],
    ["run", "--simulate", "WASM"],
)
"""Commands that print something on stdout."""


def told(
    home: Path, arguments: list[str], redirection: str = "", stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command under a shell's redirection."""
    path = home / "hello.wasm"
    path.write_bytes(module("hello"))
    given = [str(path) if word == "WASM" else word for word in arguments]
    command = ["bash", "-c", f'exec "$@" {redirection}', "bash", *ENARX, *given]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE, env=environment(home))


@pytest.fixture
def owned(home: Path) -> Path:
    """A home with an owner's key."""
    assert told(home, ["owner", "new"]).returncode == 0
    return home


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(("redirection", "why"), [(">/dev/full", b"No space left"), (">&-", b"Bad file descriptor")])
def test_output_that_is_lost_is_an_error(owned: Path, arguments: list[str], redirection: str, why: bytes) -> None:
    lost = told(owned, arguments, redirection)
    assert (lost.returncode, lost.stdout) == (125, b"")
    assert LOST + why in lost.stderr
    assert lost.stderr.count(LOST) == 1
    assert b"hint: " in lost.stderr
    assert FAULT not in lost.stderr
    kept = told(owned, arguments)
    assert kept.returncode == 0, kept.stderr
    assert kept.stdout


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_nobody_reads_stdout(owned: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    (owned / "hello.wasm").write_bytes(module("hello"))
    given = [str(owned / "hello.wasm") if word == "WASM" else word for word in arguments]
    command = subprocess.run(
        [*ENARX, *given], stdout=writing, stderr=subprocess.PIPE, timeout=PATIENCE, env=environment(owned)
    )
    os.close(writing)
    assert command.returncode == 141
    assert b"error" not in command.stderr


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_messages_that_are_lost_are_an_error_too(owned: Path, redirection: str) -> None:
    quiet = told(owned, ["owner", "show"], redirection)
    assert (quiet.returncode, quiet.stdout[:10]) == (0, b"-----BEGIN"), "nothing was to be said"
    assert told(owned, ["nonsense"], redirection).returncode == 125
    warned = told(owned, ["run", "--simulate", "WASM"], redirection)
    assert (warned.returncode, warned.stdout) == (125, b""), "nothing runs if its warning cannot be shown"


def test_a_closed_stdin_is_empty(home: Path) -> None:
    (home / "cat.wasm").write_bytes(module("cat"))
    command = ["run", "--simulate", str(home / "cat.wasm")]
    closed = told(home, command, "<&-", stdin=b"given")
    assert (closed.returncode, closed.stdout) == (0, b""), closed.stderr
    assert told(home, command, stdin=b"given").stdout == b"given"


@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", "<&- 2>&-", ">&- 2>&-", ""])
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path, redirection: str) -> None:
    code = (
        "import os, sys\nfrom enarx.cli import main\nmain._open_standard_streams()\n"
        f"file = open({str(tmp_path / 'taken')!r}, 'w')\nfile.write(str(file.fileno()))"
    )
    command = ["bash", "-c", f'exec "$@" {redirection}', "bash", sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, timeout=PATIENCE).returncode == 0
    assert int((tmp_path / "taken").read_text()) > 2


def test_everything_closed(home: Path) -> None:
    assert told(home, ["--help"], "<&- >&- 2>&-").returncode == 125
    made = told(home, ["owner", "new", str(home / "key.pem")], "<&- >&- 2>&-")
    assert made.returncode == 125
    assert (home / "key.pem").read_bytes().endswith(b"-----END PRIVATE KEY-----\n"), "nothing is printed into it"
