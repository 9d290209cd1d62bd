"""T43: native code in the runner tries to outlive its limits by closing, keeping or flooding its descriptors."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.attacks.escaped import Tree
from tests.e2e.conftest import home  # noqa: F401  # a fixture

CLOSED = "os.closerange(0, 1000)\n"
FLOOD = """
for fd in range(3, 64):
    try:
        os.set_blocking(fd, False)
        os.write(fd, b"x" * 65536)
    except OSError:
        continue
    while True:
        try:
            os.write(fd, b"x" * 65536)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
"""
THREAD = "threading.Thread(target=time.sleep, args=(100,), daemon=True).start()\nctypes.CDLL(None).syscall(60, 0)"
"""The first thread ends, and another keeps every descriptor open."""

OUTLIVE = {
    "closes all": CLOSED + "time.sleep(100)",
    "closes all and computes": CLOSED + "while True: pass",
    "floods its orders": FLOOD,
    "leaves a thread": THREAD,
    "closes all and leaves a thread": CLOSED + THREAD,
    "stops reading": "os.close(0)\ntime.sleep(100)",
}


@pytest.mark.parametrize("how", OUTLIVE)
def test_t43_it_ends_at_its_time_limit(home: Path, how: str) -> None:
    start = time.monotonic()
    found = Tree(home).run(OUTLIVE[how], 'time = "1s"')
    assert found.returncode == 124, found.stderr
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("how", [CLOSED, "", "os.write(1, b'x' * 60000)\n"])
def test_t43_its_end_is_seen_without_a_limit(home: Path, how: str) -> None:
    found = Tree(home).run(f"{how}os._exit(0)")
    assert (found.returncode, b"gave no result" in found.stderr) == (126, True)
    assert found.stdout == (b"x" * 60000 if "write" in how else b"")
