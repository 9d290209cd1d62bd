"""The parties of a configuration, with keys read from files, and packages without what they bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.api.workloads import Workload
from enarx.errors import UsageError
from enarx.formats.config import Config, Dir, Secret
from enarx.formats.parties import Provider, Recipient
from enarx.record import replace
from enarx.tenant import owners, parties, recipients
from tests.programs import module


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    (tmp_path / "guest.wasm").write_bytes(module("cat"))
    (tmp_path / "north.pub").write_text(owners.public_pem(owners.create(str(tmp_path / "north.pem"))))
    recipients.create(str(tmp_path / "reader"))
    return tmp_path


CONFIG = Config(
    dirs=(Dir(guest="/own", mode="rw"), Dir(guest="/b"), Dir(guest="/a")),
    secrets=(Secret(name="own"), Secret(name="theirs")),
    providers=(Provider(name="North", key="north.pub", dirs=("/a", "/b"), secrets=("theirs",)),),
    recipients=(Recipient(name="Reader", key="reader.pub"),),
)


def test_keys_come_from_files_or_digits(home: Path) -> None:
    ((provider,), (reader,)) = parties.resolve(CONFIG, str(home))
    assert provider.key == owners.read_public(str(home / "north.pem"))
    assert reader.key == recipients.read_public(str(home / "reader"))
    assert provider.dirs == ("/b", "/a")  # in the configuration's order
    written = replace(
        CONFIG,
        providers=(replace(CONFIG.providers[0], key=provider.key.hex()),),
        recipients=(replace(CONFIG.recipients[0], key=reader.key.hex()),),
    )
    assert parties.resolve(written, "/missing") == ((provider,), (reader,))


def test_a_package_has_only_what_the_owner_gives(home: Path) -> None:
    built, _ = Workload(module=home / "guest.wasm", config=on_disk(home), secrets=(("own", b"mine"),)).build()
    assert len(built.manifest.dirs) == len(built.trees) == 1
    assert [p.name for p in built.manifest.providers] == ["North"]
    assert [d.guest for d in built.manifest.config.dirs] == ["/own", "/b", "/a"]
    digest, _ = Workload(module=home / "guest.wasm", config=on_disk(home)).build()
    assert digest.manifest.providers == built.manifest.providers


@pytest.mark.parametrize(("secrets", "message"), [((), "no value for secret own"), (("own", "theirs"), "theirs")])
def test_the_owner_gives_exactly_its_own_secrets(home: Path, secrets: tuple[str, ...], message: str) -> None:
    given = tuple((name, b"x") for name in secrets)
    with pytest.raises(UsageError, match=message):
        Workload(module=home / "guest.wasm", config=on_disk(home), secrets=given).build()


def test_a_misspelled_secret_is_named_with_the_right_one(home: Path) -> None:
    with pytest.raises(UsageError, match="a value for secret onw, which") as e:
        Workload(module=home / "guest.wasm", config=on_disk(home), secrets=(("onw", b"x"),)).build()
    assert e.value.hint == "did you mean own?"


def test_a_missing_module_comes_before_a_missing_secret(home: Path) -> None:
    with pytest.raises(UsageError) as e:
        Workload(module=home / "geust.wasm", config=on_disk(home), secrets=()).build()
    assert (e.value.code, e.value.hint) == ("wasm-file", f"did you mean {home / 'guest.wasm'}?")


def on_disk(home: Path) -> Path:
    path = home / "Enarx.toml"
    path.write_text(TOML)
    return path


TOML = """
[secrets]
own = {}
theirs = {}
[[dirs]]
guest = "/own"
mode = "rw"
[[dirs]]
guest = "/b"
[[dirs]]
guest = "/a"
[[providers]]
name = "North"
key = "north.pub"
dirs = ["/a", "/b"]
secrets = ["theirs"]
[[recipients]]
name = "Reader"
key = "reader.pub"
"""


def test_a_key_of_the_wrong_kind_or_place(home: Path) -> None:
    wrong = replace(CONFIG, recipients=(Recipient(name="R", key="north.pub"),))
    with pytest.raises(UsageError, match="an owner's key, which signs"):
        parties.resolve(wrong, str(home))
    with pytest.raises(UsageError, match="not an unencrypted PEM key"):
        parties.resolve(replace(CONFIG, providers=(replace(CONFIG.providers[0], key="reader.pub"),)), str(home))
    for key in ("../north.pub", "/north.pub"):
        (home / "Enarx.toml").write_text(TOML.replace("north.pub", key))
        with pytest.raises(UsageError, match="leads out of the file's own directory"):
            Workload(module=home / "guest.wasm").build()


def test_two_parties_with_one_key(home: Path) -> None:
    twice = (replace(CONFIG.providers[0], secrets=()), Provider(name="S", key="north.pub", secrets=("theirs",)))
    with pytest.raises(UsageError, match="North and S have the same key"):
        parties.resolve(replace(CONFIG, providers=twice), str(home))
