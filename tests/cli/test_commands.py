"""Commands that need no Keep, and what is the same for all."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from enarx.api import acceptance
from enarx.cli import console
from enarx.cli.parser import COMMANDS, build_parser
from enarx.errors import UsageError
from tests.e2e.conftest import home  # noqa: F401  # a fixture
from tests.e2e.harness import enarx
from tests.house.test_invariants import SRC
from tests.programs import module


def test_init_writes_once(home: Path) -> None:
    assert enarx(home, "init", home).returncode == 0
    assert "[limits]" in (home / "Enarx.toml").read_text()
    found = enarx(home, "init", home)
    assert found.returncode == 125
    assert b"never overwritten" in found.stderr


def test_package_digest_is_the_same_with_its_salt(home: Path) -> None:
    (home / "g.wasm").write_bytes(module("cat"))
    salt = ("--salt", home / "salt")
    first = enarx(home, "package", "digest", *salt, home / "g.wasm", check=True).stdout
    assert enarx(home, "package", "digest", *salt, home / "g.wasm").stdout == first
    assert enarx(home, "package", "digest", *salt, home / "g.wasm", "--", "x").stdout != first
    assert enarx(home, "package", "digest", home / "g.wasm").stdout != first
    assert (home / "salt").stat().st_mode & 0o777 == 0o600
    shown = json.loads(enarx(home, "package", "show", *salt, home / "g.wasm", check=True).stdout)
    assert shown["digest"] == first.decode().strip()
    for other in (b"no salt", b"\xff"):
        (home / "salt").write_bytes(other)
        refused = enarx(home, "package", "digest", *salt, home / "g.wasm")
        assert (refused.returncode, b"wanted 32 bytes in hexadecimal digits" in refused.stderr) == (125, True)


def test_package_show_tells_no_secrets(home: Path) -> None:
    (home / "g.wasm").write_bytes(module("cat"))
    shown = enarx(home, "package", "show", "--env", "K=canary-env", home / "g.wasm", "--", "canary-arg").stdout
    assert b"canary" not in shown


def test_what_cannot_be_a_receipt_or_results(home: Path) -> None:
    (home / "g.wasm").write_bytes(module("hello"))
    for given, message, hint in (
        (("--receipt", home), "a directory, wanted a file", "name a file in it"),
        (("--receipt", home / "no" / "r"), "no such directory", f"mkdir -p {home / 'no'}"),
        (("--out", "/out::results"), "'results' is not an absolute path", "as --out results::/out"),
        (("--dir", f"{home}/no::/d"), "not a directory, wanted for /d", "it does not exist"),
        (("--dir", f"{home}/g.wasm::/d"), "not a directory, wanted for /d", "name a directory"),
    ):
        refused = enarx(home, "run", "--simulate", *given, home / "g.wasm")
        *_, error, told = refused.stderr.decode().splitlines()
        assert (refused.returncode, message in error, hint in told) == (125, True, True), refused.stderr


def test_a_wrong_root_has_a_hint(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("ab" * 32)
    assert acceptance.read_root(tmp_path / "root") == bytes.fromhex("ab" * 32)
    for content in (b"no root", b"\xfc", b"ab" * 31):
        (tmp_path / "root").write_bytes(content)
        with pytest.raises(UsageError) as e:
            acceptance.read_root(tmp_path / "root")
        assert "logs the path as simulated_root" in e.value.hint


def test_counts_have_a_number() -> None:
    assert [console.counted(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_owner(home: Path) -> None:
    made = enarx(home, "owner", "new", home / "o.pem", check=True).stdout
    assert made.startswith(b"-----BEGIN PUBLIC KEY-----")
    assert enarx(home, "owner", "show", home / "o.pem", check=True).stdout == made
    assert enarx(home, "owner", "new", home / "o.pem").returncode == 125
    assert enarx(home, "owner", "show", home / "missing").returncode == 125


def test_reset_asks(home: Path) -> None:
    enarx(home, "owner", "new", check=True)
    found = enarx(home, "reset")
    assert found.returncode == 125
    assert (home / "config").exists()
    assert enarx(home, "reset", "--yes").returncode == 0
    assert not (home / "config" / "enarx").exists()
    assert b"nothing to remove" in enarx(home, "reset").stderr


def test_platform(home: Path) -> None:
    value = json.loads(enarx(home, "platform", "--json", check=True).stdout)
    assert len(bytes.fromhex(value["measurement"])) == 48
    kinds = {backend["kind"]: backend for backend in value["backends"]}
    assert kinds["process"]["available"]
    assert kinds["snp"]["remedy"]
    assert all(layer["on"] and not layer["remedy"] for layer in value["layers"])
    assert b"SANDBOX LAYER" in enarx(home, "platform").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(home: Path, shell: str) -> None:
    script = enarx(home, "completion", shell, check=True).stdout
    assert b"--simulate" in script
    if shell == "bash":
        asked = script.decode() + "\nCOMP_WORDS=(enarx keep att); COMP_CWORD=2; _enarx; echo ${COMPREPLY[@]}"
        assert subprocess.run(["bash", "-c", asked], capture_output=True).stdout.split() == [b"attach", b"attest"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["run", "--simulate", "--backend", "snp", "x.wasm"],
        ["keep", "attach"],
        ["keep", "attach", "deadbeef", "--host", "http://127.0.0.1:1"],
        ["host", "serve", "--max-memory", "lots"],
        ["host", "serve", "--max-stored", "-1"],
        ["host", "serve", "--max-finished", "many"],
        ["host", "serve", "--max-keeps=-1"],
        ["deploy", "--host", "nonsense", "--simulated-root", "x", "y.wasm"],
    ],
)
def test_wrong_usage_has_an_error_a_hint_and_no_traceback(home: Path, arguments: list[str]) -> None:
    found = enarx(home, *arguments)
    assert found.returncode in (125, 127), found.stderr
    assert found.stderr.startswith(b"error: ")
    assert b"Traceback" not in found.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_a_port_that_is_none(home: Path, port: str) -> None:
    (home / "token").write_text("t" * 16)
    (home / "token").chmod(0o600)
    found = enarx(home, "host", "serve", f"--port={port}", "--token-file", home / "token")
    assert found.returncode == 125
    assert b"wanted a whole number from 0 to 65535" in found.stderr


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://nowhere.invalid", "unix://HOME/absent"])
def test_a_host_that_is_not_there(home: Path, host: str) -> None:
    found = enarx(home, "keep", "list", "--host", host.replace("HOME", str(home)))
    assert found.returncode == 127
    assert b"the host cannot be reached" in found.stderr
    assert b"the Keep may still be running" not in found.stderr


def test_a_kind_that_does_not_exist_is_named_once(home: Path) -> None:
    """The host side, which is started before options are parsed, leaves it to the command."""
    (home / "g.wasm").write_bytes(module("cat"))
    found = enarx(home, "run", "--backend", "nonsense", home / "g.wasm")
    assert found.returncode == 125
    assert found.stderr.startswith(b"error: no kind of Keep is called 'nonsense'\nhint: kinds: process,")
    assert found.stderr.count(b"\n") == 2


def test_a_deployment_without_a_root_is_told_what_deploy_takes(home: Path) -> None:
    found = enarx(home, "deploy", "--host", "http://127.0.0.1:1", home / "g.wasm")
    assert found.returncode == 126
    assert b"--simulated-root FILE" in found.stderr
    assert b"--simulate;" not in found.stderr
    assert b"enarx platform" not in found.stderr, "it is not about this machine"


def test_a_file_that_is_no_receipt_is_named(home: Path) -> None:
    (home / "g.wasm").write_bytes(module("cat"))
    found = enarx(home, "result", "verify", home / "g.wasm", "--simulated-root", home / "root.pub")
    assert (found.returncode, str(home / "g.wasm") + " is not a receipt" in found.stderr.decode()) == (126, True)


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(home: Path) -> None:
    (home / "g.wasm").write_bytes(module("cat"))
    found = enarx(home, "run", "--simulate", "--secret", "key=hunter2", home / "g.wasm")
    assert found.returncode == 125
    assert b"hunter2" not in found.stderr
    assert b"@FILE" in found.stderr


def test_every_command_is_a_module_and_every_module_a_command() -> None:
    assert {path.stem for path in (SRC / "cli" / "commands").glob("*.py")} - {"__init__"} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_loads_no_other(name: str) -> None:
    code = f"import sys; from enarx.cli.parser import parser_for; parser_for({name!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    prefix = "enarx.cli.commands."
    assert [module for module in loaded if module.startswith(prefix)] == [f"{prefix}{name}"]


def test_help_of_all_loads_no_command() -> None:
    code = (
        "import sys; from enarx.cli.parser import parser_for; print(parser_for('--help').format_help(), *sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(text in shown for text in COMMANDS)
    assert "enarx.cli.commands." not in shown


def test_completion_offers_what_is_declared(home: Path) -> None:
    """Options in sections and in exclusive groups too, and the values that an option may take."""
    script = enarx(home, "completion", "bash", check=True).stdout.decode()
    words = dict(re.findall(r'"([a-z -]*)"\) words="([^"]*)"', script))
    assert {"run", "deploy", "--help", "--version"} <= set(words[""].split())
    assert {"--simulate", "--backend", "--unsafe-skip-layer"} <= set(words["run"].split())
    assert {"--vcpus", "--id-key", "sev-es", "--kind"} <= set(words["image measure"].split())
    assert words["keep"].split() == sorted(["--help", *build_parser().below["keep"].below])
