"""The scene itself: with a host that does its work, everything comes through. Without this no attack would prove anything."""

from __future__ import annotations

from tests.attacks.hostile import HostileLink, Scene


def test_all_is_well(scene: Scene) -> None:
    keep = scene.keep()
    result = scene.play(HostileLink(keep))
    assert (result.status.cause, result.status.code, result.lost) == ("exit", 7, False)
    assert b"".join(scene.output) == b"canary-stdin"
    assert keep.store.got["data"] == b"canary-file" * 200_000


def test_a_keep_launched_for_this_package_alone(scene: Scene) -> None:
    result = scene.play(HostileLink(scene.keep(host_data=scene.package.manifest.digest)))
    assert result.status.code == 7
