"""Thousands of ended Keeps: loaded quickly, listed from memory, read from disk, removed in slices."""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from enarx.host.state import stored
from enarx.host.state.output_store import sealed_results

from .harness import Daemon, eventually, frame, launch_body, processes, produce

Make = Callable[..., Daemon]
MANY = 3000
PROCESSES = {"boot": "0" * 8 + "-" + "0" * 27, "supervisor": [1, 1], "keep": [2, 1]}


def write_keep(keeps: Path, number: int, tenant: str) -> str:
    """A Keep that ended before the last boot, with one frame of output."""
    name = f"{number:016x}"
    record = {
        "id": name,
        "kind": "process",
        "package_digest": f"{number:064x}",
        "memory": 1 << 20,
        "compile": 1 << 20,
        "disk": 1 << 20,
        "created": 1.7e9 + number // 3,
        "tenant": tenant,
        "key": f"{number:032x}",
        "processes": PROCESSES,
    }
    words = {
        "state": "ended",
        "reason": "",
        "started": 1.7e9,
        "ended": 1.7e9 + 1,
        "scratch": "",
        **dict.fromkeys(("frames", "stored", "pid", "keep_pid"), 1),
        **dict.fromkeys(("first", "dropped"), 0),
        "layers": [{"name": "seccomp", "on": True, "detail": "x" * 40, "remedy": ""}] * 10,
        "skipped": [],
        "processes": PROCESSES,
    }
    (keeps / name).mkdir(mode=0o700)
    (keeps / name / "record.json").write_text(json.dumps(record))
    (keeps / name / "meta.json").write_text(json.dumps(words))
    (keeps / name / "output.0000000000000000").write_bytes(struct.pack(">Q", 0) + frame(b"E", name.encode()))
    return name


def many(root: Path) -> list[str]:
    (root / "keeps").mkdir(mode=0o700)
    return [write_keep(root / "keeps", number, f"uid:{os.getuid()}") for number in range(MANY)]


def memory(d: Daemon) -> int:
    """KiB."""
    lines = Path(f"/proc/{d.process.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def pages(d: Daemon, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = ""
    while after is not None:
        status, page = d.call("GET", f"/v1/keeps?limit={limit}&after={after}")
        assert status == 200
        assert len(page["keeps"]) <= limit
        found += page["keeps"]
        after = page["next"]
    return found


def test_many_are_found_listed_and_pruned_while_others_are_served(daemon: Make, root: Path) -> None:
    alone = daemon()
    eventually(lambda: any(line["event"] == "loaded" for line in alone.lines()))
    empty = memory(alone)
    assert alone.close() == 0
    (root / "keeps").rmdir()
    names = many(root)
    d = daemon()
    slowest: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            before = time.monotonic()
            assert d.call("GET", "/healthz")[0] == 200
            slowest.append(time.monotonic() - before)

    watching = threading.Thread(target=watch)
    watching.start()
    before = time.monotonic()
    assert [keep["id"] for keep in pages(d, 1000)] == names
    assert time.monotonic() - before < 20
    assert (memory(d) - empty) / MANY < 4
    assert len(os.listdir(f"/proc/{d.process.pid}/fd")) < 40
    assert len(processes(f"--state {root}") + processes(f"--backends {root}")) <= 3
    before = time.monotonic()
    assert len(d.call("GET", "/v1/keeps?limit=1000")[1]["keeps"]) == 1000
    page = time.monotonic() - before
    assert d.info(names[7])["layers"]
    assert d.call("GET", f"/v1/keeps/{names[7]}/wait?timeout=60") == (200, {"ended": True})
    assert d.take(names[7], 1) == [(0, b"\x01E" + names[7].encode())]
    assert set(d.call("POST", "/v1/prune")[1]["removed"]) == set(names)
    done.set()
    watching.join()
    assert page < 0.5
    assert max(slowest) < 1
    assert os.listdir(root / "keeps") == []


def test_pages_stay_in_order_while_keeps_come_and_go(daemon: Make, root: Path) -> None:
    (root / "keeps").mkdir(mode=0o700)
    names = [write_keep(root / "keeps", number, f"uid:{os.getuid()}") for number in range(10)]
    d = daemon()
    first = d.call("GET", "/v1/keeps?limit=4")[1]
    assert [keep["id"] for keep in first["keeps"]] == names[:4]
    for name in (names[3], names[4]):  # the place itself, and what follows
        assert d.call("DELETE", f"/v1/keeps/{name}")[0] == 204
    new = d.launch()
    second = d.call("GET", f"/v1/keeps?limit=4&after={first['next']}")[1]
    assert [keep["id"] for keep in second["keeps"]] == names[5:9]
    third = d.call("GET", f"/v1/keeps?after={names[8]}")[1]
    assert [keep["id"] for keep in third["keeps"]] == [names[9], new]
    assert third["next"] is None
    assert [keep["id"] for keep in d.call("GET", "/v1/keeps?state=running")[1]["keeps"]] == [new]
    for query in ("after=x", f"after={'0' * 16}ff", "state=other", "limit=0", "limit=1001", "limit=x"):
        assert d.call("GET", f"/v1/keeps?{query}")[0] == 400


def test_ended_keeps_are_bounded_by_number(daemon: Make) -> None:
    d = daemon(keeps=1, finished=2)
    keeps = []
    for _ in range(2):
        keeps.append(d.launch())
        d.give(keeps[-1], frame(b"X"))
        d.call("GET", f"/v1/keeps/{keeps[-1]}/wait?timeout=5")
    status, value = d.call("POST", "/v1/keeps", launch_body())
    assert (status, value["error"]["code"], value["error"]["hint"]) == (503, "host-full", "enarx keep prune")
    assert d.call("DELETE", f"/v1/keeps/{keeps[0]}")[0] == 204
    assert d.launch()
    assert d.close() == 0


def test_stored_output_is_bounded_in_total(daemon: Make) -> None:
    disk = launch_body()["disk"]
    d = daemon(stored_output=1 << 20, stored_total=(2 << 20) + sealed_results(2 * disk) - 1)
    keep = d.launch()
    status, value = d.call("POST", "/v1/keeps", launch_body())
    assert (status, value["error"]["code"], value["error"]["hint"]) == (503, "host-full", "enarx keep prune")
    d.give(keep, frame(b"X"))
    d.call("GET", f"/v1/keeps/{keep}/wait?timeout=5")
    assert d.launch()


def test_a_keep_that_nobody_uses_ends(daemon: Make) -> None:
    d = daemon(unused=0.5)
    unused, used = d.launch(), d.launch()
    d.give(used, frame(b"N"))
    assert d.call("GET", f"/v1/keeps/{unused}/wait?timeout=10") == (200, {"ended": True})
    assert d.info(unused)["reason"] == "unused"
    assert d.info(used)["state"] == "running"


def test_a_keep_in_the_pool_waits_until_it_is_claimed(daemon: Make, root: Path) -> None:
    d = daemon(pool=1, unused=0.5)
    (name,) = eventually(lambda: [p.parent.name for p in (root / "keeps").glob("*/pooled.json")])
    time.sleep(2)
    assert d.launch() == name
    assert d.call("GET", f"/v1/keeps/{name}/wait?timeout=10") == (200, {"ended": True})
    assert d.info(name)["reason"] == "unused"


def test_readers_are_served_to_their_end_and_later_ones_from_disk(daemon: Make) -> None:
    """A slow reader of an ended Keep's output loses nothing, and does not hold up others."""
    d = daemon()
    keep = d.launch()
    slow = d.connect()
    slow.request("GET", f"/v1/keeps/{keep}/output")
    answer = slow.getresponse()
    d.give(keep, produce(40, 1 << 20), frame(b"X"))
    d.call("GET", f"/v1/keeps/{keep}/wait?timeout=20")
    assert d.info(keep)["state"] == "ended"
    assert [number for number, _ in d.take(keep, 100)] == list(range(40))
    assert len(answer.read()) == 40 * (8 + 4 + 1 + (1 << 20))
    slow.close()


def test_no_more_than_so_many_read_the_same_output_from_disk(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    d.give(keep, produce(60, 1 << 20), frame(b"X"))
    d.call("GET", f"/v1/keeps/{keep}/wait?timeout=20")
    request = f"GET /v1/keeps/{keep}/output HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    crowd = [d.raw(request) for _ in range(64)]
    for connection in crowd:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    assert d.call("GET", f"/v1/keeps/{keep}/output")[1]["error"]["code"] == "crowded"
    for connection in crowd:
        connection.close()
    assert eventually(lambda: d.call("GET", f"/v1/keeps/{keep}/output?from=60")[0] == 200)
    assert len(d.take(keep, 60)) == 60


def entry(number: int, payload: bytes) -> bytes:
    return struct.pack(">QI", number, len(payload)) + payload


def test_pieces_are_whole_entries_from_any_number(tmp_path: Path) -> None:
    """Thousands of small entries, entries larger than a piece, and segments that end within an entry or are empty."""
    sizes = [1, 5, 70_000, 3, *[2] * 9000, 200_000, 1]
    first = b"".join(entry(number, bytes([number % 251]) * size) for number, size in enumerate(sizes))
    (tmp_path / f"output.{0:016x}").write_bytes(first + entry(len(sizes), b"lost")[:-1])
    (tmp_path / f"output.{20_000:016x}").write_bytes(entry(20_001, b"x") + entry(20_003, b"y") + b"\xff" * 100)
    (tmp_path / f"output.{30_000:016x}").write_bytes(b"")
    (tmp_path / "output.x").write_bytes(b"no segment")
    directory = os.open(tmp_path, os.O_RDONLY)
    found = stored.segments(directory)
    assert found == [0, 20_000, 30_000]
    whole = first + entry(20_001, b"x") + entry(20_003, b"y")
    for start in (0, 1, 2, 3, 9000, len(sizes) - 1, len(sizes), 20_002, 20_004, 1 << 62):
        pieces = list(stored.pieces(directory, found, start))
        assert max(map(len, pieces), default=0) <= 64 << 10
        skipped = b"".join(entry(n, bytes([n % 251]) * size) for n, size in enumerate(sizes[:start]))
        wanted = whole[len(skipped) :] if start <= 20_001 else entry(20_003, b"y") if start <= 20_003 else b""
        assert b"".join(pieces) == wanted
    os.close(directory)
