"""ID blocks and their authentication, as bytes."""

from __future__ import annotations

import pytest

from enarx.errors import ParseError
from enarx.formats.launch.idblock import IdAuth, IdBlock
from enarx.image.launch import idblock
from tests.forge import launch as forge

BLOCK = IdBlock(launch_digest=bytes(48), family_id=b"f" * 16, image_id=b"i" * 16, guest_svn=1, policy=0x30000)


AUTH = idblock.sign(BLOCK, forge.signing_key("id"), forge.signing_key("author")).to_bytes()


@pytest.mark.parametrize(
    ("data", "code"),
    {
        "short": (AUTH[:-1], "id-auth-cut"),
        "long": (AUTH + b"\0", "id-auth-trailing"),
        "algorithm": (b"\2" + AUTH[1:], "id-auth-algorithm"),
        "author's algorithm": (AUTH[:4] + b"\2" + AUTH[5:], "id-auth-algorithm"),
        "reserved": (AUTH[:8] + b"\1" + AUTH[9:], "id-auth-reserved"),
        "curve": (AUTH[:576] + b"\1" + AUTH[577:], "id-auth-curve"),
    }.values(),
)
def test_an_authentication_that_is_none(data: bytes, code: str) -> None:
    with pytest.raises(ParseError) as e:
        IdAuth.from_bytes(data)
    assert e.value.code == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (BLOCK.to_bytes()[:-1], "id-block-cut"),
        (BLOCK.to_bytes() + b"\0", "id-block-trailing"),
        (BLOCK.to_bytes()[:80] + b"\2" + BLOCK.to_bytes()[81:], "id-block-version"),
    ],
)
def test_a_block_that_is_none(data: bytes, code: str) -> None:
    with pytest.raises(ParseError) as e:
        IdBlock.from_bytes(data)
    assert e.value.code == code
