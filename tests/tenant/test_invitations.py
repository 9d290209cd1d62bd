"""Invitation files: what is written, what is read, and what an endpoint makes of one."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from enarx.errors import UsageError
from enarx.record import replace
from enarx.tenant.connection import Endpoint, Place
from enarx.tenant.invitations import Invitation, authorities_in, digest_of, require_writable

INVITATION = Invitation(
    url="https://host.example:8443",
    keep="0123456789abcdef",
    secret="5a" * 32,
    package=b"\1" * 32,
    session=b"\2" * 32,
    authorities="-----BEGIN CERTIFICATE-----\n",
)


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "i"
    INVITATION.save(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Invitation.load(str(path)) == INVITATION
    other = replace(INVITATION, keep="fedcba9876543210")
    other.save(str(path))  # another invitation is replaced
    assert Invitation.load(str(path)) == other


def test_the_secret_is_not_shown() -> None:
    assert INVITATION.secret not in repr(INVITATION)
    assert INVITATION.secret not in repr(INVITATION.endpoint(Endpoint(url="")))
    assert digest_of(INVITATION.secret) == hashlib.sha256(("5a" * 32).encode()).hexdigest()


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("x")
    with pytest.raises(UsageError, match="is not an invitation"):
        INVITATION.save(str(path))
    assert path.read_text() == "x"
    with pytest.raises(UsageError, match="no file can be written"):
        require_writable(str(tmp_path / "missing" / "i"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"invitation": 2}, "of version 2, wanted 1"),
        ({"invitation": True}, "of version True"),
        ({"host": 7}, "wanted texts"),
        ({"keep": "../../etc"}, "not the id of a Keep"),
        ({"secret": "5a"}, "wanted 32 bytes"),
        ({"package": "zz"}, "wanted 32 bytes"),
        ({"session": "5a" * 31}, "wanted 32 bytes"),
        ({"more": ""}, "wanted exactly"),
        ({"host": None, "authorities": []}, "wanted texts"),
    ],
)
def test_malformed_files(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "i"
    path.write_text(json.dumps(json.loads(INVITATION.to_json()) | change))
    with pytest.raises(UsageError, match="not an invitation") as raised:
        Invitation.load(str(path))
    assert message in raised.value.message
    assert "5a5a5a" not in raised.value.message


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"invitation": 1', "\xff", "{" * 100_000, "x" * (2 << 20)])
def test_files_that_are_no_invitations(tmp_path: Path, text: str) -> None:
    path = tmp_path / "i"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match="not an invitation"):
        Invitation.load(str(path))
    with pytest.raises(UsageError, match="No such file"):
        Invitation.load(str(tmp_path / "missing"))


def test_what_the_caller_names_has_precedence() -> None:
    ours = INVITATION.endpoint(Endpoint(url=""))
    assert (ours.url, ours.invitation, ours.authorities) == (INVITATION.url, INVITATION.secret, INVITATION.authorities)
    given = INVITATION.endpoint(Endpoint(url="unix:///s/", ca="ca.pem", certificate="c", key="k"))
    assert (given.url, given.ca, given.certificate, given.key) == ("unix:///s", "ca.pem", "c", "k")
    assert (given.invitation, given.authorities, given.token) == (INVITATION.secret, "", "")


def test_the_secret_does_not_cross_a_network_in_clear() -> None:
    with pytest.raises(UsageError, match="the secret of an invitation would go over the network in clear"):
        Place(replace(INVITATION, url="http://host.example:80", authorities="").endpoint(Endpoint(url="")))
    Place(replace(INVITATION, url="http://127.0.0.1:80", authorities="").endpoint(Endpoint(url="")))


def test_authorities_travel_with_the_invitation(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("PEM")
    assert authorities_in(str(path)) == "PEM"
    assert authorities_in("") == ""
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot go into an invitation"):
        authorities_in(str(path))
    with pytest.raises(UsageError, match="authorities of the invitation are not PEM"):
        Place(INVITATION.endpoint(Endpoint(url="")))  # a certificate that is cut off
