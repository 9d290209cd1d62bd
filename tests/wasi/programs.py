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
    code: int = 0
    stdout: bytes | None = None

    @property
    def label(self) -> str:
        """The name of its test."""
        return "-".join((self.name, *self.args)) if self.name in ("exit", "limits") else self.name

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
    Program("cookies"),
    Program("descriptors"),
    Program("paths"),
    Program("preopens"),
    Program("poll", stdin=b"input"),
    Program("exit", args=("return", "0"), stdout=b"held"),
    Program("exit", args=("return", "1"), code=1, stdout=b"held"),
    Program("exit", args=("exit", "31"), code=31, stdout=b"held"),
    Program("exit", args=("_exit", "125"), code=125, stdout=b""),
    Program("exit", args=("proc_exit", "0"), stdout=b""),
    Program("limits", args=("cat",), stdin=bytes(range(256)) * 3000, stdout=bytes(range(256)) * 3000),
    Program("limits", args=("lines",), stdin=b"one\ntwo\nthree", stdout=b"1: one\n2: two\n3: three"),
    Program("limits", args=("both",), stdout=b"to stdout\n" * 3),
    Program("limits", args=("slow", "3", "20"), stdout=b"1 of 3\n2 of 3\n3 of 3\n"),
    Program("limits", args=("flood", "2"), stdout=b"f" * (2 << 20)),
    Program("limits", args=("unheard-of",), code=2, stdout=b""),
)
