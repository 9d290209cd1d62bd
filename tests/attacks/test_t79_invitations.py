"""T79: the holder of a Keep's invitation uses it for another Keep, for what the tenant may do, or to lock the tenant out."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enarx.delivery.sharing import OBSERVER, Join
from enarx.errors import UsageError
from enarx.formats.wire import FrameType
from enarx.host.http.limits import MAX_INVITED
from enarx.tenant.invitations import Invitation
from tests.attacks.abuse import SIZE, Host, raw
from tests.e2e.harness import until

Make = Callable[..., Host]
SECRET, OTHER = "5a" * 32, "6b" * 32
OF_THE_OWNER = (FrameType.CHALLENGE, FrameType.DELIVERY, FrameType.CHUNK, FrameType.ATTACH, FrameType.INPUT)
JOIN = raw(FrameType.JOIN, Join(nonce=bytes(32), provider=OBSERVER, package=bytes(32), signature=bytes(64)).to_bytes())


def invited(secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Invitation {secret}"}


def launch(host: Host, secret: str = SECRET) -> str:
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return str(host.call("POST", "keeps", {"memory": SIZE, "disk": SIZE, "invitation": digest})["id"])


@pytest.fixture
def host(hosts: Make) -> Host:
    return hosts()


def test_the_control_a_holder_sends_and_reads(host: Host) -> None:
    """The Keep gets the frame, and answers: before a delivery it refuses a Join, and ends."""
    keep = launch(host)
    assert host.call("POST", f"keeps/{keep}/input", JOIN, **invited()) == {"frames": 1}
    until(lambda: host.output(keep), "the Keep's answer")
    ((_, kind, _),) = host.output(keep)
    assert kind == FrameType.REFUSAL
    data = host.call("GET", f"keeps/{keep}/output?follow=false", **invited())
    assert data[12] == FrameType.REFUSAL


def test_another_keep_looks_like_none(host: Host) -> None:
    """Of the same tenant, with and without an invitation of its own; also for who tries secrets."""
    keep, other, private = launch(host), launch(host, OTHER), host.launch()
    answers = [
        host.ask(method, f"keeps/{name}/{what}", body, **invited(secret))
        for method, what, body in (("GET", "output?follow=false", None), ("POST", "input", JOIN))
        for name, secret in (
            (other, SECRET),
            (private, SECRET),
            ("0" * 16, SECRET),
            (keep, OTHER),
            (keep, SECRET.upper()),
            (keep, hashlib.sha256(SECRET.encode()).hexdigest()),
            (private, hashlib.sha256(b"").hexdigest()),
            (private, ""),
        )
    ]
    assert {json.dumps(answer) for answer in answers} == {json.dumps(answers[0])}
    assert answers[0][0] == 404
    assert host.output(other) == host.output(private) == host.output(keep) == []
    assert host.error("GET", f"keeps/{other}/output?follow=false", **invited(OTHER)) == ""


NOT_FOR_HOLDERS = (
    ("DELETE", "keeps/{}?force=true"),
    ("POST", "keeps/{}/stop"),
    ("GET", "keeps/{}"),
    ("GET", "keeps/{}/wait?timeout=0"),
    ("GET", "keeps"),
    ("POST", "keeps"),
    ("POST", "prune"),
    ("GET", "keeps/{}/input/../stop"),
    ("POST", "keeps/{}/input/../stop"),
    ("POST", "keeps/{}/stop?/input"),
    ("POST", "keeps/{}/stop%3F/input"),
    ("DELETE", "keeps/{}/input"),
    ("DELETE", "keeps/{}/output"),
    ("POST", "keeps/{}/input/"),
    ("POST", "keeps/{}%2Finput%0A"),
    ("HEAD", "keeps/{}/output"),
    ("PUT", "keeps/{}/input"),
)


def test_what_only_the_tenant_may_do(host: Host) -> None:
    """Nor what only looks like input or output."""
    keep = launch(host)
    for method, path in NOT_FOR_HOLDERS:
        body = b"" if method in ("POST", "PUT") else None
        with contextlib.closing(host.client.connect()) as connection:
            connection.request(method, f"/v1/{path.format(keep)}", body, invited())
            assert connection.getresponse().status in (400, 403, 404), (method, path)
    assert host.states()[keep] == "running"
    assert host.output(keep) == []


def test_a_second_credential_is_no_way_around(host: Host) -> None:
    """Two fields of the same name are not one request; nor does another header change the method."""
    keep = launch(host)
    for fields in (
        [("Authorization", f"Invitation {SECRET}"), ("Authorization", "Bearer x")],
        [("Authorization", f"Invitation {SECRET}"), ("X-HTTP-Method-Override", "DELETE")],
    ):
        with contextlib.closing(host.client.connect()) as connection:
            connection.putrequest("POST", f"/v1/keeps/{keep}/stop")
            for name, value in [*fields, ("Content-Length", "0")]:
                connection.putheader(name, value)
            connection.endheaders()
            assert connection.getresponse().status in (400, 403)
    assert host.states()[keep] == "running"
    assert host.call("POST", f"keeps/{keep}/stop") == b""
    assert host.states()[keep] == "ended"


def test_frames_of_the_owner(host: Host) -> None:
    """A Challenge of a stranger would take the Keep from its tenant, and junk would end it. The tenant's own arrives."""
    keep = launch(host)
    for kind in OF_THE_OWNER:
        assert host.error("POST", f"keeps/{keep}/input", raw(kind, bytes(64)), **invited()) == "frame-type", kind
    assert host.output(keep) == []
    assert host.call("POST", f"keeps/{keep}/input", raw(FrameType.CHALLENGE, bytes(64))) == {"frames": 1}
    until(lambda: host.output(keep), "the Keep's refusal")


@contextlib.contextmanager
def crowd(host: Host, keep: str, count: int) -> Iterator[list[http.client.HTTPResponse]]:
    """Readers with the invitation, which read nothing."""
    with contextlib.ExitStack() as stack:
        answers = []
        for _ in range(count):
            connection = stack.enter_context(contextlib.closing(host.client.connect()))
            connection.request("GET", f"/v1/keeps/{keep}/output", headers=invited())
            answers.append(connection.getresponse())
        yield answers


def test_a_crowd_of_holders_leaves_the_tenant_its_keep(host: Host) -> None:
    keep = launch(host)
    with crowd(host, keep, MAX_INVITED) as answers:
        assert {answer.status for answer in answers} == {200}
        assert host.error("GET", f"keeps/{keep}/output", **invited()) == "crowded"
        assert host.output(keep) == []
        assert host.states()[keep] == "running"
        another = host.launch()
        assert set(host.states()) == {keep, another}
        assert host.call("DELETE", f"keeps/{keep}?force=true") == b""
        start = time.monotonic()
        assert {answer.read() for answer in answers} == {b""}  # each ends, and with it the place that it took
        assert time.monotonic() - start < 20
    assert host.error("GET", f"keeps/{keep}/output", **invited()) == "not-found"
    assert host.states() == {another: "running"}


def test_an_invitation_ends_with_its_keep(host: Host) -> None:
    """After a new start of the daemon too; and a later Keep takes no invitation over."""
    keep = launch(host)
    host.restart()
    assert host.error("GET", f"keeps/{keep}/output?follow=false", **invited()) == ""
    host.call("DELETE", f"keeps/{keep}?force=true")
    later = host.launch()
    for name in (keep, later):
        assert host.error("GET", f"keeps/{name}/output?follow=false", **invited()) == "not-found"
        assert host.error("POST", f"keeps/{name}/input", JOIN, **invited()) == "not-found"
    assert SECRET not in host.daemon.log.read_text()


# The file


INVITATION = Invitation(url="https://h", keep="0" * 16, secret=SECRET, package=bytes(32), session=bytes(32))


def test_the_file_is_the_tenants_alone(tmp_path: Path) -> None:
    """Whatever the umask; and a link that another user has put there neither gets the secret nor loses its target."""
    path, target = tmp_path / "job.invitation", tmp_path / "target"
    before = os.umask(0)
    try:
        INVITATION.save(str(path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    target.write_text("precious")
    target.chmod(0o644)
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(UsageError, match="is not an invitation"):
        INVITATION.save(str(link))
    assert target.read_text() == "precious"
    target.write_text(INVITATION.to_json())  # an older invitation may be replaced: the link itself is
    INVITATION.save(str(link))
    assert not link.is_symlink()
    assert stat.S_IMODE(link.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
