"""One run of chaos: tenants work, trouble strikes and stops, and then the invariants are checked."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from bench.tenant import Tenant
from enarx.tenant.http import HostClient
from tests.chaos.machine import Machine
from tests.chaos.tenants import Tenants
from tests.chaos.trouble import Trouble
from tests.e2e.harness import until

TENANTS = 6
PEACE = 90.0
"""Seconds for every job under way to end, once trouble has stopped."""

FOR_GOOD = {"launcher", "simulator", "zygote", "other"}
"""Roles that exist without any Keep; `other` is the daemon."""


def run(home: Path, seconds: float, seed: int) -> list[str]:
    """Everything that went wrong. Prints the seed and what happened."""
    print(f"chaos: seed {seed}, {seconds:.0f} s", flush=True)
    machine = Machine(home, "--pool", "2", "--max-keeps", "12")
    try:
        machine.start()
        return _visited(machine, seconds, seed)
    finally:
        machine.clean()
        machine.unmount()


def _visited(machine: Machine, seconds: float, seed: int) -> list[str]:
    before = machine.descriptors()
    Tenant(machine)  # makes the owner's key
    tenants = Tenants(lambda: Tenant(machine), machine.home, seed, TENANTS)
    trouble = Trouble(machine, seed)
    tenants.start()
    trouble.start()
    time.sleep(seconds)
    trouble.stop()
    tenants.stop(PEACE)
    print(f"chaos: made {json.dumps(trouble.made)}")
    print(f"chaos: jobs {json.dumps(tenants.ledger.outcomes)}", flush=True)
    wrong = [*tenants.ledger.wrong, *trouble.failed, *machine.bugs()]
    if not any("as it should be" in outcome for outcome in tenants.ledger.outcomes):
        wrong.append("no job at all came to its end")
    return wrong + _counted(machine, tenants.ledger.keeps) + _left(machine, before)


def _counted(machine: Machine, wanted: set[str]) -> list[str]:
    """Check that every Keep that a tenant has is listed, and that every Keep's process belongs to a listed Keep."""
    client = Tenant(machine).client
    listed = _listed(client)
    wrong = [f"Keep {keep} is lost" for keep in sorted(wanted - set(listed))]
    running = {keep for keep, state in listed.items() if state == "running"}
    pids = {client.call("GET", f"/v1/keeps/{keep}").get("keep_pid") for keep in running}
    pooled = _metric(client, "pooled")
    keepers = {pid for pid, role in machine.processes().items() if role == "keeper"}
    if len(keepers) > len(running) + pooled:
        wrong.append(
            f"{len(keepers)} Keeps are running, {len(running)} are listed and {pooled} are in the pool: {pids}"
        )
    return wrong


def _left(machine: Machine, descriptors: int) -> list[str]:
    """Remove all Keeps, and check that no process, file, descriptor or cgroup of them is left."""
    client = Tenant(machine).client
    for keep in _listed(client):
        client.call("DELETE", f"/v1/keeps/{keep}?force=true")
    client.close()
    machine.end()
    wrong = []
    try:
        until(lambda: not [r for r in machine.processes().values() if r not in FOR_GOOD], "Keeps to be gone", 20)
        until(lambda: not machine.processes(), "the simulator to be gone", 20)
    except AssertionError as e:
        wrong.append(f"{e}: {machine.processes()}")
    if left := os.listdir(machine.state / "keeps"):
        wrong.append(f"left in keeps/: {left}")
    machine.start()
    machine.end()
    if left := machine.cgroups():
        wrong.append(f"cgroups that are left: {left}")
    machine.start()
    if machine.descriptors() > descriptors + 4:
        wrong.append(f"{machine.descriptors()} descriptors are open, {descriptors} at first")
    return wrong


def _listed(client: HostClient) -> dict[str, str]:
    return {keep["id"]: keep["state"] for keep in client.keeps()}


def _metric(client: HostClient, state: str) -> int:
    with client.request(client.connect(), "GET", "/metrics", None, {}) as answer:
        text = answer.read().decode()
    for line in text.splitlines():
        if line.startswith(f'enarx_keeps{{state="{state}"}}'):
            return int(float(line.split()[-1]))
    return 0
