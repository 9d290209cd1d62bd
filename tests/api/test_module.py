"""The module of a job, in the programming interface: refused where the command line refuses it, with the same words."""

from __future__ import annotations

from pathlib import Path

import pytest

import enarx
from enarx.api.start import Hooks
from enarx.api.text_format import MAX_TEXT, assemble
from enarx.formats.config import Limits
from tests.programs import module
from tests.wasm import limits, program

pytestmark = pytest.mark.usefixtures("nothing_left")


def refused(given: Path | bytes, code: str, **options: object) -> enarx.UsageError:
    with pytest.raises(enarx.UsageError, check=lambda e: e.code == code) as caught:
        enarx.run(given, simulate=True, **options)  # type: ignore[arg-type]
    return caught.value


def test_a_module_that_cannot_start(tmp_path: Path) -> None:
    assert refused(module("no-start"), "wasm-start").message.startswith("the module: no program")
    (tmp_path / "x.wasm").write_bytes(b"\x1f\x8b")
    assert "gunzip" in refused(tmp_path / "x.wasm", "wasm-magic").hint
    assert "did you mean" in refused(tmp_path / "y.wasm", "wasm-file").hint


def test_the_limit_counts(tmp_path: Path) -> None:
    big = program(memories=[limits(2000)])
    refused(big, "wasm-memory", config=enarx.Config(limits=Limits(memory=1 << 20)))
    with enarx.run(big, simulate=True, config=enarx.Config(limits=Limits(memory=128 << 20))) as job:
        assert job.wait().exit_code == 0


def test_the_text_format() -> None:
    text = b'(module (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32))) (memory (export "memory") 1)'
    with enarx.run(text + b'(func (export "_start") (call $e (i32.const 9))))', simulate=True) as job:
        assert job.wait().exit_code == 9
    assert refused(text, "wat-syntax").message == "the module:1:105: expected `)`"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"(module", "x.wat:1:8: expected `)`"),
        (b"(modul)", "x.wat:1:2: expected valid module field"),
        (b"(module\n  (func foo))", "x.wat:2:9: unknown operator or unexpected token"),
        (b"(" * 200_000, "x.wat:1:2: expected valid module field"),
        (b"(module (func (call $none)))", "x.wat:1:21: unknown func: failed to find name `$none`"),
    ],
)
def test_errors_in_text(text: bytes, said: str) -> None:
    with pytest.raises(enarx.UsageError) as caught:
        assemble(text, "x.wat")
    assert caught.value.message == said
    assert caught.value.hint


def test_text_has_a_bound_and_an_encoding() -> None:
    with pytest.raises(enarx.UsageError, match="over 16 MiB"):
        assemble(b"(module)" + b" " * MAX_TEXT, "x.wat")
    with pytest.raises(enarx.UsageError, match="not UTF-8 at byte 8"):
        assemble(b"(module \xff)", "x.wat")
    assert assemble(b"\xef\xbb\xbf(module)", "x.wat") == b"\0asm\1\0\0\0"


def test_stages_are_reported_in_order() -> None:
    stages: list[tuple[str, int]] = []
    hooks = Hooks(stage=lambda name, size: stages.append((name, size)))
    from enarx.api.local import LocalStart
    from enarx.api.workloads import Out, workload

    start = LocalStart(
        workload(module("hello")), hooks, None, None, None, out=Out(), backend="auto", simulate=True, skip_layers=()
    )
    with start.start() as job:
        assert job.wait().stdout == b"hello\n"
        assert job.output.begun
    size = len(module("hello"))
    assert stages == [("packaging", 0), ("launching", size), ("compiling", size)]
