"""`enarx run`: how a workload ends is how the command ends."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import ENARX, enarx, environment, left, run, until

Wasm = Callable[[str], Path]
Config = Callable[[str], Path]


def test_prints_what_the_workload_prints(home: Path, wasm: Wasm) -> None:
    found = run(home, wasm("hello"))
    assert (found.returncode, found.stdout) == (0, b"hello\n")
    assert b"attestation: trusted (simulated)" in found.stderr
    assert b"SIMULATED: no hardware protects" in found.stderr


def test_without_simulate_there_is_no_hardware(home: Path, wasm: Wasm) -> None:
    found = enarx(home, "run", wasm("hello"))
    assert found.returncode == 126
    assert found.stdout == b""
    assert b"hint:" in found.stderr
    assert b"--simulate" in found.stderr


@pytest.mark.parametrize(("name", "code"), [("exit31", 31), ("trap", 134), ("no-start", 125), ("invalid", 126)])
def test_exit_code(home: Path, wasm: Wasm, name: str, code: int) -> None:
    assert run(home, wasm(name)).returncode == code


@pytest.mark.parametrize("code", [126, 255, -1])
def test_an_exit_code_above_125_is_a_trap_with_a_hint(home: Path, code: int) -> None:
    module = home / "exit.wat"
    imports = '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)'
    module.write_text(f'(module {imports} (func (export "_start") (call $exit (i32.const {code}))))')
    found = run(home, module)
    lines = found.stderr.decode().splitlines()
    assert found.returncode == 134
    assert "error: the workload trapped: exit with invalid exit status outside of [0..126)" in lines
    assert "hint: exit with a code from 0 to 125; exit(-1) in C asks for 255" in lines
    module.write_text(module.read_text().replace(f"const {code}", "const 125"))
    found = run(home, module)
    assert found.returncode == 125
    assert b"hint" not in found.stderr


def test_trap_shows_the_way_to_it(home: Path, wasm: Wasm) -> None:
    found = run(home, wasm("trap")).stderr.decode()
    assert found.index("innermost") < found.index("middle")


@pytest.mark.parametrize("name", ["spin", "sleep"])
def test_time_limit(home: Path, wasm: Wasm, config: Config, name: str) -> None:
    found = run(home, "--config", config('limits.time = "1s"'), wasm(name))
    assert found.returncode == 124
    assert b"time limit" in found.stderr


def test_memory_limit_is_named(home: Path, wasm: Wasm, config: Config) -> None:
    found = run(home, "--config", config('limits.memory = "64MiB"'), wasm("hog"))
    assert found.returncode == 134
    assert b"probably memory" in found.stderr


def test_refused_memory_is_the_guests_to_handle(home: Path, wasm: Wasm, config: Config) -> None:
    found = run(home, "--config", config('limits.memory = "64MiB"'), wasm("hog-handled"))
    assert (found.returncode, found.stdout) == (0, b"refused\n")


def test_output_limit(home: Path, wasm: Wasm, config: Config) -> None:
    found = run(home, "--config", config('limits.output = "1MiB"'), wasm("flood"))
    assert found.returncode == 137
    assert len(found.stdout) == 1 << 20


def test_fuel(home: Path, wasm: Wasm, config: Config) -> None:
    found = run(home, "--config", config("limits.fuel = 100000"), wasm("spin"))
    assert found.returncode == 134
    assert b"fuel" in found.stderr


def test_stdin_comes_back_whole(home: Path, wasm: Wasm) -> None:
    data = random.Random(1).randbytes(64 << 20)
    found = run(home, wasm("cat"), stdin=data)
    assert found.returncode == 0
    assert hashlib.sha256(found.stdout).digest() == hashlib.sha256(data).digest()


def test_stdout_and_stderr_stay_apart(home: Path, wasm: Wasm) -> None:
    found = run(home, wasm("both"))
    assert found.stdout == b"out\n"
    assert b"err\n" in found.stderr


def test_files_may_discard(home: Path, wasm: Wasm, config: Config) -> None:
    toml = '[[files]]\nkind="null"\n[[files]]\nkind="null"\n[[files]]\nkind="stdout"\n'
    found = run(home, "--config", config(toml), wasm("both"), stdin=b"unread")
    assert (found.returncode, found.stdout) == (0, b"err\n")


def test_sockets_are_refused_clearly(home: Path, wasm: Wasm, config: Config) -> None:
    std = "".join(f'[[files]]\nkind="{kind}"\n' for kind in ("stdin", "stdout", "stderr"))
    toml = f'{std}[[files]]\nkind="listen"\nname="web"\nprot="tcp"\n'
    found = run(home, "--config", config(toml), wasm("hello"))
    assert found.returncode == 126
    assert b"no sockets for a workload yet" in found.stderr
    assert found.stdout == b""


def test_not_a_module(home: Path, wasm: Wasm) -> None:
    path = home / "text.wasm"
    for data, said in ((b"no module", b"text, wanted"), (b"\0asm\1\0\0\0broken", b"malformed WebAssembly")):
        path.write_bytes(data)
        found = run(home, path)
        assert (found.returncode, said in found.stderr) == (125, True)


def test_only_the_keep_sees_into_functions(home: Path, wasm: Wasm) -> None:
    found = run(home, wasm("invalid"))
    assert (found.returncode, b"not a valid module" in found.stderr) == (126, True)


def test_json_says_how_it_ended(home: Path, wasm: Wasm, config: Config) -> None:
    found = run(home, "--json", "--config", config('limits.time = "1s"'), wasm("spin"))
    said = json.loads(found.stderr.splitlines()[-1])
    assert (said["termination"], said["exit_code"]) == ("time", 124)
    assert said["attestation"]["status"] == "trusted"


def test_explain_shows_every_check(home: Path, wasm: Wasm) -> None:
    said = run(home, "--explain", wasm("hello")).stderr.decode()
    for check in ("chip-signature", "evidence-signature", "report-data", "measurement", "host-data", "debug"):
        assert check in said


def test_usage_errors_are_125_with_a_hint(home: Path, wasm: Wasm, config: Config) -> None:
    for arguments in (
        [],
        ["--secret", "k=v", wasm("hello")],
        [home / "missing.wasm"],
        ["--env", "NOVALUE", wasm("hello")],
        ["--config", config("limits.memroy = 1"), wasm("hello")],
        ["--unsafe-skip-layer", "nonsense", wasm("hello")],
    ):
        found = run(home, *arguments)
        assert found.returncode == 125, arguments
        assert found.stderr.startswith(b"error: "), found.stderr
        assert b"Traceback" not in found.stderr


def test_secret_reaches_the_guest_as_a_file_only_it_can_see(home: Path, config: Config) -> None:
    from tests.wat import secret_reader

    (home / "reader.wasm").write_bytes(secret_reader())
    (home / "key").write_bytes(b"canary-secret")
    found = run(home, "--config", config("[secrets]\nkey = {}"), "--secret", f"key=@{home}/key", home / "reader.wasm")
    assert (found.returncode, found.stdout) == (0, b"canary-secret")


def _start(home: Path, path: Path) -> subprocess.Popen[bytes]:
    command = [*ENARX, "run", "--simulate", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(home))


def test_interrupt_stops_and_leaves_nothing(home: Path, wasm: Wasm) -> None:
    with _start(home, wasm("slow")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"tick\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    until(lambda: not left(home), "everything to be gone")


def test_closed_pipe_ends_quietly(home: Path, wasm: Wasm) -> None:
    with _start(home, wasm("flood")) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1000)
        process.stdout.close()
        assert process.wait(20) == 141
        assert b"Traceback" not in process.stderr.read()
    until(lambda: not left(home), "everything to be gone")


def test_killed_command_leaves_nothing(home: Path, wasm: Wasm) -> None:
    with _start(home, wasm("slow")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"tick\n"
        assert left(home)
        process.kill()
    until(lambda: not left(home), "everything to be gone")
