"""ID blocks: signed, verified, and compared with a measurement."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from enarx.errors import UsageError, VerificationError
from enarx.formats.launch.idblock import IdAuth, IdBlock
from enarx.image.launch import idblock
from enarx.image.launch.keys import signing_key
from enarx.record import replace
from tests.forge import launch as forge
from tests.formats.launch.test_idblock import BLOCK
from tests.image.launch.conftest import Run
from tests.image.launch.test_sev import options_of, rows


def test_an_id_block(vectors: Path, tmp_path: Path, measured: Run, refused: Any) -> None:
    """The block and the digests of both keys match the vectors, and the signatures are valid."""
    folder = vectors / "snp" / "sev-snp-measure"
    expected = json.loads((folder / "id_block.json").read_text())
    digest = base64.b64decode(expected["ld_b64"])
    keys = [signing_key((folder / name).read_bytes()) for name in ("id_key_test.pem", "author_key_test.pem")]
    block = IdBlock(launch_digest=digest, family_id=bytes(16), image_id=bytes(16), guest_svn=0, policy=idblock.POLICY)
    assert block.to_bytes() == base64.b64decode(expected["id_block_b64"])
    auth = idblock.sign(block, *keys)
    idblock.verify(block, auth)
    assert idblock.key_digest(auth.id_key) == base64.b64decode(expected["id_key_hash_b64"])
    assert idblock.key_digest(auth.author_key) == base64.b64decode(expected["author_key_hash_b64"])
    options = options_of(rows(folder)[8], folder)
    more = ["--id-key", folder / "id_key_test.pem", "--author-key", folder / "author_key_test.pem", "--guest-svn", 3]
    value = measured(*options, *more)
    assert base64.b64decode(value["id_block"])[:48].hex() == value["measurement"]
    assert value["author_key_digest"] == base64.b64decode(expected["author_key_hash_b64"]).hex()
    for name in ("id_block", "id_auth"):
        (tmp_path / name).write_bytes(base64.b64decode(value[name]))
    check = ["--check-id-block", tmp_path / "id_block", "--check-id-auth", tmp_path / "id_auth"]
    at = options.index("--vcpus") + 1
    more_cpus = [*options[:at], 3, *options[at + 1 :]]
    assert measured(*options, *check)["id_key_digest"] == value["id_key_digest"]
    assert refused("measure", *more_cpus, *check) == (126, "id-block")
    (tmp_path / "id_block").write_bytes(block.to_bytes())
    assert refused("measure", *options, *check) == (126, "id-auth")


@pytest.mark.parametrize("field", ["launch_digest", "family_id", "image_id", "guest_svn", "policy"])
def test_a_changed_block_is_not_authentic(field: str) -> None:
    auth = idblock.sign(BLOCK, forge.signing_key("id"), forge.signing_key("author"))
    value = getattr(BLOCK, field)
    changed = replace(BLOCK, **{field: value + 1 if isinstance(value, int) else b"x" + value[1:]})
    with pytest.raises(VerificationError) as e:
        idblock.verify(changed, auth)
    assert e.value.code == "id-auth"


@pytest.mark.parametrize("field", ["block_signature", "id_key", "id_key_signature", "author_key"])
def test_a_changed_authentication_is_none(field: str) -> None:
    auth = idblock.sign(BLOCK, forge.signing_key("id"), forge.signing_key("author"))
    a, b = getattr(auth, field)
    with pytest.raises(VerificationError):
        idblock.verify(BLOCK, replace(auth, **{field: (a ^ 1, b)}))


def test_an_id_block_without_an_author() -> None:
    auth = idblock.sign(BLOCK, forge.signing_key("id"), None)
    assert not auth.has_author
    again = IdAuth.from_bytes(auth.to_bytes())
    idblock.verify(IdBlock.from_bytes(BLOCK.to_bytes()), again)
    with pytest.raises(VerificationError):
        idblock.verify(BLOCK, replace(auth, id_key_signature=(1, 1)))


def test_a_key_on_another_curve_signs_none() -> None:
    with pytest.raises(UsageError) as e:
        idblock.sign(BLOCK, ec.generate_private_key(ec.SECP256R1()), None)
    assert e.value.code == "id-key"
