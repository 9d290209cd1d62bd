"""T44: a workload's end is mistaken for another kind of end."""

from __future__ import annotations

import resource
import signal
import subprocess
from pathlib import Path

import pytest

from enarx.formats import bounds
from tests import bombs
from tests.attacks.escaped import Tree
from tests.e2e import harness
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import ENARX, Daemon, environment, run, until
from tests.programs import module


def write(home: Path, wasm: bytes, limits: str = "") -> Path:
    (home / "Enarx.toml").write_text(limits)
    (home / "end.wasm").write_bytes(wasm)
    return home / "end.wasm"


def test_t44_an_endless_start_function_is_out_of_time(home: Path) -> None:
    found = run(home, write(home, bombs.endless_start(), 'limits.time = "500ms"'))
    assert (found.returncode, b"time limit" in found.stderr) == (124, True)


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("(call $exit (i32.const 7))", 7, b""),
        ("(call $exit (i32.const 0))", 0, b""),
        ("unreachable", 134, b"the workload trapped: wasm `unreachable` instruction executed"),
        ("(drop (i32.load (i32.const 65536)))", 134, b"the workload trapped: out of bounds memory access"),
    ],
)
def test_t44_a_start_function_ends_a_run_as_any_other_does(home: Path, how: str, code: int, said: bytes) -> None:
    found = run(home, write(home, bombs.ending_start(how)))
    assert found.returncode == code
    assert said in found.stderr


def limited(home: Path, files: int, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run locally, with a hard limit of `files` descriptors."""
    return subprocess.run(
        [*ENARX, "run", "--simulate", *map(str, arguments)],
        env=environment(home),
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)),
    )


def test_t44_more_files_than_the_machine_gives_is_usage(home: Path) -> None:
    path = write(home, module("hello"), "limits.open_files = 1000")
    found = limited(home, 1000, path)
    assert found.returncode == 125
    assert b"limits.open_files is 1000, this machine's hard limit leaves 981" in found.stderr
    write(home, module("hello"), "limits.open_files = 981")
    assert limited(home, 1000, path).returncode == 0


def test_t44_on_a_host_it_is_a_named_refusal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(home, module("hello"), "limits.open_files = 65536")
    daemon = Daemon(home)
    with monkeypatch.context() as change:
        change.setattr(harness, "ENARX", ["prlimit", "--nofile=1024:1024", *ENARX])
        daemon.start()
    try:
        found = daemon.deploy(path)
        assert found.returncode == 126
        assert b"open-files: limits.open_files is 65536, this host's hard limit leaves 1005" in found.stderr
    finally:
        daemon.clean()


def test_t44_the_most_that_can_be_asked_for(home: Path) -> None:
    most = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - bounds.OWN_FILES)
    assert run(home, write(home, module("hello"), f"limits.open_files = {most}")).returncode == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_t44_a_zygote_that_dies_costs_no_launch_and_gives_no_second_one(home: Path, when: str) -> None:
    """The zygote dies before it has forked a Keep, or after: that Keep is unknown to its host, and ends without reading a byte."""
    launch = "            answer, pidfds = _launch(link, _map(order), fds)\n"
    dies = f"            if not os.path.exists('{home}/died'): os._exit(os.mkdir('{home}/died') or 1)\n"
    change = ("keep/boot/process.py", launch, dies + launch if when == "before" else launch + dies)
    tree = Tree(home, change, taken_over=False)
    (home / "hello.wasm").write_bytes(module("hello"))
    found = tree.run("", module=home / "hello.wasm")
    assert (found.returncode, found.stdout) == (0, b"hello\n"), found.stderr
    assert (home / "died").exists()
    until(lambda: not any(str(home).encode() in line for line in command_lines()), "everything to be gone")


def test_t44_a_package_that_is_too_much_for_the_keeper_is_refused(home: Path) -> None:
    limit = ("keep/boot/process.py", "    resource.setrlimit(resource.RLIMIT_DATA, (own, own))", SMALL)
    tree = Tree(home, limit, taken_over=False)
    padding = bombs.section(0, b"\1x" + bytes(64 << 20))
    found = tree.run("", 'compile = "8GiB"', write(home, module("hello") + padding))
    assert found.returncode == 126
    assert b"the Keep refused the package: keeper-memory: " in found.stderr


SMALL = "    resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))"


def test_t44_a_command_that_ignores_its_children(home: Path) -> None:
    path = write(home, module("exit31"))
    found = subprocess.run(
        [*ENARX, "run", "--simulate", str(path)],
        env=environment(home),
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert (found.returncode, b"fault of the program" in found.stderr) == (31, False)


def command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found
