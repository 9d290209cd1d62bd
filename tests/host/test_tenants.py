"""Tenants: their separation, quotas and repeated launches. `Keeps` as in the daemon, over the real launcher."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from enarx.formats.bounds import keep_memory
from enarx.host.errors import HostError
from enarx.host.keeps.bounds import Bounds
from enarx.host.keeps.service import Keeps
from enarx.host.launcher.client import Launcher
from enarx.host.state.store import Store

from .harness import COMPILE, DISK, KIND, MEMORY, PATHS, REFUSES

SIZES = {"memory": MEMORY, "compile": COMPILE, "disk": DISK}
KEY = "0123456789abcdef"
ALICE, BOB = "uid:1000", "token:0123456789abcdef"


class Scene:
    """Runs asynchronous stories, one after the other, on the same state."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "hardware").mkdir()

    def run(self, story: Callable[[Keeps], Awaitable[None]], **bounds: Any) -> None:
        async def told() -> None:
            launcher = Launcher(PATHS, state=f"{self.root}/hardware", cache=str(self.root))
            options = {"keeps": 10, "memory": 0, "disk": 0, "stored_output": 1 << 20, "pool": 0, **bounds}
            keeps = Keeps(Store(str(self.root)), launcher, Bounds(**options), ())
            keeps.start()
            try:
                await story(keeps)
            finally:
                await keeps.close()
                launcher.close()

        asyncio.run(told())


@pytest.fixture
def scene(root: Path) -> Scene:
    return Scene(root)


async def launch(keeps: Keeps, tenant: str, *, key: str = "", package: str | None = None, **sizes: int) -> str:
    record = await keeps.launch(tenant=tenant, kind=KIND, package=package, key=key, sizes={**SIZES, **sizes})
    return record.id


async def refused(call: Awaitable[object]) -> str:
    try:
        await call
    except HostError as e:
        return e.code
    return ""


async def nothing() -> Any:
    return
    yield b""


def test_anothers_keep_is_not_there(scene: Scene) -> None:
    async def story(keeps: Keeps) -> None:
        keep = await launch(keeps, ALICE)
        for call in (
            keeps.info(keep, tenant=BOB),
            keeps.wait(keep, 0.1, tenant=BOB),
            keeps.stop(keep, tenant=BOB),
            keeps.remove(keep, tenant=BOB, force=True),
            keeps.input(keep, nothing(), tenant=BOB),
            keeps.output(keep, 0, tenant=BOB, follow=False),
        ):
            assert await refused(call) == "not-found"
        assert (await keeps.page(tenant=BOB))["keeps"] == []
        assert await refused(keeps.page(tenant=BOB, after=keep)) == "usage"
        await keeps.stop(keep, tenant=ALICE)
        assert await keeps.prune(tenant=BOB) == []
        assert await keeps.prune(tenant=ALICE) == [keep]

    scene.run(story)


def test_tenants_are_known_again_after_a_restart(scene: Scene) -> None:
    found: list[str] = []

    async def before(keeps: Keeps) -> None:
        found.append(await launch(keeps, ALICE, key=KEY))

    async def after(keeps: Keeps) -> None:
        assert (await keeps.page(tenant=BOB))["keeps"] == []
        (item,) = (await keeps.page(tenant=ALICE))["keeps"]
        assert (item["id"], item["state"]) == (found[0], "running")
        assert await launch(keeps, ALICE, key=KEY) == found[0]
        await keeps.remove(found[0], tenant=ALICE, force=True)

    scene.run(before)
    scene.run(after)


def test_quotas_are_each_tenants_own_and_room_comes_back(scene: Scene) -> None:
    async def story(keeps: Keeps) -> None:
        one, _ = [await launch(keeps, ALICE) for _ in range(2)]
        assert await refused(launch(keeps, ALICE)) == "host-full"
        assert await launch(keeps, BOB)
        await keeps.stop(one, tenant=ALICE)
        assert await launch(keeps, ALICE)
        for tenant in (ALICE, BOB):
            for item in (await keeps.page(tenant=tenant))["keeps"]:
                await keeps.remove(item["id"], tenant=tenant, force=True)

    scene.run(story, tenant_keeps=2)


def test_quotas_of_memory_count_what_a_keep_may_take(scene: Scene) -> None:
    async def story(keeps: Keeps) -> None:
        keep = await launch(keeps, ALICE)
        assert await refused(launch(keeps, ALICE)) == "host-full"
        await keeps.remove(keep, tenant=ALICE, force=True)

    scene.run(story, tenant_memory=2 * keep_memory(**SIZES) - 1)


@pytest.mark.parametrize("pool", [0, 1])
def test_a_key_that_comes_with_another_request_is_refused(scene: Scene, pool: int) -> None:
    """Also while the first launch is under way, after a restart, and for a Keep from the pool with its other sizes."""
    kept = []

    async def story(keeps: Keeps) -> None:
        while keeps.counts()["pooled"] < pool:
            await asyncio.sleep(0.05)
        first = asyncio.create_task(launch(keeps, ALICE, key=KEY))
        await asyncio.sleep(0)
        assert await refused(launch(keeps, ALICE, key=KEY, disk=DISK + 1)) == "key-reused"
        kept.append(await first)
        await others(keeps)

    async def others(keeps: Keeps) -> None:
        assert await refused(launch(keeps, ALICE, key=KEY, memory=MEMORY + 1)) == "key-reused"
        assert await refused(launch(keeps, ALICE, key=KEY, package="ab" * 32)) == "key-reused"
        assert await launch(keeps, ALICE, key=KEY) == kept[0]
        assert await launch(keeps, BOB, key=KEY, memory=MEMORY + 1) != kept[0]

    scene.run(story, pool=pool)
    scene.run(others)


def test_a_record_without_its_request_takes_the_key_alone(scene: Scene) -> None:
    """Hosts before did not write what a key came with."""

    async def story(keeps: Keeps) -> None:
        keep = await launch(keeps, ALICE, key=KEY)
        path = scene.root / "keeps" / keep / "record.json"
        record = json.loads(path.read_text())
        del record["request"]
        path.write_text(json.dumps(record))

    async def later(keeps: Keeps) -> None:
        (item,) = (await keeps.page(tenant=ALICE))["keeps"]
        assert await launch(keeps, ALICE, key=KEY, memory=MEMORY + 1) == item["id"]
        await keeps.remove(item["id"], tenant=ALICE, force=True)

    scene.run(story)
    scene.run(later)


@pytest.mark.parametrize("pool", [0, 1])
def test_one_key_is_one_keep_however_often_and_at_once(scene: Scene, pool: int) -> None:
    async def story(keeps: Keeps) -> None:
        while keeps.counts()["pooled"] < pool:
            await asyncio.sleep(0.05)
        found = await asyncio.gather(*(launch(keeps, ALICE, key=KEY) for _ in range(8)))
        assert len(set(found)) == 1
        assert await launch(keeps, ALICE, key=KEY) == found[0]
        other = await launch(keeps, BOB, key=KEY)
        another = await launch(keeps, ALICE, key=KEY + "2")
        assert len({found[0], other, another}) == 3
        await keeps.stop(found[0], tenant=ALICE)
        assert await launch(keeps, ALICE, key=KEY) == found[0]
        await keeps.remove(found[0], tenant=ALICE, force=False)
        anew = await launch(keeps, ALICE, key=KEY)
        assert anew != found[0]
        for keep, tenant in ((other, BOB), (another, ALICE), (anew, ALICE)):
            await keeps.remove(keep, tenant=tenant, force=True)

    scene.run(story, pool=pool)


def test_whoever_asks_first_may_leave(scene: Scene) -> None:
    async def story(keeps: Keeps) -> None:
        first = asyncio.create_task(launch(keeps, ALICE, key=KEY))
        await asyncio.sleep(0.01)
        first.cancel()
        keep = await launch(keeps, ALICE, key=KEY)
        assert [item["id"] for item in (await keeps.page(tenant=ALICE))["keeps"]] == [keep]
        await keeps.remove(keep, tenant=ALICE, force=True)

    scene.run(story)


def test_a_launch_that_failed_is_not_remembered(scene: Scene) -> None:
    async def story(keeps: Keeps) -> None:
        assert await refused(launch(keeps, ALICE, key=KEY, memory=REFUSES)) == "layers-missing"
        keep = await launch(keeps, ALICE, key=KEY)
        await keeps.remove(keep, tenant=ALICE, force=True)

    scene.run(story)


def test_a_claimed_keep_is_the_claimants(scene: Scene, root: Path) -> None:
    found: list[str] = []

    async def claim(keeps: Keeps) -> None:
        while not keeps.counts()["pooled"]:
            await asyncio.sleep(0.05)
        found.append(await launch(keeps, ALICE))
        assert (await keeps.info(found[0], tenant=ALICE))["memory"] == 1 << 30

    async def later(keeps: Keeps) -> None:
        assert await refused(keeps.info(found[0], tenant=BOB)) == "not-found"
        await keeps.remove(found[0], tenant=ALICE, force=True)

    scene.run(claim, pool=1)
    assert not (root / "keeps" / found[0] / "pooled.json").exists()
    scene.run(later)
