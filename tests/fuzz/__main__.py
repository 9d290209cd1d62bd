"""Coverage-guided fuzzing of the targets, with atheris (libFuzzer): `make fuzz SECONDS=3600`.

The first byte of an input chooses the target, the second whether every signature holds. What is found is kept in
`.fuzz/corpus`, what fails in `.fuzz`, and the run goes on from there the next time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["enarx.formats", "enarx.verify", "enarx.delivery"]):
    from tests.fuzz import targets

    for name, target in targets.TARGETS.items():
        targets.run(name, target.seeds[0])  # much is loaded when it is first needed, and has to be instrumented as well
NAMES = tuple(targets.TARGETS)
MEMORY_MB = 1024
LONGEST_S = 5
LONGEST = 16 << 10


def one(data: bytes) -> None:
    """One input."""
    if len(data) < 2:
        return
    name = NAMES[data[0] % len(NAMES)]
    if data[1] & 1:
        with targets.every_signature_holds():
            targets.run(name, data[2:])
    else:
        targets.run(name, data[2:])


def main(seconds: int) -> None:
    """Fuzz for so long."""
    corpus = Path(".fuzz/corpus")
    corpus.mkdir(parents=True, exist_ok=True)
    for i, target in enumerate(targets.TARGETS.values()):
        for j, seed in enumerate(target.seeds):
            for mode in (0, 1):
                (corpus / f"seed-{i}-{j}-{mode}").write_bytes(bytes([i, mode]) + seed)
    limits = [
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LONGEST}",
    ]
    atheris.Setup([sys.argv[0], str(corpus), "-artifact_prefix=.fuzz/", "-print_final_stats=1", *limits], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
