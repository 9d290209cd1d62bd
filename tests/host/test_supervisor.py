"""A Keep's supervisor: frames pass whole and in order, output is stored and bounded, clients misbehave."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import struct
import time
from pathlib import Path

import pytest

from enarx.formats.wire import FrameType
from enarx.host.state.output_store import sealed_results
from enarx.host.supervisor import frames

from .harness import DISK, MAX_FRAME, Launcher, Stored, eventually, frame, processes, produce, readable


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_info_says_what_was_launched(launcher: Launcher) -> None:
    info = launcher.keep("k").ask("info")
    assert info["ok"]
    assert info["state"] == "running"
    assert info["ended"] is None
    assert info["layers"][0]["name"] == "seccomp"
    assert (info["frames"], info["first"], info["stored"], info["dropped"]) == (0, 0, 0, 0)


def test_frames_go_in_whole_and_in_order(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    sizes = [1, 2, 100, 65536, (1 << 20) + (64 << 10) - 2]
    frames = [frame(b"D", os.urandom(size)) for size in sizes]
    digest = hashlib.sha256(b"".join(f[4:] for f in frames) + frame(b"C")[4:]).digest()
    assert keep.give(*frames, frame(b"C")) == {"ok": True, "frames": len(frames) + 1}
    ((number, answer),) = keep.take(1)
    assert (number, answer[1:]) == (0, struct.pack(">I", len(frames) + 1) + digest)


def test_echo_of_the_largest_frame(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    largest = frame(b"E", os.urandom(MAX_FRAME - 2))
    keep.give(largest)
    assert keep.take(1) == [(0, largest[4:])]


@pytest.mark.parametrize("length", [0, MAX_FRAME + 1, 0xFFFFFFFF])
def test_a_frame_of_a_wrong_size_is_refused_and_the_next_input_taken(launcher: Launcher, length: int) -> None:
    keep = launcher.keep("k")
    answer = keep.give(frame(b"N"), length.to_bytes(4, "big"), b"x" * 100)
    assert answer["ok"] is False
    assert answer["code"] == "frame-size"
    keep.give(frame(b"C"))
    assert keep.take(1)[0][1][1:5] == struct.pack(">I", 2)


def test_part_of_a_frame_never_reaches_the_keep(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    assert keep.give(frame(b"N"), frame(b"D", bytes(1000))[:500])["code"] == "cut"
    gone = keep.open("input")
    gone.socket.sendall(frame(b"D", bytes(1000))[:500])
    gone.close()
    assert eventually(lambda: keep.ask("input")["ok"])
    keep.give(frame(b"C"))
    (_, answer), *_ = keep.take(1)
    assert answer[1:5] == struct.pack(">I", 2)
    assert answer[5:] == hashlib.sha256(frame(b"C")[4:]).digest()


def test_one_input_at_a_time(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    first = keep.open("input")
    assert keep.ask("input")["code"] == "busy"
    first.close()
    assert eventually(lambda: keep.ask("input")["ok"])


def test_output_from_any_number(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    keep.give(produce(100, 1000))
    assert [n for n, _ in keep.take(100)] == list(range(100))
    assert [(n, int.from_bytes(f[1:5], "big")) for n, f in keep.take(3, start=97)] == [(97, 97), (98, 98), (99, 99)]


def test_output_from_a_number_that_is_still_to_come(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    keep.give(produce(5, 100))
    keep.take(5)
    reader = keep.open("output", **{"from": 8, "follow": True})
    keep.give(produce(5, 100))
    assert [n for _, (n, _) in zip(range(2), reader.entries(), strict=False)] == [8, 9]
    reader.close()
    far = keep.open("output", **{"from": 12, "follow": True})
    keep.give(produce(1, 100))
    assert not readable(far.socket.fileno(), 0.3)
    keep.give(produce(2, 100))
    assert next(far.entries())[0] == 12
    far.close()


def test_output_without_following_ends_with_what_there_is(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    keep.give(produce(3, 100))
    keep.take(3)
    for start, wanted in ((0, [0, 1, 2]), (2, [2]), (3, []), (99, [])):
        connection = keep.open("output", **{"from": start, "follow": False})
        assert [n for n, _ in connection.entries()] == wanted
        connection.close()


def test_output_ends_after_the_keep_has_and_is_there_later(launcher: Launcher, root: Path) -> None:
    keep = launcher.keep("k")
    early = keep.open("output", **{"from": 0, "follow": True})
    keep.give(produce(10, 100_000), frame(b"X"))
    assert len(list(early.entries())) == 10
    early.close()
    words = Stored(root / "k").words()
    assert (words["state"], words["frames"], words["reason"]) == ("ended", 10, "")
    assert words["ended"] >= words["started"]
    assert len(Stored(root / "k").entries()) == 10
    eventually(lambda: words["pid"] not in processes(str(root)))
    with pytest.raises(OSError):
        keep.ask("info")


def test_without_a_reader_the_oldest_is_dropped_and_the_gap_shows(launcher: Launcher, root: Path) -> None:
    keep = launcher.keep("k", stored_output=2 << 20)
    keep.give(produce(80, 100_000), frame(b"X"))
    info = Stored(root / "k").words()
    assert info["frames"] == 80
    assert info["dropped"] == info["first"] > 0
    assert info["stored"] <= (2 << 20) + MAX_FRAME
    assert sum(p.stat().st_size for p in (root / "k").glob("output.*")) == info["stored"]
    assert [n for n, _ in Stored(root / "k").entries()] == list(range(info["first"], 80))


def test_a_reader_holds_the_keep_back_rather_than_lose_anything(launcher: Launcher, root: Path) -> None:
    keep = launcher.keep("k", stored_output=2 << 20)
    reader = keep.open("output", **{"from": 0, "follow": True})
    keep.give(produce(400, 100_000), frame(b"X"))
    time.sleep(0.5)
    assert keep.ask("info")["frames"] < 400
    assert [n for n, _ in reader.entries()] == list(range(400))
    reader.close()
    assert Stored(root / "k").words()["first"] > 300


def test_results_are_never_dropped(launcher: Launcher, root: Path) -> None:
    keep = launcher.keep("k", stored_output=2 << 20)
    keep.give(produce(80, 100_000), produce(80, 100_000, results=True), produce(40, 100_000), frame(b"X"))
    info = Stored(root / "k").words()
    assert info["frames"] == 200
    assert 0 < info["first"] == info["dropped"] <= 80
    numbers = [n for n, _ in Stored(root / "k").entries()]
    assert numbers == list(range(info["first"], 200))


def test_results_beyond_the_keeps_disk_are_held_back(launcher: Launcher, root: Path) -> None:
    keep = launcher.keep("k", stored_output=2 << 20)
    most = sealed_results(DISK)
    keep.give(produce(2 * most // 100_000, 100_000, results=True))
    eventually(lambda: keep.ask("info")["stored"] >= most)
    time.sleep(0.3)
    info = keep.ask("info")
    assert most <= info["stored"] < most + MAX_FRAME
    assert (info["first"], info["dropped"], info["state"]) == (0, 0, "running")
    assert [n for n, _ in keep.take(info["frames"])] == list(range(info["frames"]))
    assert keep.ask("stop")["ok"]


def test_results_wait_for_room_on_a_full_disk(launcher: Launcher, root: Path) -> None:
    """A limit on file sizes stands in for a full disk."""
    import resource

    keep = launcher.keep("k")
    pid = keep.ask("info")["pid"]
    keep.give(produce(1, 1000, results=True))
    keep.take(1)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (3 * 1013 + 500, resource.RLIM_INFINITY))
    keep.give(produce(6, 1000, results=True), frame(b"E", b"last"), frame(b"X"))
    time.sleep(1.5)  # the Keep has ended, and its last frames wait
    info = keep.ask("info")
    assert (info["frames"], info["dropped"], info["state"]) == (3, 0, "running")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Stored(root / "k").words()["dropped"] == 0
    entries = Stored(root / "k").entries()
    assert [n for n, _ in entries] == list(range(8))
    assert entries[-1][1] == b"\x01Elast"


def test_a_slow_reader_blocks_nobody_else(launcher: Launcher) -> None:
    keep = launcher.keep("k", stored_output=64 << 20)
    slow = keep.open("output", **{"from": 0, "follow": True})
    keep.give(produce(200, 100_000))
    assert [n for n, _ in keep.take(200)] == list(range(200))
    assert keep.ask("info")["frames"] == 200
    slow.close()


def test_a_keep_that_does_not_read_holds_its_input_back_and_nothing_else(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    sender = keep.open("input")
    sender.socket.sendall(frame(b"Z", struct.pack(">d", 1.5)))
    sender.socket.setblocking(False)
    sent = 0
    block = b"".join([frame(b"N", bytes(1 << 20))] * 8)
    while readable_for_writing(sender.socket) and sent < 1 << 30:
        sent += sender.socket.send(block[sent % len(block) :])
    assert sent < 64 << 20
    assert keep.ask("info")["ok"]
    sender.socket.setblocking(True)
    rest = len(block) - sent % len(block)
    sender.socket.sendall(block[-rest:])
    sender.socket.shutdown(socket.SHUT_WR)
    assert sender.answer()["frames"] == 1 + (sent + rest) // (len(block) // 8)
    sender.close()


def readable_for_writing(end: socket.socket) -> bool:
    import select

    return bool(select.select([], [end], [], 0.3)[1])


@pytest.mark.parametrize(
    "data", [b"not json\n", b"[]\n", b'{"op":"other"}\n', b'{"op":"output","from":"x"}\n', b"null\n"]
)
def test_requests_that_are_none(launcher: Launcher, data: bytes) -> None:
    keep = launcher.keep("k")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(keep.path)
        connection.sendall(data)
        assert json.loads(connection.makefile().readline())["code"] == "usage"
    assert keep.ask("info")["ok"]


def test_a_request_without_an_end_is_cut_off(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(keep.path)
        connection.sendall(b"x" * 8192)
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass
    assert keep.ask("info")["ok"]


def test_idle_clients_of_every_sort_cost_no_time(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    keep.give(produce(300, 100_000))
    pid = keep.ask("info")["pid"]
    eventually(lambda: keep.ask("info")["frames"] == 300)
    half = socket.socket(socket.AF_UNIX)
    half.connect(keep.path)
    half.sendall(b'{"op":')
    talking = keep.open("output", **{"from": 0, "follow": True})  # takes nothing, and says what a reader never says
    talking.socket.sendall(b"hello")
    idle = [keep.open("input"), keep.open("output", **{"from": 0, "follow": True})]
    idle[0].socket.sendall(frame(b"D", bytes(100))[:50])
    before = cpu_seconds(pid)
    time.sleep(1)
    assert cpu_seconds(pid) - before < 0.1
    for connection in (*idle, talking):
        connection.close()
    half.close()


def test_a_request_in_two_pieces_with_its_input_behind_it(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(keep.path)
        connection.sendall(b'{"op":')
        time.sleep(0.1)
        connection.sendall(b'"input"}\n' + frame(b"N") + frame(b"N")[:3])
        time.sleep(0.1)
        connection.sendall(frame(b"N")[3:])
        connection.shutdown(socket.SHUT_WR)
        file = connection.makefile()
        assert json.loads(file.readline())["ok"]
        assert json.loads(file.readline()) == {"ok": True, "frames": 2}


def test_a_crowd_is_turned_away_and_room_comes_back(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    crowd = [keep.open("output", **{"from": 0, "follow": True}) for _ in range(64)]
    assert keep.ask("output")["code"] == "crowded"
    assert keep.ask("input")["code"] == "crowded"
    assert keep.ask("info")["ok"]
    for connection in crowd:
        connection.close()
    assert eventually(lambda: keep.ask("output")["ok"])


def test_a_crowd_of_any_sort_takes_nothing_from_management(launcher: Launcher) -> None:
    """Readers, silent clients, and clients that send half a request."""
    keep = launcher.keep("k")
    crowd = [keep.open("output", **{"from": 0, "follow": True}) for _ in range(64)]
    silent = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for i, connection in enumerate(silent):
        connection.connect(keep.path)
        connection.send(b'{"op":'[: i % 6 + 1])
    for _ in range(3):
        assert keep.ask("info")["state"] == "running"
    assert keep.ask("stop")["ok"]
    for one in (*crowd, *silent):
        one.close()


def test_stop_kills_and_the_output_stays(launcher: Launcher, root: Path) -> None:
    keep = launcher.keep("k")
    keep.give(produce(3, 100))
    keep.take(3)
    assert keep.ask("stop")["ok"]
    assert Stored(root / "k").words()["state"] == "ended"
    assert [n for n, _ in Stored(root / "k").entries()] == [0, 1, 2]


@pytest.mark.parametrize("order", [b"B", b"H"])
def test_a_keep_that_breaks_the_framing_is_ended(launcher: Launcher, root: Path, order: bytes) -> None:
    keep = launcher.keep("k")
    keep.give(produce(2, 100), frame(order))
    assert Stored(root / "k").words()["frames"] == 2
    assert [n for n, _ in Stored(root / "k").entries()] == [0, 1]


def test_sigterm_ends_keep_and_supervisor_and_erases_nothing(launcher: Launcher, root: Path) -> None:
    keep = launcher.keep("k")
    info = keep.ask("info")
    keep.give(produce(3, 100))
    keep.take(3)
    os.kill(info["pid"], signal.SIGTERM)
    eventually(lambda: info["pid"] not in processes(str(root)) and info["keep_pid"] not in processes(str(root)))
    assert list((root / "k").glob("output.*"))
    assert Stored(root / "k").words()["frames"] == 3


def test_the_keep_ends_with_its_supervisor(launcher: Launcher, root: Path) -> None:
    info = launcher.keep("k").ask("info")
    os.kill(info["pid"], signal.SIGKILL)
    eventually(lambda: info["keep_pid"] not in processes(str(root)))


def test_a_full_disk_costs_frames_and_shows_as_a_gap(launcher: Launcher, root: Path) -> None:
    """A limit on file sizes stands in for a full disk: a write fails or is cut short, and a later write works."""
    import resource

    keep = launcher.keep("k")
    pid = keep.ask("info")["pid"]
    keep.give(produce(3, 1000))
    keep.take(3)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (3 * 1013 + 500, resource.RLIM_INFINITY))
    keep.give(produce(4, 1000), frame(b"E"))
    eventually(lambda: keep.ask("info")["frames"] == 8)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    keep.give(frame(b"E", b"last"))
    info = eventually(lambda: (i := keep.ask("info"))["frames"] == 9 and i)
    numbers = dict(keep.take(5))
    assert list(numbers) == [0, 1, 2, 7, 8]
    assert numbers[8] == b"\x01Elast"
    assert info["dropped"] == 4


def test_types_are_those_of_the_protocol() -> None:
    assert FrameType.FILES == frames.FILES
    assert {kind.value for kind in FrameType if kind < 64} == frames.FROM_TENANT


def test_input_that_the_keep_holds_back_keeps_its_place(launcher: Launcher) -> None:
    """However long the Keep takes, the connection is not slow."""
    keep = launcher.keep("k")
    sender = keep.open("input")
    sender.socket.sendall(frame(b"Z", struct.pack(">d", 8.0)))
    sender.socket.setblocking(False)
    block, sent = frame(b"N", bytes(1 << 20)), 0
    while readable_for_writing(sender.socket):
        sent += sender.socket.send(block[sent % len(block) :])
    end = time.monotonic() + 6.5
    while time.monotonic() < end:
        assert keep.ask("input")["code"] == "busy"
        time.sleep(0.5)
    sender.close()


@pytest.mark.parametrize("kind", [0, 63, 64, 67, 255])
def test_a_frame_that_no_tenant_sends_is_refused_before_it_is_there(launcher: Launcher, kind: int) -> None:
    keep = launcher.keep("k")
    connection = keep.open("input")
    connection.socket.sendall(frame(b"E", b"x") + (1 << 20).to_bytes(4, "big") + bytes([kind]))
    assert connection.answer()["code"] == "frame-type"
    connection.close()
    assert keep.take(1) == [(0, b"\x01Ex")]
    keep.give(frame(b"E", b"y"))
    assert keep.take(1, start=1) == [(1, b"\x01Ey")]
