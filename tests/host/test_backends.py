"""Backends: a backend is added in one file and one line, and launched by its name; another is deleted, and the rest passes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import enarx
from enarx.errors import BackendError, UsageError
from enarx.host import backends
from enarx.host.backends.backend import Site
from tests.e2e.harness import ENARX, PATIENCE, environment, until
from tests.programs import module

from .harness import end_all

SOURCE = Path(enarx.__file__).parent.parent
BOXED = Path(__file__).parent / "backends" / "boxed.py"
LINE = '    "boxed": "enarx.host.backends.boxed:BOXED",\n'


def add_boxed(source: Path, *, first: bool = False) -> None:
    """Add the tests' backend to the tree: its one file, and its line in the registry."""
    shutil.copy(BOXED, source / "enarx/host/backends/boxed.py")
    registry = source / "enarx/host/backends/__init__.py"
    head, begin, lines = registry.read_text().partition("REGISTRY: dict[str, str] = {\n")
    assert begin
    body, end, rest = lines.partition("}\n")
    registry.write_text(head + begin + (LINE + body if first else body + LINE) + end + rest)


class Installation:
    """A copy of the code with one more backend, run as users run it."""

    def __init__(self, home: Path, **more: bool) -> None:
        self.home, self.source = home, home / "src"
        shutil.copytree(SOURCE, self.source, ignore=shutil.ignore_patterns("__pycache__"))
        add_boxed(self.source, **more)
        self.environment = environment(home) | {"PYTHONPATH": str(self.source)}
        self.hello = home / "hello.wasm"
        self.hello.write_bytes(module("hello"))
        self.daemon: subprocess.Popen[bytes] | None = None

    def enarx(self, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*ENARX, *map(str, arguments)], capture_output=True, timeout=PATIENCE, env=self.environment
        )

    def serve(self, *options: str) -> tuple[str, str]:
        """Start a daemon; its URL and the file with its simulated root."""
        log = self.home / "log"
        state = ("--state", str(self.home / "host"), "--socket", str(self.home / "sock"))
        with log.open("wb") as file:
            command = [*ENARX, "host", "serve", *state, *options]
            self.daemon = subprocess.Popen(command, stderr=file, stdin=subprocess.DEVNULL, env=self.environment)

        def listening() -> dict[str, str] | None:
            assert self.daemon is not None
            assert self.daemon.poll() is None, log.read_text()
            events = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
            return next((event for event in events if event["event"] == "listening"), None)

        event: dict[str, str] = until(listening, "the daemon to listen")  # type: ignore[assignment]
        return event["url"], event["simulated_root"]

    def close(self) -> None:
        if self.daemon is not None:
            self.daemon.send_signal(signal.SIGTERM)
            self.daemon.wait(PATIENCE)
        end_all(str(self.source))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    found = Installation(tmp_path)
    yield found
    found.close()


def test_a_backend_in_one_file_is_launched_through_the_daemon_by_its_name(installation: Installation) -> None:
    url, root = installation.serve()
    where = ("--host", url, "--simulated-root", root, "--backend", "boxed")
    found = installation.enarx("deploy", *where, installation.hello)
    assert (found.returncode, found.stdout) == (0, b"hello\n"), found.stderr.decode()

    found = installation.enarx("deploy", *where, "--detach", installation.hello)
    keep = found.stdout.decode().strip()
    inspected = installation.enarx("keep", "inspect", keep, "--json", "--host", url)
    assert inspected.returncode == 0, (keep, found.stderr, inspected.stderr)
    info = json.loads(inspected.stdout)
    assert (info["kind"], info["facts"]) == ("boxed", {"box": "relays frames"})
    found = installation.enarx("keep", "attach", keep, "--host", url)
    assert (found.returncode, found.stdout) == (0, b"hello\n"), found.stderr.decode()


def test_a_backend_in_one_file_is_launched_by_a_local_run(installation: Installation) -> None:
    found = installation.enarx("run", "--backend", "boxed", installation.hello)
    assert (found.returncode, found.stdout) == (0, b"hello\n"), found.stderr.decode()


def test_a_backend_in_one_file_is_probed_and_others_stay_as_they_are(installation: Installation) -> None:
    shown = json.loads(installation.enarx("platform", "--json").stdout)["backends"]
    assert [backend["kind"] for backend in shown] == [*backends.kinds(), "boxed"]
    found = installation.enarx("run", "--simulate", installation.hello)
    assert (found.returncode, found.stdout) == (0, b"hello\n"), found.stderr.decode()
    found = installation.enarx("run", "--backend", "boxes", installation.hello)
    assert found.returncode == 125
    assert b"'boxes'" in found.stderr
    assert b"boxed" in found.stderr


def test_the_first_line_of_the_registry_is_the_default(tmp_path: Path) -> None:
    """A launch that names no kind gets it, and so does the pool."""
    one = Installation(tmp_path, first=True)
    try:
        url, root = one.serve("--pool", "1")
        until(lambda: b'"pooled": true' in (one.home / "log").read_bytes(), "the pool")
        found = one.enarx("deploy", "--host", url, "--simulated-root", root, "--detach", one.hello)
        keep = found.stdout.decode().strip()
        assert json.loads(one.enarx("keep", "inspect", keep, "--json", "--host", url).stdout)["kind"] == "boxed"
        assert b'"claimed"' in (one.home / "log").read_bytes()
    finally:
        one.close()


def test_every_backend_of_the_registry_is_whole(tmp_path: Path) -> None:
    site = Site(paths="", state=str(tmp_path / "absent"), cache=str(tmp_path / "absent"))
    for kind in backends.kinds():
        backend = backends.find(kind)
        probed = backend.probe()
        assert backend.kind == kind
        assert set(probed) == {"available", "detail", "remedy"}
        assert bool(probed["available"]) is not bool(probed["remedy"])
        assert bool(backend.warning) is bool(backend.trust_anchor(site))
        if not probed["available"]:
            with pytest.raises(BackendError, match=kind):
                backend.require()


def test_a_kind_that_no_backend_has() -> None:
    with pytest.raises(UsageError, match="no kind of Keep is called 'vax'"):
        backends.find("vax")


def test_the_simulated_backend_says_so_of_itself() -> None:
    assert backends.simulated().warning.startswith("UNPROTECTED")


def test_no_file_but_the_registry_and_backends_names_a_kind() -> None:
    """Nothing else decides by a kind's name. (The command line also knows kinds of evidence that share a name.)"""
    known = set(backends.kinds())
    for zone, kinds in (("host", known), ("cli", {kind for kind in known if backends.find(kind).warning})):
        quoted = re.compile("|".join(f'"{kind}"' for kind in sorted(kinds)))
        for path in (SOURCE / "enarx" / zone).rglob("*.py"):
            if "backends" not in path.parts:
                assert not quoted.findall(path.read_text()), path


ROOT = Path(__file__).parent.parent.parent
PROCESS = ("src/enarx/host/backends/process", "tests/host/test_process_backend.py", "tests/host/fake/enarx/simulator")
"""The folders of the backend `process` and its tests."""

STAYING = ("supervisor", "tenants", "finished", "requests", "restart", "launcher", "cgroups")
"""Tests that launch Keeps of the default kind, whichever that is."""


@pytest.mark.timeout(400)
def test_a_backend_is_deleted_with_its_folder_and_its_line_and_the_rest_stands(tmp_path: Path) -> None:
    """The copy has another backend in its place, whose Keeps are puppets."""
    copy = tmp_path / "tree"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(".git", ".venv", ".venv-*", ".fuzz", ".compat", "__pycache__", "shared"),
    )
    for path in PROCESS:
        assert (copy / path).exists(), path
        shutil.rmtree(copy / path) if (copy / path).is_dir() else (copy / path).unlink()
    shutil.copy(BOXED.with_name("plain.py"), copy / "src/enarx/host/backends/plain.py")
    registry = copy / "src/enarx/host/backends/__init__.py"
    lines = registry.read_text().splitlines(keepends=True)
    (own,) = (i for i, line in enumerate(lines) if line.startswith('    "process":'))
    lines[own] = '    "plain": "enarx.host.backends.plain:PLAIN",\n'
    registry.write_text("".join(lines))

    tests = [f"tests/host/test_{name}.py" for name in STAYING]
    found = pytest_in(copy, *tests, "tests/house/test_zones.py", "tests/house/test_portable.py")
    assert found.returncode == 0, found.stdout[-4000:]
    found = pytest_in(copy, "tests/host/test_process_backend.py")  # the control: this is the copy, without the backend
    assert found.returncode in (4, 5)  # no such file, or no tests: workers differ in which they report


def pytest_in(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "2", "--dist", "worksteal", *tests]
    names = os.environ | {"PYTHONPATH": str(copy / "src")}
    names = {name: value for name, value in names.items() if not name.startswith("PYTEST_")}
    return subprocess.run(command, cwd=copy, env=names, capture_output=True, text=True)
