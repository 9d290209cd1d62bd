"""A hundred Keeps at once, and one too many."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.tenant import Tenant
from enarx.errors import UnavailableError
from enarx.formats.config import Config
from tests.e2e.harness import Daemon
from tests.programs import module

HUNDRED = 100
SMALL = Config.from_toml("[limits]\nmemory = '1MiB'\ncompile = '32MiB'\ndisk = '1MiB'\n")
"""A hundred of them fit into the memory of a small machine."""


@pytest.mark.timeout(300)
def test_a_hundred(home: Path) -> None:
    daemon = Daemon(home).start()
    tenant = Tenant(daemon)
    (home / "sleep.wasm").write_bytes(module("sleep"))
    keeps = set()
    try:
        for _ in range(HUNDRED):
            keep, run = tenant.deploy(tenant.package(home / "sleep.wasm", SMALL), lambda *_: None)
            run.link.close()
            keeps.add(keep)
        assert daemon.keeps() == dict.fromkeys(keeps, "running")
        with pytest.raises(UnavailableError, match="100 Keeps are running") as caught:
            tenant.client.launch(kind="process", package=None, memory=1 << 20, disk=1 << 20)
        assert caught.value.code == "host-full"
    finally:
        for keep in keeps:
            tenant.remove(keep)
        tenant.client.close()
        daemon.end()
