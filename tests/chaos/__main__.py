"""Run chaos: python -m tests.chaos SECONDS [SEED]."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import run


def main() -> int:
    """The exit code: 1 if something went wrong, which is printed."""
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int.from_bytes(os.urandom(4), "big")
    with tempfile.TemporaryDirectory(prefix="enarx-", ignore_cleanup_errors=True) as directory:
        wrong = run(Path(directory), seconds, seed)
    for line in wrong:
        print(f"chaos: WRONG: {line}")
    print("chaos: nothing went wrong" if not wrong else f"chaos: {len(wrong)} findings")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
