"""Keys of recipients on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from enarx.delivery.suite import hpke_seal
from enarx.errors import UsageError
from enarx.tenant import owners, recipients


def refused(call: object, path: Path) -> UsageError:
    with pytest.raises(UsageError) as raised:
        call(str(path))  # type: ignore[operator]
    assert str(path) in raised.value.message
    return raised.value


def test_a_key_pair_opens_what_is_sealed_to_its_public_half(tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    os.umask(0o022)
    public = recipients.create(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "my.key.pub").stat().st_mode) == 0o644
    assert recipients.read_public(str(tmp_path / "my.key.pub")) == public == recipients.read_public(str(path))
    key = recipients.load(str(path))
    assert key.public == public
    assert key.open(hpke_seal(b"secret", public, info=b"i"), info=b"i") == b"secret"


def test_two_keys_differ(tmp_path: Path) -> None:
    assert recipients.create(str(tmp_path / "a")) != recipients.create(str(tmp_path / "b"))


@pytest.mark.parametrize("taken", ["my.key", "my.key.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("precious")
    with pytest.raises(UsageError, match=f"{taken}: exists"):
        recipients.create(str(tmp_path / "my.key"))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["precious"]


def test_a_private_key_that_others_can_read(tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    recipients.create(str(path))
    path.chmod(0o640)
    assert refused(recipients.load, path).hint == f"chmod 600 {path}"
    path.chmod(0o600)
    recipients.load(str(path))


def test_a_public_key_opens_nothing(tmp_path: Path) -> None:
    recipients.create(str(tmp_path / "my.key"))
    assert "wanted the private key" in refused(recipients.load, tmp_path / "my.key.pub").message


def test_an_owners_key_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "owner.pem"
    path.write_text(owners.public_pem(owners.create(str(tmp_path / "private.pem"))))
    assert "an owner's key, which signs" in refused(recipients.read_public, path).message
    assert "an owner's key, which signs" in refused(recipients.load, tmp_path / "private.pem").message


@pytest.mark.parametrize("text", ["", "x", "\0", "-----BEGIN ENARX RECIPIENT PUBLIC KEY-----\n", "\xff" * 9])
def test_files_that_are_no_keys(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="latin-1")
    assert "enarx data key" in refused(recipients.read_public, path).hint


@pytest.mark.parametrize("damage", [lambda t: t.replace("A", "!"), lambda t: t.replace(t.split("\n")[1] + "\n", "")])
def test_damaged_keys(tmp_path: Path, damage: object) -> None:
    recipients.create(str(tmp_path / "k"))
    path = tmp_path / "k.pub"
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    assert "damaged" in refused(recipients.read_public, path).message


def test_missing_files_and_pipes(tmp_path: Path) -> None:
    refused(recipients.load, tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    refused(recipients.load, tmp_path / "pipe")
    with pytest.raises(UsageError):
        recipients.load("a\0b")
