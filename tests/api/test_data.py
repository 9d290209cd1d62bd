"""`enarx.preview`, `contribute` and `receive`: several owners of data, in this process, on a real daemon."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest

import enarx
from enarx.tenant import owners, recipients
from tests.controls import Control
from tests.e2e.harness import Daemon
from tests.house.test_invariants import ROOT
from tests.verifier import measured
from tests.wat import reporter

HOSPITALS = ROOT / "examples/hospitals"


class Scene:
    """Two hospitals and an institute with keys in `place`, and a job that waits for them."""

    def __init__(self, daemon: Daemon, place: Path, **limits: Any) -> None:
        self.daemon, self.place = daemon, place
        public = {name: owners.create(str(place / f"{name}.pem")) for name in ("north", "south")}
        config = enarx.Config(
            args=("/north", "/south"),
            dirs=(enarx.Dir(guest="/north"), enarx.Dir(guest="/south")),
            providers=tuple(
                enarx.Provider(name=name, key=key.hex(), dirs=(f"/{name}",)) for name, key in public.items()
            ),
            recipients=(enarx.Recipient(name="institute", key=recipients.create(str(place / "i.key")).hex()),),
        )
        self.job = enarx.deploy(
            HOSPITALS / "stay.wasm", config=config, host=daemon.url, simulated_root=daemon.root, detach=True, **limits
        )
        assert self.job.invitation is not None
        self.invitation = self.job.invitation

    def options(self, **more: Any) -> dict[str, Any]:
        return {"simulated_root": self.daemon.root} | more

    def contribute(self, name: str, **more: Any) -> enarx.Contribution:
        given = {"key": self.place / f"{name}.pem", "dirs": {f"/{name}": HOSPITALS / name}, "package": self.job.package}
        return enarx.contribute(self.invitation, **self.options(**given | more))

    def receive(self, **more: Any) -> enarx.Result:
        return enarx.receive(self.invitation, **self.options(key=self.place / "i.key", **more))


@pytest.fixture
def scene(daemon: Daemon, tmp_path: Path) -> Scene:
    return Scene(daemon, tmp_path)


def test_parties_and_their_results(scene: Scene) -> None:
    preview = enarx.preview(scene.invitation, **scene.options())
    assert preview.attestation is not None
    assert preview.attestation.status == "trusted"
    assert preview.package == scene.job.package
    assert sorted(preview.missing) == ["north", "south"]
    assert preview.manifest.config.dirs[0].guest == "/north"
    parts = [scene.contribute(name) for name in ("north", "south")]
    assert [(part.provider, part.earlier) for part in parts] == [("north", False), ("south", False)]
    assert parts[1].preview.missing == ()
    result = scene.receive()
    assert result.exit_code == 0
    assert result.stdout.startswith(b"ward,patients")
    assert b"2 hospitals" in result.stderr
    assert result.attestation is not None
    out = io.BytesIO()
    assert scene.receive(stdout=out).stdout == b""
    assert out.getvalue() == result.stdout
    with pytest.raises(enarx.UnavailableError, match="sealed to: institute"):
        enarx.logs(scene.job.keep)


def test_a_place_that_is_taken_is_refused_before_the_run_begins(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(enarx.UsageError, match="taken: not a directory"):
        scene.receive(out={"/out": tmp_path / "taken"})


def test_output_directories_of_recipients(daemon: Daemon, tmp_path: Path) -> None:
    """They go to the recipient; the owner can neither read nor name a place for them."""
    recipient = enarx.Recipient(name="institute", key=recipients.create(str(tmp_path / "i.key")).hex())
    config = enarx.Config(dirs=(enarx.Dir(guest="/out", mode="out"),), recipients=(recipient,))
    given: dict[str, Any] = {"config": config, "host": daemon.url, "simulated_root": daemon.root}
    for detach in (False, True):
        with pytest.raises(enarx.UsageError, match="sealed to institute"):
            enarx.deploy(reporter(), out={"/out": tmp_path / "mine"}, detach=detach, **given)
    with enarx.deploy(reporter(), **given) as job:
        with pytest.raises(enarx.UnavailableError, match="sealed to: institute"):
            job.wait()
        with pytest.raises(enarx.UsageError, match="sealed to institute"):
            enarx.logs(job.keep, out={"/out": tmp_path / "mine"})
        assert job.invitation is not None
        wanted: dict[str, Any] = {"key": tmp_path / "i.key", "simulated_root": daemon.root}
        (directory,) = enarx.receive(job.invitation, **wanted).directories
        assert (directory.guest, directory.files, directory.path) == ("/out", 1, "")
        with pytest.raises(enarx.UsageError, match="/other is not an output directory"):
            enarx.receive(job.invitation, out={"/other": tmp_path / "r"}, **wanted)
        result = enarx.receive(job.invitation, out={"/out": tmp_path / "r"}, **wanted)
        assert [each.path for each in result.directories] == [str(tmp_path / "r")]
        assert not result.lost
        with pytest.raises(enarx.UsageError, match="is not empty"):
            enarx.receive(job.invitation, out={"/out": tmp_path / "r"}, **wanted)
        assert enarx.receive(job.invitation, out={"/out": tmp_path / "r"}, replace=True, **wanted).exit_code == 0
    assert (tmp_path / "r" / "report.txt").read_text() == "all is well\n"
    assert not (tmp_path / "mine").exists()


def test_nothing_is_sealed_without_consent(scene: Scene) -> None:
    asked: list[enarx.Preview] = []

    def agree(preview: enarx.Preview) -> bool:
        asked.append(preview)
        return len(asked) > 1

    with pytest.raises(enarx.UsageError, match="neither package nor agree"):
        scene.contribute("north", package=None)
    with pytest.raises(enarx.UsageError, match="nothing was sealed"):
        scene.contribute("north", package=None, agree=agree)
    assert enarx.preview(scene.invitation, **scene.options()).parts == ()
    assert scene.contribute("north", package=None, agree=agree).digest
    assert asked[0].package == scene.job.package


@pytest.mark.parametrize(
    "wrong", [{"simulated_root": bytes(32)}, {"measurements": ["ab" * 48]}, {"package": bytes(32)}]
)
def test_each_party_has_a_policy_of_its_own(scene: Scene, wrong: dict[str, Any]) -> None:
    def previewed(**given: Any) -> object:
        return enarx.preview(scene.invitation, **given).attestation

    control = Control(
        previewed, simulated_root=scene.daemon.root, measurements=[measured()], package=scene.job.package.hex()
    )
    with pytest.raises((enarx.AppraisalError, enarx.VerificationError)):
        control.but(**wrong)


def test_arguments_of_a_wrong_kind(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(enarx.UsageError, match="no option is called polcy"):
        enarx.preview(scene.invitation, **scene.options(polcy="x"))
    with pytest.raises(enarx.UsageError, match="nothing says what evidence is acceptable"):
        enarx.preview(scene.invitation)
    with pytest.raises(enarx.UsageError, match="package: wanted 32 bytes"):
        enarx.preview(scene.invitation, **scene.options(package="zz"))
    with pytest.raises(enarx.UsageError, match="not an invitation"):
        (tmp_path / "x").write_text("{}")
        enarx.preview(tmp_path / "x", **scene.options())
    with pytest.raises(enarx.UsageError, match="missing: No such file"):
        enarx.receive(scene.invitation, **scene.options(key=tmp_path / "missing"))


def test_an_invitation_on_disk_and_another_address(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "invitation"
    enarx.Invitation(
        url="unix:///nowhere/host.sock",
        keep=scene.invitation.keep,
        secret=scene.invitation.secret,
        package=scene.invitation.package,
        session=scene.invitation.session,
    ).save(str(path))
    with pytest.raises(enarx.UnavailableError):
        enarx.preview(path, **scene.options())
    assert enarx.preview(path, **scene.options(host=scene.daemon.url)).package == scene.job.package


def test_asyncio(scene: Scene) -> None:
    async def party(name: str) -> str:
        part = await enarx.aio.contribute(
            scene.invitation,
            key=scene.place / f"{name}.pem",
            dirs={f"/{name}": HOSPITALS / name},
            package=scene.job.package,
            simulated_root=scene.daemon.root,
        )
        return part.provider

    async def main() -> tuple[Any, ...]:
        preview = await enarx.aio.preview(scene.invitation, simulated_root=scene.daemon.root)
        assert len(preview.missing) == 2
        reading = enarx.aio.receive(scene.invitation, key=scene.place / "i.key", simulated_root=scene.daemon.root)
        return tuple(await asyncio.gather(party("north"), party("south"), reading))

    north, south, result = asyncio.run(main())
    assert (north, south, result.exit_code) == ("north", "south", 0)


def test_a_cancelled_recipient_leaves_nothing_behind(scene: Scene) -> None:
    async def main() -> None:
        reading = enarx.aio.receive(scene.invitation, key=scene.place / "i.key", simulated_root=scene.daemon.root)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await reading

    asyncio.run(main())
    assert not [name for name in os.listdir("/proc/self/task") if name == "enarx-mail"]
    assert scene.daemon.keeps() == {scene.job.keep: "running"}


def test_a_job_without_parties_has_no_invitation(daemon: Daemon, tmp_path: Path) -> None:
    hello = ROOT / "examples/hello/hello.wasm"
    with enarx.deploy(hello, host=daemon.url, simulated_root=daemon.root) as job:
        assert job.invitation is None
        job.wait()
    with pytest.raises(enarx.UsageError, match="an invitation for nobody"):
        enarx.deploy(hello, host=daemon.url, simulated_root=daemon.root, invite=tmp_path / "i")
    assert daemon.keeps() == {}
