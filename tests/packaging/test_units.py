"""The systemd units: valid for systemd, hardened, and true to what the daemon does and needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from enarx.cli.parser import build_parser
from enarx.host.cgroups import LEAF, NEEDED
from enarx.tenant.paths import SOCKET, SYSTEM_RUNTIME
from tests.house.test_invariants import ROOT

UNITS = ROOT / "packaging" / "systemd"
SERVICE, SOCKET_UNIT = UNITS / "enarx-host.service", UNITS / "enarx-host.socket"
KNOWN_LATER = {"DelegateSubgroup": 254}
"""Settings that the units use, by the first version of systemd that knows them."""

MOST_EXPOSED = 30
"""Tenths: the exposure that `systemd-analyze security` computes, from 0 (safe) to 100."""

analyzed = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def settings(path: Path) -> dict[str, list[str]]:
    """The values of each setting of a unit."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with the command of this environment, for systemd looks whether it exists."""
    for path in (SERVICE, SOCKET_UNIT):
        text = path.read_text().replace("/opt/enarx/bin/enarx", str(Path(sys.executable).parent / "enarx"))
        (tmp_path / path.name).write_text(text)
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def version() -> int:
    return int(analyze("--version").stdout.split()[1])


def complaints(found: subprocess.CompletedProcess[str]) -> list[str]:
    """What systemd says of the units, but for settings that this version does not know yet."""
    later = [name for name, first in KNOWN_LATER.items() if version() < first]
    lines = [line for line in (found.stdout + found.stderr).splitlines() if "enarx-host" in line]
    return [line for line in lines if not any(f"'{name}'" in line for name in later)]


@analyzed
def test_systemd_accepts_the_units(units: Path) -> None:
    found = analyze("verify", units / SOCKET_UNIT.name, units / SERVICE.name)
    assert (found.returncode, complaints(found)) == (0, []), found.stderr


@analyzed
def test_systemd_refuses_a_setting_that_is_none(units: Path) -> None:
    """The control."""
    service = units / SERVICE.name
    service.write_text(service.read_text().replace("ProtectSystem=strict", "ProtectSystems=strict\nUMask=x"))
    assert len(complaints(analyze("verify", service))) == 2


@analyzed
def test_the_service_is_hardened(units: Path) -> None:
    limit = f"--threshold={MOST_EXPOSED}"
    found = analyze("security", "--offline=true", limit, units / SERVICE.name)
    if "unrecognized option" in found.stderr:
        pytest.skip("this systemd-analyze cannot read units offline")
    assert found.returncode == 0, found.stdout
    service = units / SERVICE.name
    kept = [line for line in service.read_text().splitlines() if not line.startswith(("NoNew", "Capab", "Protect"))]
    service.write_text("\n".join(kept))
    assert analyze("security", "--offline=true", limit, service).returncode != 0  # the control


def test_the_command_line_is_one() -> None:
    (command,) = settings(SERVICE)["ExecStart"]
    options = build_parser().parse_args(command.split()[1:])
    assert (options.socket, options.address, options.port) == ("", "", None)  # the sockets are the socket unit's
    assert options.socket_group == settings(SOCKET_UNIT)["SocketGroup"][0] == settings(SERVICE)["Group"][0]


def test_the_socket_is_where_clients_look() -> None:
    assert settings(SOCKET_UNIT)["ListenStream"] == [f"{SYSTEM_RUNTIME}/{SOCKET}"]
    assert settings(SERVICE)["Requires"] == [SOCKET_UNIT.name]
    assert "RuntimeDirectory" not in settings(SERVICE)  # stopping the service would remove the socket


def test_keeps_outlive_the_daemon_in_cgroups_of_their_own() -> None:
    service = settings(SERVICE)
    assert service["KillMode"] == ["process"]
    assert set(service["Delegate"][0].split()) == NEEDED
    assert service["DelegateSubgroup"] == [LEAF]
    assert service["OOMPolicy"] == ["continue"]


@pytest.mark.parametrize("name", ["MemoryDenyWriteExecute", "ProtectHostname", "ProtectControlGroups", "RemoveIPC"])
def test_what_would_break_keeps_is_not_set(name: str) -> None:
    assert name not in settings(SERVICE)


def test_a_state_that_the_service_may_write() -> None:
    service = settings(SERVICE)
    variables = dict(pair.split("=", 1) for pair in service["Environment"][0].split())
    assert variables["XDG_STATE_HOME"] + "/enarx" == f"/var/lib/{service['StateDirectory'][0]}"
    assert variables["XDG_CACHE_HOME"] + "/enarx" == f"/var/cache/{service['CacheDirectory'][0]}"
    assert service["StateDirectoryMode"] == service["CacheDirectoryMode"] == ["0700"]


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_user_is_made() -> None:
    (user,) = settings(SERVICE)["User"]
    command = ["systemd-sysusers", "--dry-run", str(UNITS / "enarx.sysusers")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "unrecognized option" in found.stderr:
        pytest.skip("this systemd-sysusers has no dry run")
    assert (found.returncode, f"user '{user}'" in found.stdout + found.stderr) == (0, True), found.stderr
