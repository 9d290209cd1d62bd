from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from enarx.errors import UnavailableError
from enarx.formats.evidence.simulated import CHIP_LABEL, ChipCertificate, chip_body, signed
from enarx.simulator import keys
from enarx.verify import Roots, verify
from tests.forge.simulated import Forge, key, raw

NOW = int(time.time())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "made" / "state"


def sign(chip: keys.Chip) -> bytes:
    return chip.sign(measurement=bytes(48), host_data=bytes(32), report_data=bytes(64))


def root(state: Path) -> bytes:
    return bytes.fromhex((state / "root.pub").read_text())


def require_good(chip: keys.Chip, state: Path) -> None:
    roots = Roots(simulated=(root(state),))
    verify("simulated", sign(chip), endorsements=(chip.certificate,), roots=roots, now=int(time.time()))


def test_what_it_signs_is_authentic(state: Path) -> None:
    require_good(keys.load(str(state)), state)


def test_private_from_the_start(state: Path) -> None:
    umask = os.umask(0)
    try:
        keys.load(str(state))
    finally:
        os.umask(umask)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for name in ("root.key", "chip.key"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
        assert len((state / name).read_bytes()) == 32
    assert not list(state.glob("*.new"))


def test_an_open_directory_is_closed(state: Path) -> None:
    state.mkdir(parents=True, mode=0o755)
    keys.load(str(state))
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_the_same_chip_every_time(state: Path) -> None:
    first = keys.load(str(state))
    files = {path.name: path.read_bytes() for path in state.iterdir()}
    again = keys.load(str(state))
    assert (again.chip_id, again.certificate) == (first.chip_id, first.certificate)
    assert {path.name: path.read_bytes() for path in state.iterdir()} == files


def test_two_that_start_at_once_are_one_chip(state: Path) -> None:
    code = "import sys; from enarx.simulator import keys; print(keys.load(sys.argv[1]).certificate.hex())"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(state)], stdout=subprocess.PIPE, env=os.environ)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in running}) == 1


def test_the_certificate_is_good_for_ten_years(state: Path) -> None:
    chip = ChipCertificate.from_bytes(keys.load(str(state)).certificate)
    assert chip.not_before <= NOW
    assert 10 * 365 * 86400 <= chip.not_after - NOW <= 10 * 366 * 86400


@pytest.mark.parametrize("name", ["root.key", "chip.key"])
def test_a_damaged_key_is_never_replaced(state: Path, name: str) -> None:
    keys.load(str(state))
    (state / name).write_bytes(b"damaged")
    with pytest.raises(UnavailableError, match=name):
        keys.load(str(state))
    assert (state / name).read_bytes() == b"damaged"


@pytest.mark.parametrize("name", ["root.key", "chip.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(state: Path, name: str, mode: int) -> None:
    keys.load(str(state))
    (state / name).chmod(mode)
    with pytest.raises(UnavailableError, match="others can read it") as caught:
        keys.load(str(state))
    assert caught.value.hint.startswith("chmod 600")


def certificate(
    state: Path, *, root_seed: bytes | None = None, chip_seed: bytes | None = None, days: int = 100
) -> bytes:
    signer = keys.Ed25519PrivateKey.from_private_bytes(root_seed or (state / "root.key").read_bytes())
    chip = keys.Ed25519PrivateKey.from_private_bytes(chip_seed or (state / "chip.key").read_bytes())
    body = chip_body(
        chip_id=keys._chip_id(chip),
        public_key=raw(chip),
        not_before=NOW - 10 * keys.DAY,
        not_after=NOW + days * keys.DAY,
    )
    return signed(body, signer.sign(CHIP_LABEL + body))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda state: certificate(state, root_seed=b"\1" * 32),
        lambda state: certificate(state, chip_seed=b"\1" * 32),
        lambda state: certificate(state, days=-1),
        lambda state: certificate(state, days=0),
        lambda state: Forge(root=key(1)).certificate(),
        lambda state: b"",
        lambda state: b"junk",
    ],
)
def test_a_certificate_that_does_not_fit_is_made_anew(state: Path, wrong: object) -> None:
    keys.load(str(state))
    assert callable(wrong)
    (state / "chip.cert").write_bytes(wrong(state))
    require_good(keys.load(str(state)), state)


def test_one_that_fits_is_kept(state: Path) -> None:
    keys.load(str(state))
    kept = certificate(state)
    (state / "chip.cert").write_bytes(kept)
    assert keys.load(str(state)).certificate == kept


def test_the_public_root_follows_the_private_one(state: Path) -> None:
    keys.load(str(state))
    (state / "root.pub").write_text("00" * 32)
    require_good(keys.load(str(state)), state)


def test_what_an_interrupted_start_left_does_not_matter(state: Path) -> None:
    state.mkdir(parents=True)
    for name in ("root.key.new", "root.pub.new", "chip.cert.new"):
        (state / name).write_bytes(b"half")
    require_good(keys.load(str(state)), state)


def test_the_key_is_not_in_its_repr(state: Path) -> None:
    assert "key=" not in repr(keys.load(str(state)))


def test_its_memory_is_closed_before_there_are_keys(tmp_path: Path) -> None:
    code = """
import ctypes, sys
from enarx.simulator import keys, service
def load(state):
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
    raise SystemExit
keys.load = load
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
service.Service((0, 0), code=(), search=(), state="", cache="")
"""
    # a zygote that has not been started is not looked at before the keys are
    code = code.replace(
        "from enarx.simulator import keys, service",
        "from enarx.simulator import keys, service\nservice.Zygote = lambda *_: None",
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "1\n0\n"
