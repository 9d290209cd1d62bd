"""T41: a module takes memory outside its linear memory, or starts with more than its limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.formats import bounds
from tests import bombs
from tests.attacks.escaped import Peak
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import run, run_unread


def write(home: Path, wasm: bytes, limits: str = 'limits.memory = "1MiB"') -> Path:
    (home / "Enarx.toml").write_text(limits)
    (home / "table.wasm").write_bytes(wasm)
    return home / "table.wasm"


def test_t41_a_table_grows_to_its_limit(home: Path) -> None:
    path = write(home, bombs.growing_table(), 'limits.memory = "1MiB"\nlimits.compile = "1MiB"\nlimits.disk = "0"')
    with Peak(home) as peak:
        assert run(home, path).returncode == 1  # the mebibytes, rounded down, of at most 2^18 elements
    assert peak.memory <= peak.bound < 128 << 20


@pytest.mark.parametrize("step", [1, 1 << 18, (1 << 32) - 1])
def test_t41_by_steps_of_any_size(home: Path, step: int) -> None:
    signed = step if step < 1 << 31 else step - (1 << 32)
    assert run(home, write(home, bombs.growing_table(signed))).returncode <= 2


def test_t41_the_most_tables_at_their_limit(home: Path) -> None:
    assert run(home, write(home, bombs.large_tables(bounds.TABLE_COUNT, bounds.TABLE_ELEMENTS))).returncode == 0


@pytest.mark.parametrize(
    ("wasm", "said"),
    [
        (bombs.large_tables(5, 1), b"at 5: a module has at most 4 tables"),
        (bombs.large_tables(1, 262_145), b"262145 elements exceeds table limits: a table has at most 262144 elements"),
        (bombs.large_memory(40_000), b"it needs 2500 MiB of memory at least, limits.memory is 1 MiB"),
        (bombs.large_memory(65_536), b"it needs 4096 MiB of memory at least, limits.memory is 1 MiB"),
    ],
)
def test_t41_minima_beyond_the_limit_are_named(home: Path, wasm: bytes, said: bytes) -> None:
    found = run_unread(home, write(home, wasm))
    assert found.returncode == 126
    assert said in found.stderr
