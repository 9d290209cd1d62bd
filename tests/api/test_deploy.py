"""`enarx.deploy`, `enarx.attach`, `enarx.logs`: a job on a real daemon, in this process."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import enarx
from enarx.formats.wire import HEADER, FrameType, frame_header
from enarx.tenant.http import HttpLink
from tests.controls import Control
from tests.e2e.harness import Daemon, until
from tests.verifier import measured

Wasm = Callable[[str], Path]


def deploy(daemon: Daemon, module: Path, **options: Any) -> enarx.Job:
    return enarx.deploy(module, host=daemon.url, **({"simulated_root": daemon.root} | options))


def sessions(daemon: Daemon) -> list[str]:
    place = daemon.home / "state" / "enarx" / "sessions"
    return os.listdir(place) if place.exists() else []


def test_a_job_leaves_nothing(daemon: Daemon, wasm: Wasm) -> None:
    with deploy(daemon, wasm("cat"), stdin=b"through a host that sees nothing") as job:
        assert set(daemon.keeps()) == {job.keep}
        assert os.path.exists(job.session_file)
        assert job.wait().stdout == b"through a host that sees nothing"
    assert (daemon.keeps(), sessions(daemon)) == ({}, [])


def test_an_exception_leaves_nothing(daemon: Daemon, wasm: Wasm) -> None:
    with pytest.raises(ZeroDivisionError), deploy(daemon, wasm("sleep")):
        raise ZeroDivisionError
    assert (daemon.keeps(), sessions(daemon)) == ({}, [])


def test_what_is_accepted(daemon: Daemon, wasm: Wasm, tmp_path: Path) -> None:
    with deploy(daemon, wasm("hello"), measurements=[measured()]) as job:
        assert job.wait().exit_code == 0
    root = bytes.fromhex(Path(daemon.root).read_text())
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.format(measurement=measured().hex()))
    for accepted in ({"simulated_root": root}, {"policy": policy}):
        with deploy(daemon, wasm("hello"), **accepted) as job:
            assert job.wait().exit_code == 0


POLICY = """
kind = "simulated"
measurement = "{measurement}"
host_data = {{ unchecked = "a test" }}
debug = false
svn = {{ unchecked = "a test" }}
chip_id = {{ unchecked = "a test" }}
"""


@pytest.mark.parametrize("wrong", [{"simulated_root": bytes(32)}, {"measurements": ["ab" * 48]}], ids=["root", "image"])
def test_what_is_not_accepted(daemon: Daemon, wasm: Wasm, wrong: dict[str, Any]) -> None:
    def verdict(**accepted: Any) -> object:
        with deploy(daemon, wasm("hello"), **accepted) as job:
            return job.attestation

    control = Control(verdict, simulated_root=daemon.root, measurements=[measured()])
    with pytest.raises((enarx.AppraisalError, enarx.VerificationError)):
        control.but(**wrong)
    assert (daemon.keeps(), sessions(daemon)) == ({}, [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"simulated_root": None},
        {"policy": "p", "measurements": [bytes(48)]},
        {"endorsements": [b"x"]},
        {"measurements": [b"short"]},
        {"host": "nonsense"},
        {"salt": b"short"},
    ],
)
def test_arguments_that_are_wrong(daemon: Daemon, wasm: Wasm, wrong: dict[str, Any]) -> None:
    with pytest.raises(enarx.UsageError):
        enarx.deploy(wasm("hello"), **({"host": daemon.url, "simulated_root": daemon.root} | wrong))
    assert daemon.keeps() == {}


def test_left_and_attached_to_again(daemon: Daemon, wasm: Wasm) -> None:
    job = deploy(daemon, wasm("cat"), stdin=b"kept", detach=True)
    assert job.detached
    until(lambda: daemon.keeps()[job.keep] == "ended", "the job to end")
    so_far = enarx.logs(job.keep[:8])
    assert so_far.result is not None
    assert (so_far.stdout, so_far.lost) == (b"kept", False)
    with enarx.attach(job.keep) as again:
        assert again.wait().stdout == b"kept"
    assert daemon.keeps() == {job.keep: "ended"}, "leaving an attached job leaves the Keep"
    with enarx.attach(job.keep, host=daemon.url) as again:
        again.remove()
    assert (daemon.keeps(), sessions(daemon)) == ({}, [])
    with pytest.raises(enarx.UsageError, check=lambda e: e.code == "no-session"):
        enarx.attach(job.keep, host=daemon.url)


def test_leaving_is_not_told_as_a_broken_connection(daemon: Daemon, wasm: Wasm) -> None:
    notes: list[str] = []
    job = deploy(daemon, wasm("sleep"), detach=True, hooks=enarx.Hooks(note=notes.append))
    with enarx.attach(job.keep, hooks=enarx.Hooks(note=notes.append)) as again:
        again.stop()
        again.remove()
    assert notes == [], notes


def test_left_with_stdin_open(daemon: Daemon, wasm: Wasm) -> None:
    """Two attachments feed one stdin, each from where the Keep has got to."""
    held = threading.Event()

    def first() -> Iterator[bytes]:
        yield b"one "
        held.wait(60)

    with deploy(daemon, wasm("cat"), stdin=first()) as job:
        assert job.stdout.read(4) == b"one "
        keep = job.detach(close_stdin=False)
    held.set()
    assert enarx.logs(keep).result is None
    with enarx.attach(keep, stdin=b"two") as again:
        assert again.wait(60).stdout == b"one two"
        again.remove()


def test_stop_and_remove(daemon: Daemon, wasm: Wasm) -> None:
    keep = deploy(daemon, wasm("sleep"), detach=True).keep
    with enarx.attach(keep) as job:
        assert job.stop().termination == "stopped"
        job.remove()
        job.remove()
    assert daemon.keeps() == {}


def test_two_at_once(daemon: Daemon, wasm: Wasm) -> None:
    with deploy(daemon, wasm("cat"), stdin=b"one") as one, deploy(daemon, wasm("cat"), stdin=b"two") as two:
        assert one.keep != two.keep
        assert (two.wait().stdout, one.wait().stdout) == (b"two", b"one")
    assert daemon.keeps() == {}


def test_no_host(wasm: Wasm, home: Path) -> None:
    with pytest.raises(enarx.UnavailableError):
        enarx.deploy(wasm("hello"), host=f"unix://{home}/nobody", simulated_root=bytes(32))


def test_a_host_that_stays_away(daemon: Daemon, wasm: Wasm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enarx.tenant.deploy.TRIES", 2)
    notes: list[str] = []
    hooks = enarx.Hooks(note=notes.append)
    with deploy(daemon, wasm("slow"), hooks=hooks) as job:
        assert job.stdout.readline() == b"tick\n"
        daemon.end(signal.SIGKILL)
        with pytest.raises(enarx.UnavailableError, check=lambda e: "attach again" in e.hint):
            job.wait(60)
    assert any("connecting again" in note for note in notes)
    assert f"Keep {job.keep} was not removed" in notes[-1]
    assert os.path.exists(job.session_file), "it may still be attached to"
    daemon.start()
    with enarx.attach(job.keep) as again:
        assert again.wait(60).stdout == b"tick\n" * 10


def test_stdin_goes_on_after_the_daemon_is_killed(daemon: Daemon, wasm: Wasm) -> None:
    """Every byte once: nothing that the dead daemon had taken is lost, nothing is given twice."""
    data = random.Random(3).randbytes(24 << 20)
    restarted = threading.Event()

    def slowly() -> Iterator[bytes]:
        for start in range(0, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]
            if start == 8 << 20:
                restarted.wait(60)

    with deploy(daemon, wasm("cat"), stdin=slowly()) as job:
        received = bytearray(job.stdout.read(4 << 20))
        daemon.end(signal.SIGKILL)
        restarting = threading.Thread(target=lambda: (time.sleep(0.3), daemon.start(), restarted.set()))
        restarting.start()
        received += job.stdout.read()
        restarting.join()
        assert job.wait(60).exit_code == 0
    assert received == data
    assert daemon.keeps() == {}


def test_an_end_of_stdin_that_the_host_swallows_is_sent_again(
    daemon: Daemon, wasm: Wasm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that says yes and passes nothing on: only the Keep's own confirmation lets the tenant leave."""
    swallowed: list[FrameType] = []
    send = HttpLink.send

    def swallow(self: HttpLink, frames: Any, size: int | None = None) -> None:
        given = list(frames) if isinstance(frames, list) else frames
        if isinstance(given, list) and frame_header(given[0][: HEADER.size])[0] is FrameType.INPUT and not swallowed:
            swallowed.append(FrameType.INPUT)
            return
        send(self, given, size)

    monkeypatch.setattr(HttpLink, "send", swallow)
    job = deploy(daemon, wasm("cat"), detach=True)
    assert swallowed
    until(lambda: daemon.keeps()[job.keep] == "ended", "cat to see the end of its stdin")


def test_a_host_that_never_passes_the_end_on_is_named(
    daemon: Daemon, wasm: Wasm, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = HttpLink.send

    def swallow(self: HttpLink, frames: Any, size: int | None = None) -> None:
        given = list(frames) if isinstance(frames, list) else frames
        if not isinstance(given, list) or frame_header(given[0][: HEADER.size])[0] is not FrameType.INPUT:
            send(self, given, size)

    monkeypatch.setattr(HttpLink, "send", swallow)
    monkeypatch.setattr("enarx.api.jobs.SETTLE", 3.0)
    with pytest.raises(enarx.UnavailableError, check=lambda e: e.code == "stdin-open"):
        deploy(daemon, wasm("cat"), detach=True)
    assert len(sessions(daemon)) == 1, "the job may run: its session is kept"
