"""The programs of tests/wasi/src, and what each must do: on bare wasmtime, and in a Keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURE = HERE / "fixture"


@dataclass(frozen=True)
class Program:
    """How it is run, and its end; `stdout` is compared only if given."""

    name: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    stdin: bytes = b""
    stdout: bytes | None = None

    @property
    def path(self) -> Path:
        return HERE / "bin" / f"{self.name}.wasm"


PROGRAMS = (
    Program("args", args=("first", 'the "second" one', "")),
    Program("env", env=(("A", "b"), ("EMPTY", ""), ("WITH", "x=y z"))),
    Program("clocks"),
    Program("random"),
    Program("stdio", stdin=b"line one\nline two", stdout=b"one two\n"),
    Program("files"),
    Program("directories"),
    Program("links"),
    Program("times"),
    Program("posix"),
)
