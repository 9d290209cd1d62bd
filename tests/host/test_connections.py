"""Connections: bounds and deadlines of each and of all together, while the daemon goes on serving others."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .harness import DISK, MEMORY, Daemon, end_all, eventually, frame, produce, readable

Make = Callable[..., Daemon]
QUICK = {"head_seconds": 1.0, "idle_seconds": 1.0, "body_seconds": 1.0, "stall_seconds": 1.0, "linger_seconds": 0.5}
MIB = 1 << 20


def get(path: str = "/v1/keeps", *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: h", *headers, "", ""]).encode()


def everything(connection: socket.socket) -> bytes:
    """Everything that arrives until the daemon closes the connection."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(MIB):
            data += piece
    connection.close()
    return data


def answers(data: bytes) -> list[tuple[int, Any]]:
    """Status and JSON of each answer."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        found.append((int(head.split()[1]), json.loads(data[:length] or b"null")))
        data = data[length:]
    return found


def refusal(connection: socket.socket) -> tuple[int, str]:
    """Status and code of the only answer, after which the connection closes."""
    ((status, value),) = answers(everything(connection))
    return status, value["error"]["code"]


def gone(connection: socket.socket) -> bool:
    """Has the daemon closed it?"""
    if not readable(connection.fileno(), 0):
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except ConnectionError:
        return True


# Malformed requests


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed"),
        (get("/v1/prune", "Content-Length: 3", "Transfer-Encoding: chunked", method="POST"), 400, "malformed"),
        (b"\x16\x03\x01\x00\xa5\x01", 400, "malformed"),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", 505, "http-version"),
        (b"GET /" + b"a" * 5000, 414, "target"),
        (get("/", *["a: b"] * 80), 431, "headers"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"b" * 20_000, 431, "headers"),
    ],
    ids=range(9),
)
def test_named_refusals_end_the_connection(daemon: Make, data: bytes, status: int, code: str) -> None:
    d = daemon()
    before = time.monotonic()
    assert refusal(d.raw(data)) == (status, code)
    assert time.monotonic() - before < 5
    assert f'enarx_errors_total{{code="{code}"}} 1.0' in d.call("GET", "/metrics")[1].decode()


def test_nothing_behind_a_refused_request_is_read(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    smuggled = get(f"/v1/keeps/{keep}/stop", "Content-Length: 0", method="POST")
    both = ("Content-Length: 0", "Transfer-Encoding: chunked")
    assert refusal(d.raw(get("/v1/prune", *both, method="POST") + b"0\r\n\r\n" + smuggled)) == (400, "malformed")
    assert d.info(keep)["state"] == "running"


def test_a_body_that_is_none_is_refused_by_name(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    for path in ("/v1/keeps", f"/v1/keeps/{keep}/input"):
        for bad, code in ((b"x\r\n", "malformed"), (b"0\r\n" + b"a: b\r\n" * 2000, "headers")):
            request = get(path, "Transfer-Encoding: chunked", method="POST") + bad
            found = eventually(lambda r=request: (said := refusal(d.raw(r))[1]) != "busy" and said)
            assert found == code  # and not that the one before is still being let go of
    eventually(lambda: d.give(keep, frame(b"N"))[0] == 200)


def test_trailers_become_no_headers(daemon: Make) -> None:
    d = daemon()
    chunked = "Transfer-Encoding: chunked"
    data = get("/v1/keeps", chunked, "Connection: close", method="POST") + b"0\r\nOrigin: https://page.example\r\n\r\n"
    assert refusal(d.raw(data)) == (400, "usage")  # an empty body, not a web page


# One request at a time


def test_pipelined_requests_are_answered_in_order_and_bounded(daemon: Make) -> None:
    d = daemon()
    many = 20_000
    connection = d.raw()
    before = d.status("VmRSS")
    connection.setblocking(False)
    data = memoryview(get("/healthz") * many)
    got, peak, answers, mark = b"", 0, 0, b"HTTP/1.1 200 OK"
    while answers < many:
        select.select([connection], [connection] if data else [], [], 10)
        with contextlib.suppress(BlockingIOError):
            data = data[connection.send(data[:MIB]) :] if data else data
        with contextlib.suppress(BlockingIOError):
            got = got[-len(mark) + 1 :] + connection.recv(MIB)
            answers += got.count(mark)
        peak = max(peak, d.status("VmRSS"))
    assert peak - before < 4 << 10
    assert d.call("GET", "/healthz")[0] == 200
    connection.close()


def test_a_flood_behind_an_answer_that_does_not_end_costs_it_its_connection(daemon: Make) -> None:
    d = daemon(limits=QUICK)
    keep = d.launch()
    connection = d.raw(get(f"/v1/keeps/{keep}/output"))
    assert connection.recv(15) == b"HTTP/1.1 200 OK"
    connection.settimeout(5)
    with pytest.raises(OSError):
        while True:
            connection.sendall(get("/healthz") * 1000)
    connection.close()


def test_expect_continue(daemon: Make) -> None:
    d = daemon()
    body = json.dumps({"memory": MEMORY, "disk": DISK}).encode()
    connection = d.raw(get("/v1/keeps", f"Content-Length: {len(body)}", "Expect: 100-continue", method="POST"))
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert connection.recv(100).startswith(b"HTTP/1.1 201 Created")
    connection.close()


def test_head_has_no_body_and_does_not_wait(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    for path in ("/v1/keeps", f"/v1/keeps/{keep}/output"):
        data = everything(d.raw(get(path, "Connection: close", method="HEAD")))
        assert data.startswith(b"HTTP/1.1 200 OK")
        assert data.endswith(b"\r\n\r\n")
        assert data.count(b"\r\n\r\n") == 1


def test_a_refused_client_gets_its_answer_while_it_still_sends(daemon: Make) -> None:
    d = daemon()
    connection = d.raw(get("/v1/keeps/nothing/input", "Content-Length: 100000000", method="POST"))
    with contextlib.suppress(OSError):
        for _ in range(50):
            connection.sendall(bytes(MIB))
    assert refusal(connection) == (404, "not-found")
    assert refusal(d.raw(get("/v1/keeps/", "Connection: close"))) == (404, "not-found")


# Deadlines


def test_slow_heads(daemon: Make) -> None:
    d = daemon(limits=QUICK)
    begun, silent = d.raw(b"GET /healthz HT"), d.raw()
    dribble = d.raw()
    for byte in get("/healthz")[:-1]:
        with contextlib.suppress(OSError):
            dribble.sendall(bytes([byte]))
        time.sleep(0.1)
    assert refusal(begun) == (408, "slow")
    assert refusal(dribble) == (408, "slow")
    assert everything(silent) == b""


def test_idle_connections_end_and_used_ones_do_not(daemon: Make) -> None:
    d = daemon(limits=QUICK)
    idle, used = d.raw(get("/healthz")), d.raw()
    for _ in range(12):
        used.sendall(get("/healthz"))
        assert used.recv(15) == b"HTTP/1.1 200 OK"
        time.sleep(0.3)
        used.recv(1000)
    assert answers(everything(idle)) == [(200, {"ok": True})]
    used.close()


@pytest.mark.parametrize("path", ["/v1/keeps", "/v1/keeps/{keep}/input"])
def test_a_body_that_never_comes_holds_nothing_for_ever(daemon: Make, path: str) -> None:
    """The daemon sends 100 Continue when it waits for the body: by then the request holds its place."""
    d = daemon(limits={**QUICK, "body_seconds": 3.0})
    keep = d.launch()
    silent = d.raw(get(path.format(keep=keep), "Content-Length: 1000", "Expect: 100-continue", method="POST"))
    assert silent.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    if "input" in path:
        assert d.give(keep, frame(b"N"))[1]["error"]["code"] == "busy"
    assert refusal(silent) == (408, "slow")
    eventually(lambda: d.give(keep, frame(b"E", b"x"))[0] == 200)


def test_a_body_that_dribbles_holds_nothing_for_ever(daemon: Make) -> None:
    """Ten bytes a second are too slow where a hundred are required; two hundred are enough, however busy the machine."""
    d = daemon(limits={**QUICK, "body_seconds": 3.0, "body_rate": 100})
    keep = d.launch()
    dribble = d.raw(get(f"/v1/keeps/{keep}/input", "Content-Length: 1000", method="POST"))
    for byte in frame(b"E", bytes(900)):
        with contextlib.suppress(OSError):
            dribble.sendall(bytes([byte]))
        if readable(dribble.fileno(), 0.1):
            break
    assert refusal(dribble) == (408, "slow")
    eventually(lambda: d.give(keep, frame(b"N"))[0] == 200)
    steady = d.raw(get(f"/v1/keeps/{keep}/input", "Content-Length: 600", "Connection: close", method="POST"))
    whole, sent, begun = frame(b"E", bytes(594)), 0, time.monotonic()
    while sent < len(whole):
        time.sleep(0.1)
        due = int(200 * (time.monotonic() - begun))
        steady.sendall(whole[sent:due])
        sent = max(sent, min(due, len(whole)))
    assert answers(everything(steady)) == [(200, {"frames": 1})]


def test_a_keep_that_takes_its_time_is_no_fault_of_the_client(daemon: Make) -> None:
    d = daemon(limits=QUICK, stored_output=1 << 20)
    keep = d.launch()
    pid = d.info(keep)["keep_pid"]
    os.kill(pid, signal.SIGSTOP)
    piece, count = frame(b"N", bytes(MIB - 6)), 48
    connection = d.raw(get(f"/v1/keeps/{keep}/input", f"Content-Length: {len(piece) * count}", method="POST"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        sending = pool.submit(connection.sendall, piece * count)
        time.sleep(4)
        assert not sending.done()
        os.kill(pid, signal.SIGCONT)
        sending.result()
    assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_client_that_goes_while_the_keep_takes_nothing_is_noticed(daemon: Make) -> None:
    d = daemon(limits=QUICK)
    keep = d.launch()
    pid = d.info(keep)["keep_pid"]
    os.kill(pid, signal.SIGSTOP)
    connection = d.raw(get(f"/v1/keeps/{keep}/input", f"Content-Length: {64 << 20}", method="POST"))
    connection.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while True:
            connection.sendall(frame(b"N", bytes(60_000)))
    assert d.give(keep, frame(b"N"))[1]["error"]["code"] == "busy"
    connection.close()
    eventually(lambda: descriptors(d, "host.sock") == 1)
    os.kill(pid, signal.SIGCONT)


def descriptors(d: Daemon, name: str) -> int:
    """How many of the daemon's sockets are bound to this name: the listener and accepted connections."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    inodes = {line.split()[6] for line in lines if line.endswith(f"{d.state}/{name}")}
    links = []
    for fd in os.listdir(f"/proc/{d.process.pid}/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/{d.process.pid}/fd/{fd}"))
    return sum(f"socket:[{inode}]" in links for inode in inodes)


def test_a_follower_without_anything_to_read_lives(daemon: Make) -> None:
    d = daemon(limits=QUICK)
    keep = d.launch()
    follower = d.raw(get(f"/v1/keeps/{keep}/output"))
    follower.recv(1000)
    time.sleep(4)
    d.give(keep, frame(b"E", b"late"))
    assert b"late" in follower.recv(1000)
    follower.close()


def test_a_follower_that_reads_nothing_gives_way_only_where_it_costs_others(daemon: Make) -> None:
    d = daemon(limits={**QUICK, "connections": 8, "peer": 8}, stored_output=256 << 20)
    keep = d.launch()
    d.raw(get(f"/v1/keeps/{keep}/output"))
    d.give(keep, produce(8, MIB))
    time.sleep(4)
    assert d.call("GET", "/healthz")[0] == 200
    assert descriptors(d, "host.sock") >= 2  # it is still there
    other = d.launch()
    followers = [d.raw(get(f"/v1/keeps/{other}/output")) for _ in range(5)]
    assert all(f.recv(15) == b"HTTP/1.1 200 OK" for f in followers)
    crowd = [d.raw() for _ in range(8)]
    assert d.call("GET", "/healthz")[0] == 200
    assert not gone(crowd[-1])


# Bounds


def test_the_newest_come_in_where_others_only_wait(daemon: Make) -> None:
    d = daemon(limits={"connections": 20, "peer": 10})
    begun = [d.raw(b"GET /healthz HTTP/1.1\r\n") for _ in range(60)]
    assert d.call("GET", "/healthz")[0] == 200
    assert eventually(lambda: sum(not gone(c) for c in begun) <= 10)
    assert not gone(begun[-1])


def test_requests_that_last_leave_room_for_management(daemon: Make) -> None:
    d = daemon(limits={"connections": 40, "peer": 20})
    keep = d.launch()
    waiting = [d.raw(get(f"/v1/keeps/{keep}/wait?timeout=60", "Connection: close")) for _ in range(15)]
    assert d.call("GET", "/healthz")[0] == 200  # by now they are waiting
    for _ in range(3):
        assert d.raw(get(f"/v1/keeps/{keep}/output")).recv(12) == b"HTTP/1.1 503"
    status, value = d.call("GET", f"/v1/keeps/{keep}/wait")
    assert (status, value["error"]["code"]) == (503, "crowded")
    assert d.info(keep)["state"] == "running"
    assert d.call("POST", f"/v1/keeps/{keep}/stop")[0] == 204
    for connection in waiting:
        assert answers(everything(connection)) == [(200, {"ended": True})]
    assert d.call("GET", f"/v1/keeps/{keep}/wait") == (200, {"ended": True})


def test_answers_that_nobody_reads_are_bounded_together(daemon: Make) -> None:
    """Clients that read nothing are closed, the longest stalled first; a client that reads gets everything."""
    d = daemon(limits={"unsent": 4 * MIB}, stored_output=256 * MIB)
    keep = d.launch()
    count, size = 32, MIB - 64
    reader = d.raw(get(f"/v1/keeps/{keep}/output"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        reading = pool.submit(at_least, reader, count * size)
        silent = [d.raw(get(f"/v1/keeps/{keep}/output")) for _ in range(60)]
        assert d.call("GET", "/healthz")[0] == 200
        d.give(keep, produce(count, size))
        assert reading.result(timeout=60)
    eventually(lambda: sum(gone_unread(c) for c in silent) >= 40, 20)  # each holds some 256 KiB
    assert not all(gone_unread(c) for c in silent)
    assert d.call("GET", "/healthz")[0] == 200
    reader.close()


def at_least(connection: socket.socket, size: int) -> bool:
    """Read that many bytes; False if the daemon closes first."""
    while size > 0:
        piece = connection.recv(MIB)
        if not piece:
            return False
        size -= len(piece)
    return True


def gone_unread(connection: socket.socket) -> bool:
    """Has the daemon closed it, even with something left to read?"""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def test_those_who_go_leave_their_place_at_once(daemon: Make) -> None:
    d = daemon(limits={"connections": 40, "peer": 20})
    keep = d.launch()
    for _ in range(40):
        d.raw(get(f"/v1/keeps/{keep}/wait?timeout=300")).close()
        d.raw(get(f"/v1/keeps/{keep}/output")).close()
    assert eventually(lambda: d.call("GET", f"/v1/keeps/{keep}/wait?timeout=0")[0] == 200)


# What the system refuses


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_and_a_read_only_disk_are_named(daemon: Make, root: Path) -> None:
    state = root / "keeps"
    state.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=64,mode=700", "enarx-test", str(state)]
    ).returncode:
        pytest.skip("no file systems may be mounted here")
    try:
        d = daemon()
        d.launch()
        with contextlib.suppress(OSError):
            for number in range(100):
                (state / f"full.{number}").mkdir()
        launch = ("POST", "/v1/keeps", {"memory": MEMORY, "disk": DISK})
        status, value = d.call(*launch)
        assert (status, value["error"]["code"]) == (507, "disk-full")
        for path in state.glob("full.*"):
            path.rmdir()
        subprocess.run(["mount", "-o", "remount,ro", str(state)], check=True)
        status, value = d.call(*launch)
        assert (status, value["error"]["code"]) == (503, "state-read-only")
        subprocess.run(["mount", "-o", "remount,rw", str(state)], check=True)
        assert d.call(*launch)[0] == 201
        d.close()
        end_all(str(root))
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)
