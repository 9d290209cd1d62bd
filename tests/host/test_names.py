"""What tenants say about their Keeps: names that are unique among running Keeps, and packages, shown and never relied on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from enarx.host.errors import HostError
from enarx.host.keeps.service import Keeps
from enarx.host.state.records import BadFileError, Record

from .harness import COMPILE, DISK, KIND, MEMORY, Daemon, eventually, launch_body
from .test_daemon import Make
from .test_tenants import ALICE, BOB, KEY, SIZES, Scene, scene  # noqa: F401  # fixtures

DIGEST = "ab" * 32


def launch(d: Daemon, **more: Any) -> tuple[int, Any]:
    return d.call("POST", "/v1/keeps", {**launch_body(), **more})


def listed(d: Daemon, query: str = "") -> list[dict[str, Any]]:
    keeps: list[dict[str, Any]] = d.call("GET", f"/v1/keeps{query}")[1]["keeps"]
    return keeps


async def named(keeps: Keeps, tenant: str, name: str = "web", key: str = "", **more: str) -> str:
    record = await keeps.launch(
        tenant=tenant, kind=KIND, package=None, sizes=SIZES, key=key, declared={"name": name, **more}
    )
    return record.id


async def code(call: Any) -> str:
    try:
        await call
    except HostError as e:
        return e.code
    return ""


@pytest.mark.parametrize("pool", [0, 1])
def test_a_keep_is_listed_as_its_tenant_calls_it(daemon: Make, pool: int) -> None:
    """From the pool too, and after a restart of the daemon."""
    d = daemon(pool=pool)
    eventually(lambda: b'"pooled": true' in d.text().encode() or not pool)
    status, value = launch(d, name="web", declared_package=DIGEST)
    assert status == 201, value
    keep = value["id"]
    _, other = launch(d)
    for _ in range(2):
        shown = {k["id"]: (k["name"], k["declared_package"], k["package_digest"]) for k in listed(d)}
        assert shown == {keep: ("web", DIGEST, "0" * 64), other["id"]: ("", "", "0" * 64)}
        assert [k["id"] for k in listed(d, "?name=web")] == [keep]
        assert listed(d, "?name=other") == []
        assert (d.info(keep)["name"], d.info(keep)["declared_package"]) == ("web", DIGEST)
        assert "web" not in d.text(), "the log has only what the host made itself"
        d.kill()
        d.start()


def test_a_name_is_taken_while_its_keep_runs(daemon: Make) -> None:
    d = daemon()
    _, first = launch(d, name="web")
    for _ in range(2):
        status, refused = launch(d, name="web")
        assert (status, refused["error"]["code"]) == (409, "name-taken")
        assert "web" in refused["error"]["message"]
        assert launch(d, name="web-2")[0] == 201
        d.kill()
        d.start()
        eventually(lambda: len(listed(d)) >= 2)
        for keep in listed(d, "?name=web-2"):
            d.call("DELETE", f"/v1/keeps/{keep['id']}?force=true")
    d.call("POST", f"/v1/keeps/{first['id']}/stop")
    status, second = launch(d, name="web")
    assert status == 201, "the name of an ended Keep is free"
    assert [k["id"] for k in listed(d, "?name=web")] == [first["id"], second["id"]]
    assert [k["id"] for k in listed(d, "?name=web&state=running")] == [second["id"]]
    d.call("DELETE", f"/v1/keeps/{first['id']}")
    assert launch(d, name="web")[0] == 409, "removing the ended Keep does not free the other's name"
    d.call("DELETE", f"/v1/keeps/{second['id']}?force=true")
    assert launch(d, name="web")[0] == 201


@pytest.mark.parametrize(
    "said",
    [
        {"name": "Web"},
        {"name": ""},
        {"name": "a" * 64},
        {"name": "0123456789abcdef"},
        {"name": "web\n"},
        {"name": 1},
        {"declared_package": "ab"},
        {"declared_package": "AB" * 32},
    ],
)
def test_what_is_not_a_name_or_a_digest(daemon: Make, said: dict[str, Any]) -> None:
    d = daemon()
    status, refused = launch(d, **said)
    assert (status, refused["error"]["code"]) == (400, "usage"), refused
    assert next(iter(said)) in refused["error"]["message"]
    assert launch(d, name=None, declared_package=None)[0] == 201


def test_names_are_each_tenants_own(scene: Scene) -> None:
    async def story(keeps: Keeps) -> None:
        one, two = await named(keeps, ALICE), await named(keeps, BOB)
        assert await code(named(keeps, ALICE)) == "name-taken"
        assert [k["id"] for k in (await keeps.page(tenant=BOB, name="web"))["keeps"]] == [two]
        await keeps.remove(one, tenant=ALICE, force=True)
        await keeps.remove(two, tenant=BOB, force=True)

    scene.run(story)


@pytest.mark.parametrize("pool", [0, 2])
def test_of_launches_at_once_only_one_gets_the_name(scene: Scene, pool: int) -> None:
    async def story(keeps: Keeps) -> None:
        while keeps.counts()["pooled"] < pool:
            await asyncio.sleep(0.05)
        codes = await asyncio.gather(*(code(named(keeps, ALICE)) for _ in range(4)))
        assert sorted(codes) == ["", "name-taken", "name-taken", "name-taken"]
        (item,) = (await keeps.page(tenant=ALICE))["keeps"]
        await keeps.remove(item["id"], tenant=ALICE, force=True)

    scene.run(story, pool=pool)


def test_a_launch_that_fails_leaves_the_name_free(scene: Scene) -> None:
    async def story(keeps: Keeps) -> None:
        huge = {**SIZES, "memory": 1 << 40}
        failing = keeps.launch(tenant=ALICE, kind=KIND, package=None, sizes=huge, declared={"name": "web"})
        assert await code(failing) == "host-full"
        keep = await named(keeps, ALICE)
        await keeps.remove(keep, tenant=ALICE, force=True)

    scene.run(story, memory=4 << 30)


def test_a_repeated_launch_is_not_in_its_own_way(scene: Scene) -> None:
    async def story(keeps: Keeps) -> None:
        first, second = await asyncio.gather(named(keeps, ALICE, key=KEY), named(keeps, ALICE, key=KEY))
        assert first == second == await named(keeps, ALICE, key=KEY)
        assert await code(named(keeps, ALICE, "other", key=KEY)) == "key-reused"
        assert await code(named(keeps, ALICE, key=KEY, declared_package=DIGEST)) == "key-reused"
        await keeps.remove(first, tenant=ALICE, force=True)

    scene.run(story)


def record(**more: object) -> dict[str, Any]:
    value = {
        "id": "0123456789abcdef",
        "kind": KIND,
        "package_digest": "0" * 64,
        "memory": MEMORY,
        "compile": COMPILE,
        "disk": DISK,
        "created": 1.7e9,
        "tenant": ALICE,
        "key": "",
        "request": "",
        "processes": {"boot": "0" * 36, "supervisor": [1, 1], "keep": [2, 2]},
    }
    return value | more


def test_records_of_older_hosts_are_read() -> None:
    old = Record.of(record(), keep="0123456789abcdef", pooled=False)
    assert (old.name, old.declared_package) == ("", "")
    new = Record.of(record(name="web", declared_package=DIGEST), keep="0123456789abcdef", pooled=False)
    assert (new.name, new.declared_package) == ("web", DIGEST)
    assert Record.of(json.loads(json.dumps(new.value())), keep=new.id, pooled=False) == new


@pytest.mark.parametrize("wrong", [{"name": "-"}, {"name": "\x1b"}, {"name": None}, {"declared_package": "x"}])
def test_records_with_other_names_are_not(wrong: dict[str, object]) -> None:
    with pytest.raises(BadFileError):
        Record.of(record(**wrong), keep="0123456789abcdef", pooled=False)
