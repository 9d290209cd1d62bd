"""Two hospitals, one computation: the real commands and the real daemon, with the parties' faults and the network's."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import ENARX, Daemon, enarx, environment, until
from tests.e2e.parties import HOSPITALS, NAMES, RESULT, Parties, error
from tests.house.test_invariants import ROOT
from tests.verifier import measured
from tests.wat import reporter

BLOCKS = re.findall(
    r"^```sh\n(.*?)^```", (ROOT / "docs/guides/several-owners.md").read_text(), re.DOTALL | re.MULTILINE
)


@pytest.fixture
def parties(home: Path, daemon: Daemon) -> Parties:
    return Parties(home, daemon)


def with_limits(**limits: str) -> str:
    text = (HOSPITALS / "Enarx.toml").read_text()
    for name, value in limits.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert count == 1
    return text


def await_part(begun: subprocess.Popen[bytes]) -> None:
    """Wait until a command has shown the part that it is about to seal."""
    assert begun.stderr is not None
    for line in begun.stderr:
        if line.startswith(b"your part"):
            return
    raise AssertionError("ended before it sealed")


def test_a_recipient_that_comes_early_is_told_to_wait(parties: Parties) -> None:
    parties.deploy()
    assert parties.seal("north").returncode == 0
    key, root = str(parties.work / "institute.key"), parties.daemon.root
    opening = subprocess.Popen(
        [*ENARX, "data", "open", str(parties.invitation), "--key", key, "--simulated-root", root],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(parties.of("institute")),
    )
    assert opening.stderr is not None
    lines = iter(opening.stderr.readline, b"")
    assert any(line == b"waiting for the end of the run...\n" for line in lines)
    assert parties.seal("south").returncode == 0
    out, _ = opening.communicate(timeout=60)
    assert (opening.returncode, out.startswith(RESULT)) == (0, True)


def test_the_guide_works_as_printed(home: Path) -> None:
    (home / "examples").symlink_to(ROOT / "examples")
    script = "set -euo pipefail\ntrap 'kill %1 2>/dev/null || true' EXIT\n" + "".join(BLOCKS)
    binaries = Path(ENARX[0]).parent
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=110,
        env=environment(home) | {"PATH": f"{binaries}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    assert "results for  Institute" in done.stdout
    assert done.stdout.count(RESULT.decode()) == 1
    assert re.search(r"^cardiology,\d+,\d+\.\d,\d+$", done.stdout, re.MULTILINE)
    assert re.search(r"^stdout: \d+ bytes, verified$", done.stdout, re.MULTILINE)
    assert not list((home / "try/host/keeps").iterdir())


def test_each_party_has_its_part(parties: Parties, daemon: Daemon, home: Path) -> None:
    keep = parties.deploy()
    shown = json.loads(parties.show("--json").stdout)
    assert sorted(shown["missing"]) == sorted(NAMES.values())
    assert shown["attestation"]["status"] == "trusted"
    digests = {}
    for name in NAMES:
        done = parties.seal(name)
        assert done.returncode == 0, done.stderr.decode()
        digests[name] = done.stdout.decode().strip()
        assert re.fullmatch("[0-9a-f]{64}", digests[name])
    receipt = home / "job.receipt"
    done = parties.open("--receipt", receipt)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(RESULT)
    (home / "stay.csv").write_bytes(done.stdout)
    verified = enarx(home, "result", "verify", receipt, "--stdout", home / "stay.csv", "--simulated-root", daemon.root)
    assert verified.returncode == 0, verified.stderr.decode()
    for name in NAMES:
        assert f"part of {NAMES[name]}: {digests[name]}" in verified.stdout.decode()
    again = parties.open()  # from disk: the Keep has ended
    assert (again.returncode, again.stdout) == (0, done.stdout)
    owner = daemon.keep("attach", keep)
    assert owner.returncode == 127
    assert owner.stdout == b""
    assert "results are sealed to: Institute" in error(owner)
    assert "results are sealed to: Institute" in error(daemon.keep("logs", keep))
    stored = b"".join(p.read_bytes() for p in (home / "host/keeps" / keep).iterdir() if p.is_file())
    assert b"cardiology" not in stored
    assert b"patient" not in stored


def test_an_attached_coordinator_sees_whose_part_is_missing(parties: Parties, daemon: Daemon) -> None:
    command = ["deploy", "--host", daemon.url, "--simulated-root", daemon.root, "--invite", parties.invitation]
    deploying = subprocess.Popen(
        [*ENARX, *map(str, command), str(parties.work / "stay.wasm")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(daemon.home),
    )
    until(parties.invitation.exists, "the invitation")
    for name in NAMES:
        assert parties.seal(name).returncode == 0
    assert parties.open().stdout.startswith(RESULT)
    out, err = deploying.communicate(timeout=60)
    text = err.decode()
    assert (deploying.returncode, out) == (0, b""), text
    assert re.search("it waits for (North Hospital, South Hospital|South Hospital, North Hospital)", text)
    assert "the Keep has the part of North Hospital; it waits for South Hospital" in text
    assert "the Keep has the part of South Hospital; it has all parts, and starts" in text
    (keep,) = daemon.keeps()
    assert f"enarx keep rm {keep}" in text


def test_a_provider_that_is_killed_begins_again(parties: Parties, home: Path) -> None:
    """Killed half-way through a large part, and again; then from the start."""
    data = home / "large"
    data.mkdir()
    (data / "patients.csv").write_bytes((HOSPITALS / "north/patients.csv").read_bytes())
    (data / "x.bin").write_bytes(os.urandom(1 << 20) * 150)
    (parties.work / "Enarx.toml").write_text(with_limits(disk='"192MiB"'))
    parties.deploy()
    for pause in (0.0, 0.05):
        begun = parties.begin("north", data)
        await_part(begun)
        time.sleep(pause)
        begun.kill()
        begun.communicate()
    assert parties.seal("south").returncode == 0
    done = parties.seal("north", data)
    assert done.returncode == 0, done.stderr.decode()
    repeated = parties.seal("north", data)  # before or after the end of the run
    assert repeated.returncode in (0, 127), repeated.stderr.decode()
    assert parties.open().stdout.startswith(RESULT)


def test_a_part_that_was_confirmed_is_not_sent_again(parties: Parties) -> None:
    parties.deploy()
    first = parties.seal("north")
    again = parties.seal("north", HOSPITALS / "south")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "nothing was sent now" in again.stderr.decode()
    assert json.loads(parties.show("--json").stdout)["parts"] == {"North Hospital": first.stdout.decode().strip()}


def test_a_provider_with_another_key(parties: Parties) -> None:
    parties.deploy()
    enarx(parties.of("north"), "owner", "new", parties.work / "other.pem", check=True)
    done = parties.seal("north", None, "--key", parties.work / "other.pem")
    assert done.returncode == 126
    assert "declined: not-a-provider" in error(done)
    assert "enarx data show" in done.stderr.decode()
    assert parties.seal("north").returncode == 0


def test_a_recipient_with_another_key(parties: Parties) -> None:
    parties.deploy()
    for name in NAMES:
        assert parties.seal(name).returncode == 0
    enarx(parties.of("institute"), "data", "key", parties.work / "other.key", check=True)
    done = parties.open("--key", parties.work / "other.key")
    assert (done.returncode, done.stdout) == (126, b"")
    assert "no recipient with this key" in error(done)
    wrong = parties.open("--key", parties.key("north"))
    assert wrong.returncode == 125
    assert "an owner's key, which signs" in error(wrong)
    assert parties.open().returncode == 0


def test_a_part_that_is_too_large(parties: Parties, home: Path) -> None:
    """On the provider's side if it can be seen there; at the Keep if only all parts together are too large."""
    (parties.work / "Enarx.toml").write_text(with_limits(disk='"1MiB"'))
    large, half = home / "large", home / "half"
    for directory, size in ((large, 2 << 20), (half, 700 << 10)):
        directory.mkdir()
        (directory / "x.csv").write_bytes(b"a,b,c\n" + b"\n" * size)
    parties.deploy()
    done = parties.seal("north", large)
    assert done.returncode == 125
    assert "limits.disk" in error(done)
    assert parties.seal("north", half).returncode == 0
    done = parties.seal("south", half)
    assert done.returncode == 126
    assert "disk-limit" in error(done)
    assert parties.seal("south").returncode == 0
    assert parties.open().returncode == 0


def test_the_host_restarts_between_contributions(parties: Parties, daemon: Daemon) -> None:
    """The supervisor outlives the daemon, and the daemon knows the invitation again."""
    keep = parties.deploy()
    assert parties.seal("north").returncode == 0
    daemon.end(signal.SIGKILL)
    down = parties.seal("south")
    assert down.returncode == 127
    daemon.start()
    assert json.loads(parties.show("--json").stdout)["missing"] == ["South Hospital"]
    assert parties.seal("south").returncode == 0
    daemon.end()
    daemon.start()
    assert parties.open().stdout.startswith(RESULT)
    assert daemon.keeps() == {keep: "ended"}


def test_a_daemon_that_restarts_during_a_contribution_costs_nothing(
    parties: Parties, daemon: Daemon, home: Path
) -> None:
    data = home / "large"
    data.mkdir()
    (data / "patients.csv").write_bytes((HOSPITALS / "north/patients.csv").read_bytes())
    (data / "x.bin").write_bytes(os.urandom(1 << 20) * 200)
    (parties.work / "Enarx.toml").write_text(with_limits(disk='"256MiB"'))
    parties.deploy()
    assert parties.seal("south").returncode == 0
    begun = parties.begin("north", data)
    await_part(begun)
    time.sleep(0.3)
    daemon.end(signal.SIGKILL)
    time.sleep(0.5)
    daemon.start()
    out, err = begun.communicate(timeout=90)
    assert begun.returncode == 0, err.decode()
    assert re.fullmatch("[0-9a-f]{64}\n", out.decode())
    assert parties.open().stdout.startswith(RESULT)


def test_a_deadline_names_who_is_missing(parties: Parties, daemon: Daemon) -> None:
    (parties.work / "Enarx.toml").write_text(with_limits(contributions='"4s"'))
    keep = parties.deploy()
    assert parties.seal("north").returncode == 0
    done = daemon.keep("attach", keep)
    assert done.returncode == 126
    assert "South Hospital" in error(done)
    assert "North Hospital" not in error(done)
    opened = parties.open()
    assert (opened.returncode, opened.stdout) == (127, b"")
    assert "before the run began" in error(opened)
    late = parties.seal("south")
    assert late.returncode == 127


@pytest.mark.parametrize("wrong", ["root", "measurement", "package"])
def test_a_providers_policy_decides(parties: Parties, home: Path, wrong: str) -> None:
    """Each provider has a policy of its own, and seals nothing to a Keep that it refuses."""
    parties.deploy()
    other = home / "other.pub"
    other.write_text("ab" * 32)
    options: dict[str, list[str | Path]] = {
        "root": ["--simulated-root", other],
        "measurement": ["--measurement", "ab" * 48],
        "package": ["--package", "ab" * 32],
    }
    done = parties.seal("north", None, *options[wrong])
    assert done.returncode == 126
    assert json.loads(parties.show("--json").stdout)["parts"] == {}
    package = json.loads(parties.invitation.read_text())["package"]
    assert parties.seal("north", None, "--measurement", measured().hex(), "--package", package).returncode == 0


def test_parties_at_once(parties: Parties) -> None:
    """Both hospitals seal, and several people look, at the same time; the institute waits from the beginning."""
    parties.deploy()
    done: dict[str, subprocess.CompletedProcess[bytes]] = {}

    def keep_result(name: str, call: Callable[[], subprocess.CompletedProcess[bytes]]) -> None:
        done[name] = call()

    calls: dict[str, Callable[[], subprocess.CompletedProcess[bytes]]] = {
        "institute": parties.open,
        "show 1": parties.show,
        "show 2": parties.show,
        **{name: (lambda name=name: parties.seal(name)) for name in NAMES},  # type: ignore[misc]
    }
    threads = [threading.Thread(target=keep_result, args=item) for item in calls.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: call.returncode for name, call in done.items()} == dict.fromkeys(calls, 0)
    assert done["institute"].stdout.startswith(RESULT)


def test_secrets_of_a_provider_and_stdin_of_the_coordinator(
    home: Path, daemon: Daemon, wasm: Callable[[str], Path]
) -> None:
    """Without recipients the coordinator reads the results; its stdin waits until the parts have come."""
    config = """
[secrets]
theirs = {}
mine = {}
[[dirs]]
guest = "/north"
[[providers]]
name = "North Hospital"
key = "north.pub"
dirs = ["/north"]
secrets = ["theirs"]
"""
    parties = Parties(home, daemon, config=config)
    (parties.work / "cat.wasm").write_bytes(wasm("cat").read_bytes())
    secret = home / "secret"
    secret.write_bytes(b"canary-theirs")
    own = ("--secret", f"mine=@{secret}")
    done = daemon.deploy("--detach", "--invite", parties.invitation, *own, parties.work / "cat.wasm", stdin=b"hello")
    assert done.returncode == 0, done.stderr.decode()
    keep = done.stdout.decode().strip()
    missing = parties.seal("north")
    assert missing.returncode == 125
    assert "provides the secret theirs" in error(missing)
    foreign = parties.seal("north", None, "--secret", f"theirs=@{secret}", "--secret", f"mine=@{secret}")
    assert foreign.returncode == 125
    assert "mine is not this provider's" in error(foreign)
    assert parties.seal("north", None, "--secret", f"theirs=@{secret}").returncode == 0
    result = daemon.keep("attach", keep)
    assert (result.returncode, result.stdout) == (0, b""), result.stderr.decode()


def test_the_coordinator_is_told_what_providers_need(parties: Parties, daemon: Daemon, home: Path) -> None:
    done = daemon.deploy(parties.work / "stay.wasm")
    assert done.returncode == 125
    assert "--invite FILE" in done.stderr.decode()
    local = enarx(home, "run", "--simulate", parties.work / "stay.wasm")
    assert local.returncode == 125
    assert "enarx deploy --invite" in local.stderr.decode()
    (home / "precious").write_text("x")
    done = daemon.deploy("--invite", home / "precious", parties.work / "stay.wasm")
    assert done.returncode == 125
    assert (home / "precious").read_text() == "x"
    hello = home / "hello.wasm"
    hello.write_bytes((ROOT / "examples/hello/hello.wasm").read_bytes())
    done = daemon.deploy("--invite", home / "i", hello)
    assert done.returncode == 125
    assert "an invitation for nobody" in error(done)
    assert daemon.keeps() == {}


def test_what_a_package_shows(parties: Parties) -> None:
    shown = json.loads(enarx(parties.of("c"), "package", "show", parties.work / "stay.wasm", check=True).stdout)
    assert {p["name"]: p["dirs"] for p in shown["providers"]} == {
        "North Hospital": ["/north"],
        "South Hospital": ["/south"],
    }
    assert [r["name"] for r in shown["recipients"]] == ["Institute"]
    assert shown["commitments"]["dirs"] == []


def test_without_a_terminal_consent_is_explicit(parties: Parties) -> None:
    parties.deploy()
    arguments = [a for a in parties.sealing("north") if a != "--yes"]
    done = enarx(parties.of("north"), *arguments)
    assert done.returncode == 125
    assert "--package DIGEST" in done.stderr.decode()
    package = json.loads(parties.invitation.read_text())["package"]
    assert enarx(parties.of("north"), *arguments, "--package", package).returncode == 0


def test_on_a_terminal_the_command_asks(parties: Parties) -> None:
    parties.deploy()
    arguments = [a for a in parties.sealing("north") if a != "--yes"]
    for answer, code in ((b"no\n", 125), (b"yes\n", 0)):
        terminal, inner = os.openpty()
        asked = subprocess.Popen(
            [*ENARX, *map(str, arguments)],
            stdin=inner,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(parties.of("north")),
        )
        os.close(inner)
        os.write(terminal, answer)
        _, err = asked.communicate(timeout=60)
        os.close(terminal)
        assert asked.returncode == code, err.decode()
        assert b"results for  Institute" in err


def test_output_directories_go_to_the_recipient(home: Path, daemon: Daemon) -> None:
    text = '[[dirs]]\nguest = "/out"\nmode = "out"\n[[recipients]]\nname = "Institute"\nkey = "institute.key.pub"\n'
    parties = Parties(home, daemon, config=text)
    (parties.work / "report.wasm").write_bytes(reporter())
    parties.deploy(wasm="report.wasm")
    unwritten = parties.open()
    assert unwritten.returncode == 0, unwritten.stderr.decode()
    assert b"note: /out was not written (1 files, 12 bytes): add --out DIR::/out" in unwritten.stderr
    done = parties.open("--out", f"{home}/r::/out", "--times", "keep")
    assert done.returncode == 0, done.stderr.decode()
    assert (home / "r" / "report.txt").read_text() == "all is well\n"
    assert parties.open("--out", f"{home}/r::/out").returncode == 125
    assert parties.open("--out", f"{home}/r::/out", "--replace").returncode == 0


def test_an_invitation_is_no_account(parties: Parties, daemon: Daemon) -> None:
    """Over TCP with tokens, a holder of the invitation needs no token; and without it, nobody is admitted."""
    invitation = json.loads(parties.deploy() and parties.invitation.read_text())
    assert invitation["host"] == daemon.url
    broken = dict(invitation, secret="ab" * 32)
    parties.invitation.write_text(json.dumps(broken))
    done = parties.show()
    assert done.returncode == 125
    assert "no such Keep" in error(done)
    parties.invitation.write_text(json.dumps(invitation))
    assert parties.show().returncode == 0
