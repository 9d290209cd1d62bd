"""Invitations: what the holder of a Keep's invitation may do, and what it cannot take from the Keep's tenant."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enarx.host.errors import HostError
from enarx.host.http.limits import MAX_INVITED, Limits, Places
from enarx.host.state.records import BadFileError, Record
from enarx.host.supervisor import frames, intake

from .harness import MAX_FRAME, Daemon, Launcher, Side, eventually, frame, launch_body, produce
from .test_access import OTHER, TOKEN, bearer, token_file

Make = Callable[..., Daemon]
SECRET = "5a" * 32
KEY = "0123456789abcdef"


def hashed(secret: str = SECRET) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def part(order: bytes, rest: bytes = b"", kind: int = 18) -> bytes:
    """A frame of a type that holders of an invitation send, with an order for the puppet."""
    data = frame(order, rest)
    return data[:4] + bytes([kind]) + data[5:]


def invited(secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Invitation {secret}"}


def launch(d: Daemon, secret: str = SECRET, **headers: str) -> str:
    status, value = d.call("POST", "/v1/keeps", {**launch_body(), "invitation": hashed(secret)}, **headers)
    assert status == 201, value
    return str(value["id"])


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, value = answer
    return status, str(value["error"]["code"])


# Over HTTP


@pytest.fixture
def shared(daemon: Make, root: Path) -> tuple[Daemon, str]:
    """A daemon on TCP whose tenant has launched a Keep with an invitation."""
    d = daemon(address="127.0.0.1", token_files=[token_file(root), token_file(root, OTHER, name="other")])
    return d, launch(d, **bearer())


def test_a_holder_gives_frames_and_reads_them(shared: tuple[Daemon, str]) -> None:
    d, keep = shared
    status, value = d.call("POST", f"/v1/keeps/{keep}/input", part(b"E", b"hello", 16), **invited())
    assert (status, value) == (200, {"frames": 1})

    def read() -> bytes:
        answer = d.call("GET", f"/v1/keeps/{keep}/output?follow=false", **invited())
        assert answer[0] == 200
        return bytes(answer[1])

    assert eventually(read)[12:] == b"\x10Ehello"


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 15, 32, 80])
def test_a_holder_sends_no_frame_of_the_owner(shared: tuple[Daemon, str], kind: int) -> None:
    d, keep = shared
    answer = d.call("POST", f"/v1/keeps/{keep}/input", part(b"E", b"x", kind), **invited())
    assert code(answer) == (400, "frame-type")


def test_a_tenant_sends_no_frame_of_a_holder(shared: tuple[Daemon, str]) -> None:
    d, keep = shared
    assert code(d.call("POST", f"/v1/keeps/{keep}/input", part(b"E", b"x", 16), **bearer())) == (400, "frame-type")
    assert d.call("POST", f"/v1/keeps/{keep}/input", frame(b"E", b"x"), **bearer())[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/keeps/{}"),
        ("DELETE", "/v1/keeps/{}?force=true"),
        ("GET", "/v1/keeps"),
        ("GET", "/v1/keeps/{}"),
        ("GET", "/v1/keeps/{}/wait"),
        ("POST", "/v1/keeps"),
        ("POST", "/v1/keeps/{}/stop"),
        ("POST", "/v1/keeps/{}/output"),
        ("GET", "/v1/keeps/{}/input"),
        ("POST", "/v1/prune"),
        ("GET", "/v1/openapi.json"),
        ("GET", "/metrics"),
    ],
)
def test_a_holder_does_nothing_else(shared: tuple[Daemon, str], method: str, path: str) -> None:
    d, keep = shared
    assert code(d.call(method, path.format(keep), b"{}" if method == "POST" else None, **invited())) == (
        403,
        "forbidden",
    )
    assert d.call("GET", f"/v1/keeps/{keep}", **bearer())[1]["state"] == "running"


def test_wrong_secrets_and_other_keeps_answer_as_keeps_that_do_not_exist(shared: tuple[Daemon, str]) -> None:
    d, keep = shared
    other = launch(d, "6b" * 32, **bearer())
    private = d.call("POST", "/v1/keeps", launch_body(), **bearer())[1]["id"]
    answers = [
        d.call("GET", f"/v1/keeps/{name}/output?follow=false", **invited(secret))
        for name, secret in (
            ("0" * 16, SECRET),
            (other, SECRET),
            (private, SECRET),
            (private, ""),
            (private, "-" * 64),
            (keep, "5a" * 31 + "5b"),
            (keep, SECRET.upper()),
            (keep, hashed()),
            (keep, ""),
        )
    ]
    assert {code(answer) for answer in answers} == {(404, "not-found")}
    assert len({json.dumps(value) for _, value in answers}) == 1
    assert d.call("GET", f"/v1/keeps/{keep}/output?follow=false", **invited())[0] == 200
    assert d.call("GET", f"/v1/keeps/{other}/output?follow=false", **invited("6b" * 32))[0] == 200


def test_a_secret_is_no_bearer_token_and_a_token_no_secret(shared: tuple[Daemon, str]) -> None:
    d, keep = shared
    path = f"/v1/keeps/{keep}/output?follow=false"
    assert code(d.call("GET", path, **bearer(SECRET))) == (401, "unauthorized")
    assert code(d.call("GET", path, Authorization=f"Invitation {TOKEN}")) == (404, "not-found")
    assert code(d.call("GET", path, **bearer(OTHER))) == (404, "not-found")
    assert d.call("GET", path, **bearer())[0] == 200


def test_requests_of_web_pages_are_refused_to_holders_too(shared: tuple[Daemon, str]) -> None:
    d, keep = shared
    path = f"/v1/keeps/{keep}/output?follow=false"
    assert code(d.call("GET", path, **invited(), Origin="https://evil.example")) == (403, "forbidden")
    assert code(d.call("GET", path, **invited(), Host="evil.example")) == (403, "forbidden")


def test_on_the_unix_socket_an_invitation_narrows_what_a_user_may_do(daemon: Make) -> None:
    d = daemon()
    keep = launch(d)
    assert d.call("POST", f"/v1/keeps/{keep}/input", part(b"N"), **invited())[0] == 200
    assert code(d.call("DELETE", f"/v1/keeps/{keep}?force=true", **invited())) == (403, "forbidden")
    assert d.call("DELETE", f"/v1/keeps/{keep}?force=true")[0] == 204


def test_only_a_digest_is_stored_and_it_outlives_the_daemon(daemon: Make, root: Path) -> None:
    d = daemon()
    keep = launch(d)
    assert json.loads((root / "keeps" / keep / "record.json").read_text())["invitation"] == hashed()
    d.kill()
    d.start()
    assert d.call("POST", f"/v1/keeps/{keep}/input", part(b"E", b"x"), **invited())[0] == 200
    assert SECRET not in "".join(p.read_text(errors="replace") for p in root.rglob("*.json")) + d.text()


def test_a_keep_of_the_pool_gets_the_invitation_with_its_claim(daemon: Make, root: Path) -> None:
    d = daemon(pool=1)
    (record,) = eventually(lambda: list(root.glob("keeps/*/pooled.json")))
    body = {"package_digest": None, "memory": 1 << 20, "disk": 1 << 20, "invitation": hashed()}
    status, value = d.call("POST", "/v1/keeps", body)
    assert (status, value["id"]) == (201, record.parent.name)
    assert d.call("POST", f"/v1/keeps/{value['id']}/input", part(b"N"), **invited())[0] == 200


def test_a_repeated_launch_keeps_its_invitation_and_another_is_another_request(daemon: Make) -> None:
    d = daemon()
    key = {"Idempotency-Key": KEY}
    keep = launch(d, **key)
    assert launch(d, **key) == keep
    assert code(d.call("POST", "/v1/keeps", {**launch_body(), "invitation": hashed("x")}, **key)) == (409, "key-reused")
    assert code(d.call("POST", "/v1/keeps", launch_body(), **key)) == (409, "key-reused")


@pytest.mark.parametrize("value", ["", "x", SECRET[:-1], SECRET.replace("a", "A"), 7])
def test_an_invitation_that_is_no_digest(daemon: Make, value: object) -> None:
    assert code(daemon().call("POST", "/v1/keeps", {**launch_body(), "invitation": value})) == (400, "usage")


def test_records_of_older_hosts_have_no_invitation() -> None:
    value: dict[str, Any] = {
        "id": "0" * 16,
        "kind": "process",
        "package_digest": "0" * 64,
        **dict.fromkeys(("memory", "compile", "disk", "created"), 1),
        "tenant": "uid:1",
        "key": "",
        "processes": {"boot": "0" * 36, "supervisor": [1, 1], "keep": [2, 2]},
    }
    assert Record.of(value, keep="0" * 16, pooled=False).invitation == ""
    with pytest.raises(BadFileError, match="invitation"):
        Record.of({**value, "invitation": "x"}, keep="0" * 16, pooled=False)


def test_holders_crowd_out_each_other_and_not_the_tenant(daemon: Make) -> None:
    d = daemon()
    keep = launch(d)
    request = f"GET /v1/keeps/{keep}/output HTTP/1.1\r\nHost: h\r\n"
    crowd = [d.raw(f"{request}Authorization: Invitation {SECRET}\r\n\r\n".encode()) for _ in range(MAX_INVITED)]
    for connection in crowd:
        assert connection.recv(12) == b"HTTP/1.1 200"
    assert code(d.call("GET", f"/v1/keeps/{keep}/output?follow=false", **invited())) == (503, "crowded")
    assert d.call("GET", f"/v1/keeps/{keep}/output?follow=false")[0] == 200
    assert d.give(keep, frame(b"N"))[0] == 200
    assert d.call("POST", f"/v1/keeps/{keep}/stop")[0] == 204


def test_made_up_secrets_take_no_place(daemon: Make) -> None:
    d = daemon()
    keep = launch(d)
    request = f"POST /v1/keeps/{keep}/input HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n"
    for i in range(MAX_INVITED + 8):
        assert d.raw(f"{request}Authorization: Invitation {i:064x}\r\n\r\n".encode()).recv(12) == b"HTTP/1.1 404"
    assert d.call("POST", f"/v1/keeps/{keep}/input", part(b"N"), **invited())[0] == 200


def test_places_of_holders_are_counted_for_the_keep_and_for_its_tenant() -> None:
    places = Places(Limits(connections=400, peer=100))
    for _ in range(MAX_INVITED):
        places.take("invited:t", "invited-to:1")
    with pytest.raises(HostError, match="too many"):
        places.take("invited:t", "invited-to:1")
    for _ in range(75 - MAX_INVITED):
        places.take("invited:t", "invited-to:2" if _ % 2 else "invited-to:3")
    with pytest.raises(HostError, match="too many"):
        places.take("invited:t", "invited-to:4")
    for _ in range(75):
        places.take("t")
    for _ in range(MAX_INVITED):
        places.leave("invited:t", "invited-to:1")
    places.take("invited:t", "invited-to:4")


# At the supervisor


def give(keep: Side, *data: bytes) -> dict[str, Any]:
    connection = keep.open("input", invited=True)
    connection.socket.sendall(b"".join(data))
    connection.socket.shutdown(socket.SHUT_WR)
    answer = connection.answer()
    connection.close()
    return answer


def test_types_do_not_overlap() -> None:
    assert not frames.FROM_TENANT & frames.FROM_INVITED
    assert set(range(16, 32)) == frames.FROM_INVITED


def test_holders_and_the_tenant_send_at_once_in_whole_frames(launcher: Launcher) -> None:
    """Frames in pieces from nine connections: each arrives whole, and each connection's frames in their order."""
    keep = launcher.keep("k")
    senders = [keep.open("input", invited=True) for _ in range(intake.MAX_INVITED)]
    tenant = keep.open("input")
    sent = [b"".join(part(b"E", bytes([i, n]) + os.urandom(3000)) for n in range(20)) for i in range(len(senders))]
    mine = b"".join(frame(b"E", bytes([99, n]) + bytes(3000)) for n in range(20))
    for at in range(0, len(mine), 1111):
        for sender, data in zip([*senders, tenant], [*sent, mine], strict=True):
            sender.socket.sendall(data[at : at + 1111])
    for sender in (*senders, tenant):
        sender.socket.shutdown(socket.SHUT_WR)
        assert sender.answer() == {"ok": True, "frames": 20}
        sender.close()
    echoed = [data for _, data in keep.take(180)]
    for i, data in enumerate(sent):
        own = b"".join((len(e)).to_bytes(4, "big") + e for e in echoed if e[:3] == b"\x12E" + bytes([i]))
        assert own == data


def test_a_holder_that_floods_delays_the_tenant_by_no_more_than_frames(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    flood = [keep.open("input", invited=True) for _ in range(intake.MAX_INVITED)]
    block = part(b"N", bytes(1 << 20)) * 4
    for connection in flood:
        connection.socket.setblocking(False)
    ends = []
    for _ in range(10):
        for connection in flood:
            try:
                at = getattr(connection, "at", 0)
                connection.at = (at + connection.socket.send(block[at:])) % len(block)  # type: ignore[attr-defined]
            except BlockingIOError:
                continue
        begun = time.monotonic()
        assert keep.give(frame(b"N"))["ok"]
        ends.append(time.monotonic() - begun)
    assert max(ends) < 5
    for connection in flood:
        connection.close()


def test_a_holder_who_had_its_term_gives_way(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    first = [keep.open("input", invited=True) for _ in range(intake.MAX_INVITED)]
    assert keep.ask("input", invited=True)["code"] == "busy"
    assert keep.ask("input")["ok"]
    for connection in first:
        connection.socket.sendall(part(b"N"))
    time.sleep(intake.TERM + 0.5)
    late = keep.open("input", invited=True)
    assert first[0].answer()["code"] == "busy"
    late.socket.sendall(part(b"E", b"late"))
    assert keep.take(1) == [(0, b"\x12Elate")]
    for connection in (*first, late):
        connection.close()


def test_a_holders_bad_frame_ends_its_request_and_no_other(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    tenant = keep.open("input")
    tenant.socket.sendall(frame(b"E", b"half")[:6])
    assert give(keep, part(b"N"), (MAX_FRAME + 1).to_bytes(4, "big") + b"\x12")["code"] == "frame-size"
    assert give(keep, part(b"N"), frame(b"N"))["code"] == "frame-type"
    assert give(keep, part(b"D", bytes(100))[:50])["code"] == "cut"
    tenant.socket.sendall(frame(b"E", b"half")[6:])
    assert keep.take(1) == [(0, b"\x01Ehalf")]
    tenant.close()


def test_connections_are_left_to_the_tenant(launcher: Launcher) -> None:
    keep = launcher.keep("k")
    crowd = [keep.open("output", **{"from": 0, "follow": True, "invited": True}) for _ in range(32)]
    assert keep.ask("output", invited=True)["code"] == "crowded"
    assert keep.ask("input", invited=True)["code"] == "crowded"
    assert keep.ask("input")["ok"]
    assert keep.ask("output", **{"from": 0, "follow": False})["ok"]
    for connection in crowd:
        connection.close()


def test_a_holders_frames_are_no_use_of_a_keep(launcher: Launcher, root: Path) -> None:
    """Only the tenant's frames keep a claimed Keep from being ended as unused."""
    keep = launcher.keep("k", unused=1.0)
    (root / "k" / "record.json").write_text("{}")
    give(keep, part(b"N"))
    eventually(lambda: not (root / "k" / "sock").exists(), 20)
    assert json.loads((root / "k" / "meta.json").read_text())["reason"] == "unused"


def test_holders_that_read_nothing_stop_the_keep_for_a_while_only(launcher: Launcher) -> None:
    """While the store is full, a holder may pause the Keep; but it cannot do so forever, however often it comes back."""
    keep = launcher.keep("k", stored_output=1 << 20)
    readers = [keep.open("output", **{"from": 0, "follow": True, "invited": True}) for _ in range(2)]
    keep.give(produce(400, 100_000))
    time.sleep(1)
    before = keep.ask("info")["frames"]
    assert before < 400
    end = time.monotonic() + 80
    while keep.ask("info")["frames"] <= before:
        assert time.monotonic() < end, "a holder stops the Keep"
        first = keep.ask("info")["first"]
        readers.append(keep.open("output", **{"from": first, "follow": True, "invited": True}))
        if len(readers) > 20:
            readers.pop(0).close()
        time.sleep(5)
    for connection in readers:
        connection.close()


def test_the_tenants_own_reader_loses_nothing_because_of_a_holder(launcher: Launcher) -> None:
    keep = launcher.keep("k", stored_output=2 << 20)
    holder = keep.open("output", **{"from": 0, "follow": True, "invited": True})
    tenant = keep.open("output", **{"from": 0, "follow": True})
    keep.give(produce(200, 100_000))
    assert [n for _, (n, _) in zip(range(20), tenant.entries(), strict=False)] == list(range(20))
    holder.close()
    tenant.close()
