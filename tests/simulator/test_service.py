from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import cbor2
import pytest

from enarx.image.contents import files
from enarx.image.measure import DigestCache, measure
from enarx.verify import Roots, verify
from enarx.verify.claims import Claims
from tests.simulator.conftest import Start
from tests.simulator.machine import LIMITS, SITE, Machine, Puppet, launch_order, tree

FRESH = bytes(range(64))


def attested(machine: Machine, keep: Puppet, report_data: bytes = FRESH) -> Claims:
    evidence, endorsements = keep.attest(report_data)
    roots = Roots(simulated=(machine.root,))
    return verify("simulated", evidence, endorsements=endorsements, roots=roots, now=int(time.time())).claims


def measured(code: Path, tmp_path: Path) -> bytes:
    return measure(files((str(code), SITE)), DigestCache(str(tmp_path / "own.json"))).value


def gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


def until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_keep_gets_evidence_about_itself(machine: Machine, code: Path, tmp_path: Path) -> None:
    keep = machine.keep(b"\7" * 32)
    claims = attested(machine, keep)
    assert claims.measurement == measured(code, tmp_path)
    assert (claims.host_data, claims.report_data) == (b"\7" * 32, FRESH)
    assert (claims.kind, claims.debug, claims.svn) == ("simulated", False, 1)


def test_a_keep_is_told_what_it_was_launched_for(machine: Machine) -> None:
    assert cbor2.loads(machine.keep(b"\7" * 32).told) == {"host_data": b"\7" * 32}


def test_each_keep_about_itself_alone(machine: Machine) -> None:
    keeps = {bytes([n]) * 32: machine.keep(bytes([n]) * 32) for n in range(4)}
    for host_data, keep in keeps.items():
        assert attested(machine, keep, host_data * 2).host_data == host_data
    chips = {attested(machine, keep).chip_id for keep in keeps.values()}
    assert len(chips) == 1


def test_a_keep_can_attest_again(machine: Machine) -> None:
    keep = machine.keep()
    assert attested(machine, keep, b"\1" * 64).report_data == b"\1" * 64
    assert attested(machine, keep, b"\2" * 64).report_data == b"\2" * 64


@pytest.mark.parametrize(
    "request_",
    [
        {"report_data": bytes(63)},
        {"report_data": bytes(65)},
        {"report_data": "x" * 64},
        {"report_data": bytes(64), "host_data": bytes(32)},
        {"host_data": bytes(32)},
        {},
        [],
        bytes(64),
    ],
)
def test_what_is_no_request_ends_the_link(machine: Machine, request_: object) -> None:
    other = machine.keep()
    assert machine.keep().ask(cbor2.dumps(request_, canonical=True)) == b""
    assert attested(machine, other).report_data == FRESH


@pytest.mark.parametrize("message", [b"\xff", b"\xa1", b"\xbf\xff", bytes(60_000)])
def test_nor_is_what_is_no_cbor(machine: Machine, message: bytes) -> None:
    assert machine.keep().ask(message) == b""
    assert attested(machine, machine.keep()).report_data == FRESH


def test_a_keep_that_only_asks_does_not_keep_the_others_waiting(machine: Machine) -> None:
    flooding, other = machine.keep(), machine.keep()
    question = b"flood" + cbor2.dumps({"report_data": bytes(64)}, canonical=True)
    flooding.control.sendall(len(question).to_bytes(4, "big") + question)
    for n in range(20):
        assert attested(machine, other, bytes([n]) * 64).report_data == bytes([n]) * 64
        time.sleep(0.01)


def order(**changes: object) -> dict[str, object]:
    return {**json.loads(launch_order()), **changes}


@pytest.mark.parametrize(
    "value",
    [
        order(op="sign"),
        order(host_data="00"),
        order(host_data="0x" + "0" * 62),
        order(host_data=" ".join(["00"] * 32)),
        order(host_data="g" * 64),
        order(host_data=0),
        order(limits=[]),
        order(limits={**LIMITS, "memory": -1}),
        order(limits={**LIMITS, "memory": True}),
        order(limits={**LIMITS, "memory": 1.5}),
        order(limits={**LIMITS, "memory": 1 << 63}),
        order(limits={"memory": 1 << 20, "disk": 0}),
        order(limits={**LIMITS, "more": 1}),
        order(skip_layers=None),
        order(skip_layers=[1]),
        order(more=1),
        {},
        [],
        None,
    ],
)
def test_what_is_no_order_is_refused(machine: Machine, value: object) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        answer, fds = machine.order(json.dumps(value).encode(), [theirs.fileno()])
    assert (answer["ok"], answer["code"], fds) == (False, "order", [])
    assert attested(machine, machine.keep()).report_data == FRESH


@pytest.mark.parametrize("message", [b"{", b"\xff", b"[" * 60_000])
def test_nor_is_what_is_no_json(machine: Machine, message: bytes) -> None:
    assert machine.order(message, [])[0]["code"] == "order"


def test_an_order_has_a_control_socket(machine: Machine) -> None:
    assert machine.order(launch_order(), [])[0]["code"] == "order"
    assert attested(machine, machine.keep()).report_data == FRESH


def test_an_order_may_have_two_cgroups(machine: Machine) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert machine.order(launch_order(), [theirs.fileno()] * 3)[0]["ok"]


def test_what_the_zygote_refuses_is_passed_on(machine: Machine) -> None:
    assert machine.launch("refuse") == {
        "ok": False,
        "code": "layers-missing",
        "message": "m",
        "hint": "h",
        "checks": [["a", "b", "c"]],
    }


@pytest.mark.parametrize("how", ["die", "garbage", "half"])
def test_a_zygote_that_fails_is_said_and_replaced(machine: Machine, how: str) -> None:
    before = machine.keep(b"\1" * 32)
    answer = machine.launch(how)
    assert (answer["code"], answer["hint"]) == ("zygote-died", "try again")
    assert attested(machine, machine.keep(b"\2" * 32)).host_data == b"\2" * 32
    assert attested(machine, before).host_data == b"\1" * 32


def test_a_zygote_that_does_not_answer_is_given_up(tmp_path: Path, start: Start) -> None:
    machine = start(tree(tmp_path / "code", patience=0.3))
    zygote = machine.zygote()
    assert machine.launch("sleep")["code"] == "zygote-died"
    until(lambda: gone(zygote))
    assert attested(machine, machine.keep()).report_data == FRESH


def test_a_zygote_that_has_died_is_replaced_before_anyone_notices(machine: Machine) -> None:
    zygote = machine.zygote()
    os.kill(zygote, signal.SIGKILL)
    until(lambda: Path(f"/proc/{zygote}/stat").read_text().split()[2] == "Z")
    assert attested(machine, machine.keep()).report_data == FRESH
    assert gone(zygote)


def test_a_new_zygote_is_measured_anew(tmp_path: Path, start: Start) -> None:
    """Code that changed on the disk is what a new zygote loads, so it is what evidence has to say."""
    code = tree(tmp_path / "code")
    machine = start(code)
    old_keep, old = machine.keep(), measured(code, tmp_path)
    changed = code / "enarx" / "keep" / "files.py"
    changed.write_text(changed.read_text() + "\n# changed\n")
    new = measured(code, tmp_path)
    assert old != new
    assert attested(machine, machine.keep()).measurement == old
    machine.launch("die")
    assert attested(machine, machine.keep()).measurement == new
    assert attested(machine, old_keep).measurement == old


def test_code_that_can_not_be_measured_is_not_launched(tmp_path: Path, start: Start) -> None:
    code = tree(tmp_path / "code")
    machine = start(code)
    machine.keep()
    missing = code / "enarx" / "keep" / "files.py"
    text = missing.read_text()
    machine.launch("die")
    (code / "enarx" / "record.py").rename(code / "record.kept")
    assert machine.launch()["code"] == "keep-unreadable"
    (code / "record.kept").rename(code / "enarx" / "record.py")
    missing.write_text(text)
    machine.launch("die")
    assert attested(machine, machine.keep()).measurement == measured(code, tmp_path)


def test_the_zygote_inherits_its_link_and_nothing_else(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.keep()
    machine.launch("die")  # the second zygote is started while there are keys and links
    seen = json.loads(machine.launch("look")["message"])
    assert set(seen["environ"]) <= {"LANG", "LC_CTYPE"}
    kinds = {fd: target for fd, target in seen["fds"].items() if int(fd) > 2}
    sockets = [fd for fd, target in kinds.items() if target.startswith("socket:")]
    assert len(sockets) == 3  # the link, and the two of the order that it is looking at
    assert all(target.startswith(("socket:", "/proc/")) for target in kinds.values())
    assert seen["fds"]["0"] == seen["fds"]["1"] == "/dev/null"


def test_it_ends_with_its_orders(machine: Machine) -> None:
    zygote = machine.zygote()
    machine.disconnect()
    assert machine.wait() == 0
    until(lambda: gone(zygote))


def test_but_not_before_its_keeps(machine: Machine) -> None:
    keep = machine.keep(b"\3" * 32)
    machine.disconnect()
    time.sleep(0.1)
    assert attested(machine, keep).host_data == b"\3" * 32
    keep.end()
    assert machine.wait() == 0


def test_nothing_is_left_of_keeps_that_have_ended(machine: Machine) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{machine.pid}/fd"))

    machine.keep().end()
    machine.launch("refuse")
    before = descriptors() if os.geteuid() == 0 else 0
    for _ in range(10):
        keep = machine.keep()
        attested(machine, keep)
        keep.end()
        machine.launch("refuse")
        machine.launch("die")
    if before:
        until(lambda: descriptors() <= before)
    machine.disconnect()
    assert machine.wait() == 0


def test_incomplete_code_is_said_for_every_launch(tmp_path: Path, start: Start) -> None:
    code = tree(tmp_path / "code")
    (code / "wasmtime").mkdir()
    machine = start(code)
    machine.search = (str(code),)
    assert machine.keep().told
    broken = tmp_path / "broken"
    broken.mkdir()
    alone = start_alone(code, broken)
    for _ in range(2):
        answer = alone.launch()
        assert (answer["code"], bool(answer["hint"])) == ("keep-incomplete", True)
    alone.disconnect()
    assert alone.wait() == 0


def start_alone(code: Path, home: Path) -> Machine:
    """Hardware that finds errors, record and formats, and neither wasmtime nor cryptography."""
    import tests.simulator.machine as module

    site = module.SITE
    module.SITE = str(home)
    os.symlink(f"{site}/cbor2", home / "cbor2")
    try:
        return Machine(code, home)
    finally:
        module.SITE = site


def test_a_damaged_key_is_said(code: Path, start: Start, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "root.key").write_bytes(b"short")
    answer = start(code).launch()
    assert answer["code"] == "hardware-key"
    assert "root.key" in answer["message"]


def test_a_state_directory_that_can_not_be_is_said(code: Path, start: Start, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    answer = start(code).launch()
    assert answer["code"] == "hardware-failed"
    assert str(tmp_path / "state") in answer["message"]


def test_it_waits_for_its_zygotes_whoever_started_it(code: Path, start: Start) -> None:
    """Where children are ignored, the number of one that ended may be another process's when it is killed."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        machine = start(code)
    finally:
        signal.signal(signal.SIGCHLD, before)
    machine.keep()
    status = dict(
        line.split(":\t") for line in Path(f"/proc/{machine.pid}/status").read_text().splitlines() if "\t" in line
    )
    assert int(status["SigIgn"], 16) >> (signal.SIGCHLD - 1) & 1 == 0


def test_a_zygote_that_dies_over_a_launch_costs_no_launch(machine: Machine, tmp_path: Path) -> None:
    before = machine.keep(b"\1" * 32)
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    with theirs:
        order = launch_order("die-once", str(tmp_path / "died"), host_data=b"\2" * 32)
        answer, (pidfd,) = machine.order(order, [theirs.fileno()])
    assert answer["ok"], answer
    assert (tmp_path / "died").exists()
    keep = Puppet(ours, answer["pid"], pidfd)
    assert attested(machine, keep).host_data == b"\2" * 32
    assert attested(machine, before).host_data == b"\1" * 32
    keep.end()
