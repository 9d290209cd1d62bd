"""The scene itself: with an honest host everything arrives. Without this no attack would prove anything."""

from __future__ import annotations

from tests.attacks.hostile import EXIT_CODE, FILE, HostileLink, Scene


def test_all_is_well(scene: Scene) -> None:
    keep = scene.keep()
    result = scene.play(HostileLink(keep))
    assert (result.status.cause, result.status.code, result.lost) == ("exit", EXIT_CODE, False)
    assert b"".join(scene.output) == b"canary-stdin"
    assert keep.files == {"0/file": FILE}
    assert keep.secrets == {"key": b"canary-secret"}
    assert keep.start is not None
    assert (keep.start.args, keep.start.env) == (("main.wasm", "canary-arg"), (("E", "canary-env"),))


def test_a_keep_launched_for_this_package_alone(scene: Scene) -> None:
    result = scene.play(HostileLink(scene.keep(host_data=scene.package.manifest.digest)))
    assert result.status.code == EXIT_CODE
