"""The daemon over HTTP: launches, input and output, refusals, and clients that misbehave."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from enarx.formats.bounds import keep_memory

from .harness import (
    COMPILE,
    DIES,
    DISK,
    KIND,
    MAX_FRAME,
    MEMORY,
    REFUSES,
    SLOW,
    Daemon,
    eventually,
    frame,
    processes,
    produce,
    readable,
)

Make = Callable[..., Daemon]


def get(path: str, **headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_keep_from_launch_to_removal(daemon: Make, root: Path) -> None:
    d = daemon()
    keep = d.launch()
    info = d.info(keep)
    assert (info["id"], info["state"], info["kind"]) == (keep, "running", KIND)
    assert (info["memory"], info["disk"], info["package_digest"]) == (MEMORY, DISK, "0" * 64)
    assert info["layers"][0]["name"] == "seccomp"
    assert d.keeps() == {keep: "running"}
    assert d.give(keep, frame(b"E", b"one"), frame(b"E", b"two")) == (200, {"frames": 2})
    assert d.take(keep, 2) == [(0, b"\x01Eone"), (1, b"\x01Etwo")]
    assert d.take(keep, 1, start=1) == [(1, b"\x01Etwo")]
    assert d.call("DELETE", f"/v1/keeps/{keep}")[0] == 409
    assert d.call("POST", f"/v1/keeps/{keep}/stop")[0] == 204
    assert d.info(keep)["state"] == "ended"
    assert d.take(keep, 2) == [(0, b"\x01Eone"), (1, b"\x01Etwo")]
    assert d.give(keep, frame(b"N"))[0] == 409
    assert d.call("DELETE", f"/v1/keeps/{keep}")[0] == 204
    assert d.keeps() == {}
    assert os.listdir(root / "keeps") == []
    assert d.call("GET", f"/v1/keeps/{keep}")[0] == 404


def test_a_stream_of_frames_goes_through_unchanged(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    frames = [frame(b"E", os.urandom(size)) for size in (1, 1000, 65536, 1 << 20, MAX_FRAME - 2) * 4]
    connection = d.connect()
    connection.request("POST", f"/v1/keeps/{keep}/input", iter(frames), encode_chunked=True)
    assert json.loads(connection.getresponse().read()) == {"frames": len(frames)}
    connection.close()
    assert [data for _, data in d.take(keep, len(frames))] == [f[4:] for f in frames]


def test_output_follows_until_the_end(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    connection = d.connect()
    connection.request("GET", f"/v1/keeps/{keep}/output")
    answer = connection.getresponse()
    assert answer.getheader("content-type") == "application/vnd.enarx.frames"
    assert answer.getheader("enarx-first") == "0"
    d.give(keep, frame(b"E", b"now"))
    assert answer.read(12 + 5) == struct.pack(">QI", 0, 5) + b"\x01Enow"
    d.give(keep, produce(3, 100), frame(b"X"))
    assert len(answer.read()) == 3 * (8 + 4 + 1 + 100)
    connection.close()
    d.call("GET", f"/v1/keeps/{keep}/wait?timeout=5")
    assert d.info(keep)["state"] == "ended"


def test_output_without_following(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    d.give(keep, produce(3, 100))
    d.take(keep, 3)
    status, data = d.call("GET", f"/v1/keeps/{keep}/output?from=1&follow=false")
    assert (status, len(data)) == (200, 2 * (8 + 4 + 1 + 100))


def test_wait(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    assert d.call("GET", f"/v1/keeps/{keep}/wait?timeout=0") == (200, {"ended": False})
    d.give(keep, produce(3, 100))
    assert d.call("GET", f"/v1/keeps/{keep}/wait?timeout=0.3") == (200, {"ended": False})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(d.call, "GET", f"/v1/keeps/{keep}/wait?timeout=20")
        time.sleep(0.2)
        d.give(keep, frame(b"X"))
        assert waiting.result(5) == (200, {"ended": True})


def test_prune_takes_what_has_ended(daemon: Make) -> None:
    d = daemon()
    keeps = [d.launch() for _ in range(3)]
    for keep in keeps[:2]:
        d.call("POST", f"/v1/keeps/{keep}/stop")
    assert set(d.call("POST", "/v1/prune")[1]["removed"]) == set(keeps[:2])
    assert d.keeps() == {keeps[2]: "running"}


@pytest.mark.parametrize("kind", ["snp", "tdx", "sgx", "nitro", "cca", "qemu"])
def test_kinds_without_their_hardware_refuse_with_a_remedy(daemon: Make, kind: str) -> None:
    status, value = daemon().call("POST", "/v1/keeps", {"kind": kind, "memory": MEMORY, "disk": DISK})
    assert (status, value["error"]["code"]) == (422, "no-hardware")
    assert kind in value["error"]["message"]
    assert value["error"]["hint"]


GOOD = {"memory": MEMORY, "disk": DISK}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"[" * 20_000,
        {},
        {"memory": MEMORY},
        {**GOOD, "memory": 0},
        {**GOOD, "memory": -1},
        {**GOOD, "memory": True},
        {**GOOD, "memory": 1.5},
        {**GOOD, "memory": "64MiB"},
        {**GOOD, "disk": 1 << 63},
        {**GOOD, "kind": 7},
        {**GOOD, "kind": "vacuum"},
        {**GOOD, "package_digest": "00"},
        {**GOOD, "package_digest": "Z" * 64},
        {**GOOD, "package_digest": "\uff10" * 64},
        {**GOOD, "package_digest": "0" * 64 + "\n"},
        json.dumps(GOOD).encode()[:-1] + b', "memory": 1}',
        json.dumps(GOOD).encode()[:-1] + b', "other": {"a": 1, "a": 2}}',
        json.dumps(GOOD).encode()[:-1] + b', "other": NaN}',
        json.dumps(GOOD).encode()[:-1] + b', "other\\ud800": 1}',
        json.dumps(GOOD).encode()[:-1] + b', "other": ["\\ud800"]}',
        {**GOOD, "kind": "\ud800"},
        {**GOOD, "package_digest": "\udfff" * 64},
        json.dumps(GOOD).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    ],
    ids=lambda body: str(body)[:60],
)
def test_launches_that_are_none(body: Any, daemon: Make) -> None:
    d = daemon()
    status, value = d.call("POST", "/v1/keeps", body)
    assert (status, value["error"]["code"]) == (400, "usage")
    assert d.keeps() == {}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/keeps", 404),
        ("PUT", "/v1/keeps", 405),
        ("GET", "/v1/keeps/nothing", 404),
        ("GET", "/v1/keeps/..%2f..%2fetc", 404),
        ("POST", "/v1/keeps/nothing/stop", 404),
        ("POST", "/v1/keeps/nothing/input", 404),
        ("GET", "/v1/keeps/nothing/output", 404),
        ("GET", "/v1/keeps/nothing/wait", 404),
        ("DELETE", "/v1/keeps/nothing?force=true", 404),
    ],
)
def test_paths_that_lead_nowhere(daemon: Make, method: str, path: str, status: int) -> None:
    found, value = daemon().call(method, path)
    assert found == status
    assert set(value["error"]) >= {"code", "message", "hint"}


@pytest.mark.parametrize("query", ["from=x", "from=-1", f"from={1 << 63}", "from=\u0661", "follow=maybe"])
def test_queries_that_are_none(daemon: Make, query: str) -> None:
    d = daemon()
    keep = d.launch()
    status, value = d.call("GET", f"/v1/keeps/{keep}/output?{quote(query, safe='=')}")
    assert (status, value["error"]["code"]) == (400, "usage")


def test_a_body_that_is_too_large(daemon: Make) -> None:
    d = daemon()
    assert d.call("POST", "/v1/keeps", {**GOOD, "kind": "x" * (64 << 10)})[0] == 413
    keep = d.launch()
    status, value = d.give(keep, frame(b"N"), (MAX_FRAME + 1).to_bytes(4, "big"), bytes(1 << 20))
    assert (status, value["error"]["code"]) == (413, "frame-size")
    assert d.give(keep, frame(b"E", b"next"))[0] == 200


def test_an_endless_frame_is_refused_while_it_still_comes(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    connection = d.raw(f"POST /v1/keeps/{keep}/input HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode())
    connection.sendall(f"Content-Length: {1 << 40}\r\n\r\n".encode() + b"\xff" * 1000)
    assert b" 413 " in connection.recv(1000)
    connection.close()
    assert d.give(keep, frame(b"N"))[0] == 200


def test_part_of_a_frame_is_lost_with_its_client_and_nothing_else(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    assert d.give(keep, frame(b"E", b"a"), frame(b"E", b"b")[:-1])[1]["error"]["code"] == "cut"
    connection = d.raw(
        f"POST /v1/keeps/{keep}/input HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n".encode()
    )
    connection.sendall(frame(b"E", b"c") + frame(b"E", bytes(900))[:500])
    assert [data for _, data in d.take(keep, 2)] == [b"\x01Ea", b"\x01Ec"]
    assert d.give(keep, frame(b"N"))[1]["error"]["code"] == "busy"
    connection.close()
    eventually(lambda: d.give(keep, frame(b"E", b"d"))[0] == 200)
    assert [data for _, data in d.take(keep, 3)] == [b"\x01Ea", b"\x01Ec", b"\x01Ed"]


def test_a_reader_that_goes_is_let_go_of(daemon: Make) -> None:
    """Otherwise a Keep could only ever have 64 of them."""
    d = daemon()
    keep = d.launch()
    for _ in range(80):
        connection = d.raw(get(f"/v1/keeps/{keep}/output"))
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        connection.close()
    assert d.info(keep)["state"] == "running"


def test_a_client_that_takes_nothing_blocks_nobody(daemon: Make) -> None:
    d = daemon(stored_output=256 << 20)
    keep, other = d.launch(), d.launch()
    slow = d.raw(get(f"/v1/keeps/{keep}/output"))
    d.give(keep, produce(100, 1 << 20))
    d.give(other, frame(b"E", b"quick"))
    assert d.take(other, 1) == [(0, b"\x01Equick")]
    assert len(d.take(keep, 100)) == 100
    status = Path(f"/proc/{d.process.pid}/status").read_text()
    assert int(status.split("VmHWM:")[1].split()[0]) < 120 << 10  # KiB
    slow.close()


def test_a_client_that_says_nothing_blocks_nobody(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    dead = [d.raw(b"POST /v1/keeps HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le") for _ in range(50)]
    dead += [d.raw(b"POST /v1/keeps HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{") for _ in range(50)]
    assert d.give(keep, frame(b"E"))[0] == 200
    assert d.launch()
    for connection in dead:
        connection.close()


def test_a_refused_launch_shows_its_checks_and_leaves_nothing(daemon: Make, root: Path) -> None:
    d = daemon()
    status, value = d.call("POST", "/v1/keeps", {**GOOD, "memory": REFUSES})
    assert (status, value["error"]["code"]) == (422, "layers-missing")
    assert value["error"]["checks"] == [["seccomp", "not in this kernel", "another kernel"]]
    assert os.listdir(root / "keeps") == []
    assert d.keeps() == {}


def test_hardware_and_launcher_may_die(daemon: Make, root: Path) -> None:
    d = daemon()
    before = d.launch()
    assert d.call("POST", "/v1/keeps", {**GOOD, "memory": DIES})[0] == 502
    (launcher,) = [
        p
        for p in processes(f"--backends {root}")
        if Path(f"/proc/{p}/stat").read_text().split()[3] == str(d.process.pid)
    ]
    os.kill(launcher, signal.SIGKILL)
    eventually(lambda: launcher not in processes(str(root)))
    after = d.launch()
    for keep in (before, after):
        assert d.give(keep, frame(b"E", b"x"))[0] == 200
        assert d.take(keep, 1) == [(0, b"\x01Ex")]
    assert any(line["event"] == "launcher-died" for line in d.lines())


def test_full_is_said_clearly_and_room_comes_back(daemon: Make) -> None:
    d = daemon(keeps=3)
    keeps = [d.launch() for _ in range(3)]
    status, value = d.call("POST", "/v1/keeps", GOOD)
    assert (status, value["error"]["code"]) == (503, "host-full")
    assert "3 Keeps" in value["error"]["message"]
    d.give(keeps[0], frame(b"X"))
    d.call("GET", f"/v1/keeps/{keeps[0]}/wait?timeout=5")
    assert d.launch()


@pytest.mark.parametrize("what", ["memory", "disk"])
def test_sums_are_bounded(daemon: Make, what: str) -> None:
    size = {"memory": keep_memory(memory=MEMORY, compile=COMPILE, disk=DISK), "disk": DISK}[what]
    d = daemon(**{what: 2 * size + 1})
    keeps = [d.launch(), d.launch()]
    status, value = d.call("POST", "/v1/keeps", GOOD)
    assert (status, value["error"]["code"]) == (503, "host-full")
    assert what in value["error"]["message"]
    d.call("DELETE", f"/v1/keeps/{keeps[0]}?force=true")
    assert d.launch()


def test_a_hundred_at_once_and_not_one_more(daemon: Make, root: Path) -> None:
    d = daemon(keeps=100)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        keeps = list(pool.map(lambda _: d.launch(), range(100)))
        assert d.call("POST", "/v1/keeps", GOOD)[1]["error"]["code"] == "host-full"
        assert set(d.keeps().values()) == {"running"}
        list(pool.map(lambda keep: d.give(keep, frame(b"E", keep.encode())), keeps))
        found = list(pool.map(lambda keep: d.take(keep, 1), keeps))
    assert [data[0][1][2:].decode() for data in found] == keeps
    d.kill()
    d.start()
    assert d.keeps() == dict.fromkeys(keeps, "running")


def test_concurrent_removals_of_one_keep(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: d.call("DELETE", f"/v1/keeps/{keep}?force=true")[0], range(8)))
    assert found.count(204) >= 1
    assert set(found) <= {204, 404}
    assert d.keeps() == {}


def test_a_supervisor_that_dies_shows_as_lost_at_once(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    os.kill(d.info(keep)["pid"], signal.SIGKILL)
    assert d.call("GET", f"/v1/keeps/{keep}/wait?timeout=5") == (200, {"ended": True})
    info = d.info(keep)
    assert info["state"] == "lost"
    assert info["layers"]
    assert d.give(keep, frame(b"N"))[0] == 409
    assert d.call("DELETE", f"/v1/keeps/{keep}")[0] == 204
    assert d.keeps() == {}


def test_a_supervisor_that_hangs_holds_up_only_its_own(daemon: Make) -> None:
    d = daemon()
    hangs, other = d.launch(), d.launch()
    pid = d.info(hangs)["pid"]
    os.kill(pid, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(d.give, hangs, frame(b"E"))
        assert d.give(other, frame(b"E"))[0] == 200
        os.kill(pid, signal.SIGCONT)
        assert asked.result(10)[0] == 200


# The pool


def test_the_pool_is_filled_claimed_and_filled_again(daemon: Make) -> None:
    d = daemon(pool=2)
    eventually(lambda: pooled(d) == 2)
    assert d.keeps() == {}
    launched = {line["keep"] for line in d.lines() if line["event"] == "launched"}
    keep = d.launch()
    assert keep in launched
    assert d.keeps() == {keep: "running"}
    assert d.give(keep, frame(b"E", b"x"))[0] == 200
    eventually(lambda: pooled(d) == 2)


def pooled(d: Daemon) -> int:
    text = d.call("GET", "/metrics")[1].decode()
    return int(float(text.split('enarx_keeps{state="pooled"} ')[1].split()[0]))


@pytest.mark.parametrize(
    "more", [{"package_digest": "ab" * 32}, {"memory": 2 << 30}, {"compile": 2 << 30}, {"disk": 1 << 30}]
)
def test_what_the_pool_does_not_fit(daemon: Make, more: dict[str, Any]) -> None:
    d = daemon(pool=1)
    eventually(lambda: pooled(d) == 1)
    launched = {line["keep"] for line in d.lines() if line["event"] == "launched"}
    status, value = d.call("POST", "/v1/keeps", {**GOOD, **more})
    assert status == 201
    assert value["id"] not in launched
    assert d.info(value["id"])["package_digest"] == more.get("package_digest", "0" * 64)


def test_the_pool_gives_way(daemon: Make) -> None:
    d = daemon(pool=2, keeps=2)
    eventually(lambda: pooled(d) == 2)
    keeps = [d.launch(package="ab" * 32) for _ in range(2)]
    assert set(d.keeps()) == set(keeps)
    assert d.call("POST", "/v1/keeps", GOOD)[1]["error"]["code"] == "host-full"


def test_claims_at_once_get_different_keeps(daemon: Make) -> None:
    d = daemon(pool=3)
    eventually(lambda: pooled(d) == 3)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        keeps = list(pool.map(lambda _: d.launch(), range(6)))
    assert len(set(keeps)) == 6


def test_a_keep_that_dies_in_the_pool_is_replaced(daemon: Make, root: Path) -> None:
    d = daemon(pool=1)
    eventually(lambda: pooled(d) == 1)
    (name,) = os.listdir(root / "keeps")
    eventually((root / "keeps" / name / "meta.json").exists)
    os.kill(json.loads((root / "keeps" / name / "meta.json").read_text())["keep_pid"], signal.SIGKILL)
    eventually(lambda: os.listdir(root / "keeps") not in ([], [name]))
    assert d.launch() != name


def test_a_claim_does_not_wait_for_the_next_launch(daemon: Make) -> None:
    d = daemon(pool=1)
    eventually(lambda: pooled(d) == 1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(d.launch, SLOW, "ab" * 32)
        time.sleep(0.1)
        before = time.monotonic()
        d.launch()
        assert time.monotonic() - before < 0.5
        slow.result()


# What it says of itself


def test_openapi_tells_of_every_route_and_of_no_other(daemon: Make) -> None:
    from enarx.host.http.api import Api
    from enarx.host.http.limits import Limits

    document = daemon().call("GET", "/v1/openapi.json")[1]
    assert document["openapi"].startswith("3.1")
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == {(method, path) for method, path, _ in Api(None, Limits()).routes()}  # type: ignore[arg-type]
    references = [text.split('"')[0] for text in json.dumps(document).split('"$ref": "')[1:]]
    for reference in references:
        value = document
        for step in reference.removeprefix("#/").split("/"):
            value = value[step]


def test_openapi_knows_what_is_said_of_a_keep(daemon: Make) -> None:
    d = daemon()
    info = d.info(d.launch())
    schema = d.call("GET", "/v1/openapi.json")[1]["components"]["schemas"]["Keep"]["properties"]
    assert set(info) | {"facts"} == set(schema)  # a backend may report facts; this one has none


def test_a_pooled_keep_starts_for_its_tenant_when_it_is_claimed(daemon: Make) -> None:
    d = daemon(pool=1)
    eventually(lambda: pooled(d) == 1)
    time.sleep(1.1)
    claimed = time.time()
    keep = d.launch()
    for started in (d.info(keep)["started"], d.call("GET", "/v1/keeps")[1]["keeps"][0]["started"]):
        assert claimed - 0.1 <= started <= time.time()
    d.kill()
    d.start()
    d.call("POST", f"/v1/keeps/{keep}/stop")
    assert claimed - 0.1 <= d.info(keep)["started"] <= d.info(keep)["ended"]


def test_metrics_and_health(daemon: Make) -> None:
    d = daemon()
    assert d.call("GET", "/healthz") == (200, {"ok": True})
    keep = d.launch()
    d.give(keep, frame(b"E", b"abc"))
    d.take(keep, 1)
    d.call("GET", "/v1/keeps/nothing")
    text = d.call("GET", "/metrics")[1].decode()
    for line in (
        'enarx_keeps{state="running"} 1.0',
        "enarx_launch_seconds_count 1.0",
        "enarx_input_frames_total 1.0",
        f"enarx_input_bytes_total {float(len(frame(b'E', b'abc')))}",
        'enarx_errors_total{code="not-found"} 1.0',
    ):
        assert line in text.splitlines()


def test_every_line_of_the_log_is_an_event_and_none_tells_what_was_sent(daemon: Make) -> None:
    d = daemon(skip_layers=["seccomp"], pool=1)
    canary = b"canary-7d1f"
    eventually(lambda: pooled(d) == 1)
    keep = d.launch()
    d.give(keep, frame(b"E", canary))
    d.take(keep, 1)
    d.call("POST", "/v1/keeps", {**GOOD, "kind": canary.decode()})
    d.call("GET", f"/v1/keeps/{canary.decode()}")
    d.call("POST", f"/v1/keeps/{keep}/stop")
    d.call("DELETE", f"/v1/keeps/{keep}")
    assert d.close() == 0
    lines = d.lines()
    events = [line["event"] for line in lines]
    assert {"listening", "launched", "claimed", "stopped", "ended", "removed"} <= set(events)
    assert all({"time", "level", "event"} <= set(line) for line in lines)
    assert canary.decode() not in d.text()


def test_what_is_not_protected_is_said_loudly(daemon: Make) -> None:
    d = daemon(skip_layers=["seccomp"])
    keep = d.launch()
    said = [line for line in d.lines() if line["event"] == "unprotected"]
    assert all(line["level"] == "warning" and line["message"].startswith("UNPROTECTED: ") for line in said)
    assert "do not protect workloads from this host" in said[0]["message"]
    assert any(line.get("keep") == keep and line["skipped"] == ["seccomp"] for line in said)
    assert d.info(keep)["skipped"] == ["seccomp"]


def test_canaries_are_in_no_file_of_the_daemons_own(daemon: Make, root: Path) -> None:
    """What a tenant sends is relayed and not stored; what a Keep sends is stored as it came, and removed with the Keep."""
    d = daemon()
    keep = d.launch()
    canary = b"canary-91ab" * 10
    d.give(keep, frame(b"N", canary))
    d.give(keep, frame(b"E", b"out-" + canary))
    d.take(keep, 1)
    holders = [p for p in root.rglob("*") if p.is_file() and canary in p.read_bytes()]
    assert [p.name for p in holders] == ["output.0000000000000000"]
    d.call("DELETE", f"/v1/keeps/{keep}?force=true")
    assert not any(p.is_file() and canary in p.read_bytes() for p in root.rglob("*"))


def test_an_orderly_end_is_quick_even_with_followers(daemon: Make) -> None:
    d = daemon()
    keep = d.launch()
    follower = d.raw(get(f"/v1/keeps/{keep}/output"))
    assert readable(follower.fileno(), 5)
    before = time.monotonic()
    assert d.close() == 0
    assert time.monotonic() - before < 4
    data = b""
    while piece := follower.recv(65536):
        data += piece
    assert not data.endswith(b"0\r\n\r\n")  # not the end of the output: only of the connection
    follower.close()
    d.start()
    assert d.keeps() == {keep: "running"}
