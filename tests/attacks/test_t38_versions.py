"""T38: peers of different versions, by accident or because a host wants an older protocol: refused by version, on both
sides. Frames of version 1 are built here as that version built them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enarx.delivery.tenant import refusal_code
from enarx.formats.wire import FrameType, encode, frame
from tests.attacks.proxy import Frame, Proxy
from tests.attacks.real import Machine, finish
from tests.programs import module

CHALLENGE_1 = {"version": 1, "suite": 1, "nonce": bytes(32), "verifier": bytes(32), "package": bytes(32)}


def test_a_tenant_of_version_1_is_refused_by_a_keep(machine: Machine) -> None:
    wire = machine.keep()
    wire.send([frame(FrameType.CHALLENGE, encode(CHALLENGE_1))])
    assert refusal_code(wire.wait(FrameType.REFUSAL)) == "challenge-version"
    wire.until_end()


@pytest.mark.parametrize("version", [0, 3, 1 << 60, -1, True, "2", None])
def test_other_versions(machine: Machine, version: object) -> None:
    """The version is checked first, whatever else the messages contain."""
    wire = machine.keep()
    wire.send([frame(FrameType.CHALLENGE, encode({"version": version, "something": "else"}))])
    assert refusal_code(wire.wait(FrameType.REFUSAL)) == "challenge-version"


def test_a_delivery_of_version_1_is_refused(machine: Machine) -> None:
    """A host gains nothing by rewriting the version of the attestation: the Keep speaks version 2 to the end."""
    from enarx.delivery.tenant import Admission

    wire = machine.keep()
    built = machine.package("hello")
    admission = Admission(manifest=built.manifest, owner_seed=machine.owners.seed, nonce=os.urandom(32))
    wire.send([admission.challenge()])
    wire.wait(FrameType.ATTESTATION)
    fields = {"owner": bytes(32), "signature": bytes(64), "sealed": bytes(1200), "commitment": bytes(32), "time": 0}
    wire.send([frame(FrameType.DELIVERY, encode({"version": 1, "manifest": built.manifest.raw, **fields}))])
    assert refusal_code(wire.wait(FrameType.REFUSAL)) == "delivery-version"


def test_attachments_of_version_1_end_no_job(machine: Machine) -> None:
    wire = machine.keep()
    delivered = machine.deliver(wire, machine.package("cat"))
    wire.send([frame(FrameType.ATTACH, encode({"version": 1, "nonce": bytes(32)}))])
    result, shown = finish(wire, delivered, b"x")
    assert (result.status.cause, shown) == ("exit", b"x")


def as_version_1(answer: dict[str, object], kind: FrameType):  # type: ignore[no-untyped-def]
    """Return the answer of a version 1 Keep to a challenge."""

    def mangle(found: FrameType, payload: bytes) -> list[Frame]:
        return [(kind, encode(answer))] if found is FrameType.ATTESTATION else [(found, payload)]

    return mangle


@pytest.mark.parametrize("detach", [(), ("--detach",)], ids=["attached", "detached"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"code": "challenge-version"}, FrameType.REFUSAL),
        (
            {
                "version": 1,
                "kind": "simulated",
                "evidence": b"e",
                "endorsements": [],
                "hpke": bytes(1216),
                "identity": bytes(32),
                "challenge": bytes(32),
            },
            FrameType.ATTESTATION,
        ),
    ],
    ids=["a refusal", "an attestation"],
)
def test_the_command_says_so_to_a_keep_of_version_1(
    host: Proxy, home: Path, answer: dict[str, object], kind: FrameType, detach: tuple[str, ...]
) -> None:
    (home / "hello.wasm").write_bytes(module("hello"))
    host.to_tenant = as_version_1(answer, kind)
    found = host.deploy(*detach, home / "hello.wasm")
    assert (found.returncode, found.stdout) == (126, b"")
    assert b"speaks another version of the protocol than this program, which speaks version 2" in found.stderr
    assert host.behind.keeps() == {}
