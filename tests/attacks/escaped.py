"""A Keep whose runner was taken over: Python takes the place of native code, inside the real sandbox, after loading.

The code of the installation is copied, and in the copy the guest's run is the attack that its argument says. All
else is the real Keep's: the wards against a runner hold no matter what runs in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import enarx
from enarx.host import cgroups
from tests.e2e.harness import ENARX, PATIENCE, environment
from tests.programs import module

TAKEN_OVER = """

def _attack(self, order):
    import ctypes, errno, os, resource, socket, threading, time
    exec(order.args[1], {**globals(), **locals()})
    return {"cause": "exit", "code": 0}


Guest.run = _attack
"""


class Tree:
    """A copy of the code with the runner taken over, and with `changes`: (file, old text, new text)."""

    def __init__(self, home: Path, *changes: tuple[str, str, str], taken_over: bool = True) -> None:
        self.home = home
        self.code = home / "code"
        shutil.copytree(Path(enarx.__file__).parent, self.code / "enarx", ignore=shutil.ignore_patterns("__pycache__"))
        if taken_over:
            self._edit("keep/guest/wasi.py", lambda text: text + TAKEN_OVER)
        for file, old, new in changes:
            self._edit(file, lambda text, old=old, new=new: replaced(text, old, new))  # type: ignore[misc]
        (home / "any.wasm").write_bytes(module("exit31"))

    def _edit(self, file: str, change: Callable[[str], str]) -> None:
        path = self.code / "enarx" / file
        path.write_text(change(path.read_text()))

    def run(
        self, attack: str, limits: str = "", module: Path | None = None, options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        """`enarx run` of this code. `limits` are lines of [limits]."""
        config = self.home / "Attack.toml"
        config.write_text(f"[limits]\n{limits}\n")
        path = str(module or self.home / "any.wasm")
        command = [*ENARX, "run", "--simulate", "--config", str(config), *options, path, "--", attack]
        where = environment(self.home) | {"PYTHONPATH": str(self.code)}
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, env=where, stdin=subprocess.DEVNULL)


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


class Peak:
    """The most memory that the Keep of a local run in `home` took, and its bound; needs cgroups of version 1."""

    def __init__(self, home: Path) -> None:
        self.memory = self.bound = 0
        self._home = str(home).encode()
        self._base = memory_base()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.005):
            for name in os.listdir(self._base):
                _, kind, rest = (*name.split("-", 2), "", "")[:3]
                try:
                    if kind == "run" and self._home in Path(f"/proc/{rest.split('-')[0]}/cmdline").read_bytes():
                        memory, bound = (int((self._base / name / f"memory.{what}").read_text()) for what in NUMBERS)
                        self.memory, self.bound = max(self.memory, memory), bound
                except OSError:
                    continue  # it has just ended


NUMBERS = ("max_usage_in_bytes", "limit_in_bytes")


def memory_base() -> Path:
    """Return the directory in which local runs make their cgroups."""
    place = cgroups.find("look", (os.getpid(),))
    if place.by != cgroups.V1:
        pytest.skip(f"no cgroups of version 1 to read: {place.detail}")
    return Path(place.detail.removeprefix("memory and pids below "))
