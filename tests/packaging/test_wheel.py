"""The wheel, installed as users install it: the tenant's side without the host's packages, and a host with them."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from enarx import VERSION
from enarx.api.acceptance import own_measurement
from enarx.cli.example import KINDS
from tests.cli.test_evidence import arguments
from tests.e2e.conftest import daemon, home  # noqa: F401  # fixtures
from tests.e2e.harness import Daemon
from tests.house.test_invariants import ROOT, SRC
from tests.packaging.conftest import BIN, Installed, call

SNP, TDX = (pytest.importorskip(f"tests.verify.kinds.{kind}.real").REAL for kind in ("snp", "tdx"))
HELLO = ROOT / "examples" / "hello" / "hello.wasm"
EXTRA = "pip install 'enarx[host]'"


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packed = {name for name in names if not name.startswith(f"enarx-{VERSION}.dist-info/")}
    sources = {path for path in SRC.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert packed == {path.relative_to(SRC.parent).as_posix() for path in sources}
    assert {
        "enarx/py.typed",
        "enarx/__init__.pyi",
        *(f"enarx/cli/example/{kind}/evidence.bin" for kind in KINDS),
    } <= packed


def test_only_the_host_extra_requires_what_runs_keeps(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"enarx-{VERSION}.dist-info/METADATA").decode()
    required = re.findall(r"^Requires-Dist: ([\w-]+)(.*)$", metadata, re.MULTILINE)
    without = {name for name, rest in required if "extra ==" not in rest}
    assert without == {"cbor2", "cryptography", "filelock", "joserfc"}
    assert {"wasmtime", "starlette", "uvloop"} <= {name for name, rest in required if "extra == 'host'" in rest}


def test_help_and_version_reach_a_pipe(bare: Installed) -> None:
    assert bare.enarx("--version").stdout == f"enarx {VERSION}\n"
    assert "usage: enarx" in bare.enarx("--help").stdout


def test_without_extras_there_is_no_runtime(bare: Installed, host: Installed) -> None:
    look = "import importlib.util as u; print([bool(u.find_spec(n)) for n in ('enarx', 'wasmtime', 'uvloop')])"
    assert bare.run("-c", look).stdout == "[True, False, False]\n"
    assert host.run("-c", look).stdout == "[True, True, True]\n"


@pytest.mark.parametrize("kind", KINDS)
def test_example_evidence_is_verified_at_once(kind: str, bare: Installed) -> None:
    found = bare.enarx("evidence", "example", kind, "--write", f"example-{kind}")
    assert (found.returncode, f"trusted ({kind})" in found.stderr) == (0, True), found.stderr
    shown = bare.enarx("evidence", "show", f"example-{kind}/evidence.bin")
    assert (shown.returncode, "not verified" in shown.stdout) == (0, True), shown.stderr
    shutil.rmtree(bare.home / f"example-{kind}")


@pytest.mark.parametrize("real", [SNP, TDX], ids=["snp", "tdx"])
def test_real_evidence_is_verified(real: object, evidence_dir: Path, bare: Installed) -> None:
    vector, given, at, _ = real.real[0]  # type: ignore[attr-defined]
    verify = arguments(evidence_dir, vector, given, at)
    found = bare.enarx(*verify, "--authenticity-only", "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["status"] == "authentic"


def test_the_tenants_side_works_without_extras(bare: Installed, tmp_path: Path) -> None:
    digest = bare.enarx("package", "digest", "--salt", tmp_path / "salt", HELLO)
    assert (digest.returncode, len(digest.stdout.strip())) == (0, 64), digest.stderr
    assert bare.enarx("owner", "new", tmp_path / "owner.pem").returncode == 0
    assert bare.enarx("policy", "init", "--kind", "snp", tmp_path / "snp.toml").returncode == 0
    assert bare.run("-c", "import enarx; enarx.deploy, enarx.attach, enarx.aio, enarx.Job").returncode == 0


def test_a_tenant_without_extras_deploys_to_a_host(bare: Installed, daemon: Daemon) -> None:
    where = ("deploy", "--host", daemon.url, "--simulated-root", daemon.root)
    found = bare.enarx(*where, "--measurement", own_measurement().hex(), HELLO)
    assert (found.returncode, found.stdout[:19]) == (0, "Hello from a Keep!\n"), found.stderr
    found = bare.enarx(*where, HELLO)
    assert (found.returncode, EXTRA in found.stderr, "--measurement HEX" in found.stderr) == (125, True, True)
    assert daemon.keeps() == {}


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--simulate", str(HELLO)],
        ["run", "--backend", "process", str(HELLO)],
        ["run", str(HELLO)],
        ["platform"],
        ["platform", "--json"],
        ["host", "serve", "--socket", "host.sock"],
    ],
    ids=" ".join,
)
def test_what_needs_the_extra_names_it(command: list[str], bare: Installed) -> None:
    found = bare.enarx(*command)
    assert found.returncode == 125
    assert found.stderr.startswith("error: ")
    assert EXTRA in found.stderr
    assert "fault of the program" not in found.stderr


def test_what_needs_the_extra_names_it_in_python(bare: Installed) -> None:
    found = bare.run(
        "-c",
        "import enarx, sys\n"
        "try:\n    enarx.run(sys.argv[1], simulate=True).start()\n"
        "except enarx.UsageError as e:\n    print(e.code, e.hint)\n",
        HELLO,
    )
    assert found.stdout.startswith("keep-incomplete "), found.stderr
    assert EXTRA in found.stdout


def test_a_host_runs_keeps(host: Installed) -> None:
    found = host.enarx("run", "--simulate", HELLO)
    assert (found.returncode, found.stdout[:19]) == (0, "Hello from a Keep!\n"), found.stderr
    measured = json.loads(host.enarx("platform", "--json").stdout)["measurement"]
    assert measured == own_measurement().hex()  # wherever it is installed


def test_pipx_installs_the_command(wheel: Path, tmp_path: Path) -> None:
    places = {f"PIPX_{name}": str(tmp_path / name.lower()) for name in ("HOME", "BIN_DIR", "MAN_DIR")}
    found = call(BIN / "pipx", "install", "--backend", "uv", str(wheel), HOME=str(tmp_path), **places, PATH=path())
    if found.returncode and re.search(
        r"Failed to fetch|error sending request|timed out|dns", found.stderr + found.stdout
    ):
        pytest.skip(f"no registry can be reached: {found.stderr.strip()[-300:]}")
    assert found.returncode == 0, found.stdout + found.stderr
    installed = Installed(tmp_path / "home" / "venvs" / "enarx", tmp_path / "bin_dir" / "enarx")
    assert installed.enarx("--version").stdout == f"enarx {VERSION}\n"
    assert installed.enarx("evidence", "example").returncode == 0
    assert EXTRA in installed.enarx("run", "--simulate", HELLO).stderr


def path() -> str:
    """A search path with uv on it, which pipx calls."""
    assert shutil.which("uv", path=str(BIN))
    return f"{BIN}:/usr/bin:/bin"
