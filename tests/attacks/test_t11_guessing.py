"""T11: the host guesses the package's content and checks its guess against the digest."""

from __future__ import annotations

from enarx.formats.package import commit_args
from tests.attacks.hostile import HostileLink, Scene
from tests.attacks.hostile import scene as make


def test_the_same_package_twice_looks_different(scene: Scene, tmp_path) -> None:  # type: ignore[no-untyped-def]
    other = make(tmp_path / "again")
    assert other.package.manifest.wasm == scene.package.manifest.wasm
    for name in ("args", "env", "dirs", "digest"):
        assert getattr(other.package.manifest, name) != getattr(scene.package.manifest, name)


def test_a_right_guess_can_not_be_told_from_a_wrong_one(scene: Scene) -> None:
    link = HostileLink(scene.keep())
    scene.play(link)
    seen = b"".join(link.seen)
    assert scene.package.manifest.args in seen, "the commitment travels in clear"
    for salt in (bytes(32), scene.package.manifest.digest, scene.package.manifest.wasm):
        assert commit_args(salt, ("main.wasm", "canary-arg")) not in seen
