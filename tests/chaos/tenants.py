"""Tenants under chaos. A job ends with a proven and right result, or with an error of the right class."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.tenant import Tenant
from enarx.delivery.session import STDOUT
from enarx.errors import DeliveryError, EnarxError, UnavailableError
from enarx.formats.config import Config
from enarx.tenant.deploy import Result, Run
from tests.programs import module

KILLED = ("failed", "memory")
"""Causes that the Keep seals when its runner or compiler was killed."""


@dataclass(frozen=True)
class Job:
    """A guest, its configuration, and how it ends undisturbed."""

    guest: str
    cause: str
    code: int = 0
    output: bytes = b""
    config: str = ""
    memory: str = "memory = '16MiB'\n"

    def configuration(self) -> Config:
        return Config.from_toml(f"[limits]\n{self.memory}disk = '1MiB'\nopen_files = 32\n{self.config}")


JOBS = (
    Job("hello", "exit", output=b"hello\n"),
    Job("exit31", "exit", code=31),
    Job("trap", "trap"),
    Job("both", "exit", output=b"out\n"),
    Job("slow", "exit", output=b"tick\n" * 10),
    Job("spin", "time", config="time = '300ms'\n"),
    Job("sleep", "time", config="time = '300ms'\n"),
    Job("flood", "output", config="output = '1MiB'\n"),
)


@dataclass
class Ledger:
    """What the tenants know: the Keeps that must exist, and the outcome of each job."""

    keeps: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Tenants:
    """Threads that deploy until they are stopped."""

    def __init__(self, make: Callable[[], Tenant], home: Path, seed: int, count: int) -> None:
        self._make = make
        self._home = home
        self.ledger = Ledger()
        self._over = threading.Event()
        self._lock = threading.Lock()
        for job in JOBS:
            (home / f"{job.guest}.wasm").write_bytes(module(job.guest))
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(seed + i),), daemon=True) for i in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """Begin no new job, and wait for those under way; a job that does not end is a hang."""
        self._over.set()
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                self.ledger.wrong.append("a tenant hangs")

    def _work(self, dice: random.Random) -> None:
        while not self._over.wait(dice.random() / 5):
            job = dice.choice(JOBS)
            try:
                outcome = self._deploy(job, remove=dice.random() < 0.5)
            except UnavailableError as e:
                outcome = f"unavailable: {e.code}"
            except DeliveryError as e:
                outcome = f"refused: {e.code}" if e.state == "refused" else self._wrong(f"{job.guest}: {e!r}")
            except EnarxError as e:
                outcome = (
                    f"{type(e).__name__}: {e.code}" if e.code == "not-found" else self._wrong(f"{job.guest}: {e!r}")
                )
            except Exception as e:  # an exception outside EnarxError is a finding
                outcome = self._wrong(f"{job.guest}: {type(e).__name__}: {e}")
            with self._lock:
                self.ledger.outcomes[outcome] += 1

    def _wrong(self, text: str) -> str:
        with self._lock:
            self.ledger.wrong.append(text)
        return "WRONG"

    def _deploy(self, job: Job, *, remove: bool) -> str:
        tenant = self._make()
        output = bytearray()
        written = threading.Lock()

        def write(kind: int, data: bytes) -> None:
            with written:
                output.extend(data if kind == STDOUT else b"")

        built = tenant.package(self._home / f"{job.guest}.wasm", job.configuration())
        keep = tenant.launch(built)
        with self._lock:
            self.ledger.keeps.add(keep)
        run = tenant.deliver(keep, built, write)
        outcome = self._judge(job, self._serve(run), bytes(output))
        if remove:
            with self._lock:
                self.ledger.keeps.discard(keep)
            tenant.remove(keep)
        return outcome

    def _serve(self, run: Run) -> Result:
        try:
            return run.serve()
        finally:
            run.link.close()

    def _judge(self, job: Job, result: Result, output: bytes) -> str:
        """A sealed end must be the truth, whatever happened to the host."""
        status = result.status
        if status.cause in KILLED or status.cause == "refused":
            return f"sealed: {status.cause}"
        right = status.cause == job.cause and (status.cause != "exit" or status.code == job.code)
        if not right:
            return self._wrong(f"{job.guest}: ended by {status.cause} {status.code}: {status.message}")
        whole = job.cause != "exit" or output == job.output
        if not whole and not result.lost:
            return self._wrong(f"{job.guest}: {output[:64]!r}, and nothing is said to be lost")
        return "as it should be" if not result.lost else "sealed, output lost"
