"""Trouble for a machine: processes are killed, connections cut or never finished, the disk filled."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.chaos.machine import Machine

GARBAGE = (
    b"\0" * 4096,
    b"GET / HTTP/1.1\r\n",
    b"POST /v1/keeps HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{",
    b"GET /v1/keeps HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
VICTIMS = ("launcher", "simulator", "zygote", "supervisor", "keeper", "runner", "compiler", "attester")


class Trouble:
    """Causes random trouble, one kind after another, until it is stopped."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self._machine = machine
        self._dice = random.Random(seed)
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self.made: Counter[str] = Counter()
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._work, daemon=True)
        kinds: list[tuple[int, Callable[[], None]]] = [
            (8, self._kill_somebody),
            (1, self._kill_daemon),
            (3, self._garbage),
            (2, self._readers),
            (2, self._hang_up),
            (1, self._fill_disk),
        ]
        self._kinds = [kind for weight, kind in kinds for _ in range(weight)]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(60)
        self._hang_up()

    def _work(self) -> None:
        while not self._over.wait(self._dice.uniform(0.02, 0.4)):
            kind = self._dice.choice(self._kinds)
            try:
                kind()
            except Exception as e:  # reported at the end: a machine that cannot be brought back is a finding
                self.failed.append(f"{kind.__name__}: {type(e).__name__}: {e}")
                return

    def _kill_somebody(self) -> None:
        """Kill a process of a random role; every role is equally likely."""
        processes = self._machine.processes()
        role = self._dice.choice(VICTIMS)
        victims = [pid for pid, found in processes.items() if found == role]
        if victims:
            self._machine.kill(self._dice.choice(victims))
            self.made[role] += 1

    def _kill_daemon(self) -> None:
        self._machine.kill_daemon()
        self._machine.start()
        self.made["daemon"] += 1

    def _connect(self) -> socket.socket:
        parts = urlsplit(self._machine.url)
        if parts.scheme == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(5)
            connection.connect(parts.path)
        else:
            connection = socket.create_connection((parts.hostname, parts.port or 80), timeout=5)
        self._open.append(connection)
        return connection

    def _garbage(self) -> None:
        """Send garbage, or the beginning of a request, and then nothing."""
        with contextlib.suppress(OSError):
            self._connect().sendall(self._dice.choice(GARBAGE))
            self.made["garbage"] += 1

    def _readers(self) -> None:
        """Open many readers of a Keep's output that never read."""
        keeps = [name for name in os.listdir(self._machine.state / "keeps") if len(name) == 16]
        if not keeps:
            return
        request = f"GET /v1/keeps/{self._dice.choice(keeps)}/output?from=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with contextlib.suppress(OSError):
            for _ in range(self._dice.randrange(8, 80)):
                self._connect().sendall(request.encode())
            self.made["readers"] += 1

    def _hang_up(self) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()

    def _fill_disk(self) -> None:
        if not self._machine.small_disk:
            return
        path = self._machine.state / "filler"
        with contextlib.suppress(OSError), path.open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
        time.sleep(self._dice.uniform(0.1, 0.6))
        path.unlink()
        self.made["full disk"] += 1
