"""T36: the host answers a request for fresh evidence of a running job with old evidence, or with another Keep's."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from enarx.delivery.messages import Attest, Evidence
from enarx.delivery.tenant import Freshness
from enarx.errors import AppraisalError, DeliveryError, UnavailableError
from enarx.formats.wire import FrameType, frame
from enarx.record import replace
from enarx.tenant.deploy import attest
from enarx.verify import AttestationResult
from tests.attacks.proxy import Proxy
from tests.attacks.real import Machine, Wire, finish
from tests.controls import Control
from tests.programs import module


class Between:
    """A host that replaces evidence in transit."""

    def __init__(self, wire: Wire, mangle) -> None:  # type: ignore[no-untyped-def]
        self.wire, self.mangle = wire, mangle
        self.stop, self.close, self.send = wire.stop, wire.close, wire.send

    def receive(self, start: int):  # type: ignore[no-untyped-def]
        for number, kind, payload in self.wire.receive(start):
            yield number, kind, self.mangle(payload) if kind is FrameType.EVIDENCE else payload


@pytest.fixture
def job(machine: Machine):  # type: ignore[no-untyped-def]
    built = machine.package("cat")
    wire = machine.keep()
    return machine, built, wire, machine.deliver(wire, built)


def asked(job, mangle=lambda p: p, patience: float = 10) -> AttestationResult:  # type: ignore[no-untyped-def]
    machine, built, wire, delivered = job
    link, verifier = Between(wire, mangle), machine.verifier(built)
    results: list[AttestationResult] = []
    attest(
        link,
        delivered.session,
        lambda received: results.append(verifier(received)),
        start=len(wire.log),
        patience=patience,
    )
    return results[0]


def asked_of(job) -> Control[AttestationResult]:  # type: ignore[no-untyped-def]
    """The control: the unchanged answer is accepted."""
    return Control(lambda mangle: asked(job, mangle), mangle=lambda p: p)


def test_a_running_keep_proves_itself_and_its_job_goes_on(job) -> None:  # type: ignore[no-untyped-def]
    _, _, wire, delivered = job
    for _ in range(3):
        asked(job)
    result, shown = finish(wire, delivered, b"undisturbed")
    assert (result.status.cause, shown) == ("exit", b"undisturbed")


def test_hardware_that_dies_over_a_request_ends_no_job(job) -> None:  # type: ignore[no-untyped-def]
    """Its end resets the link on which the Keep waits for an answer."""
    machine, _, wire, delivered = job
    machine.signal(signal.SIGSTOP)
    wire.send([frame(FrameType.ATTEST, Attest(nonce=bytes(32)).to_bytes())])
    time.sleep(1)  # the Keep has asked by then, and nobody has read it
    machine.signal(signal.SIGKILL)
    result, shown = finish(wire, delivered, b"undisturbed")
    assert (result.status.cause, shown) == ("exit", b"undisturbed")


def test_an_attachment_is_not_disturbed(job) -> None:  # type: ignore[no-untyped-def]
    import threading

    from enarx.tenant.deploy import Run

    _, _, wire, delivered = job
    pipe_out, pipe_in = os.pipe()
    shown: list[bytes] = []
    run = Run(
        link=wire, session=delivered.session, start=delivered.start, output=delivered.output,
        stdin=pipe_out, write=lambda _, data: shown.append(data),
    )  # fmt: skip
    thread = threading.Thread(target=run.serve)
    thread.start()
    assert run.attached.wait(10)
    asked(job)
    os.write(pipe_in, b"still attached")
    os.close(pipe_in)
    thread.join(20)
    os.close(pipe_out)
    assert not thread.is_alive()
    assert b"".join(shown) == b"still attached"


def test_old_evidence_does_not_answer_a_new_request(job) -> None:  # type: ignore[no-untyped-def]
    old: list[bytes] = []
    asked(job, lambda p: (old.append(p), p)[1])
    with pytest.raises(UnavailableError, check=lambda e: e.code == "keep-silent"):
        asked(job, lambda _: old[0], patience=1)


def test_old_evidence_under_the_new_requests_digest(job) -> None:  # type: ignore[no-untyped-def]
    old: list[Evidence] = []
    asked(job, lambda p: (old.append(Evidence.from_bytes(p)), p)[1])

    def relabelled(payload: bytes) -> bytes:
        return replace(old[0], request=Evidence.from_bytes(payload).request).to_bytes()

    with pytest.raises(AppraisalError, match="report"):
        asked_of(job).but(mangle=relabelled)


@pytest.mark.parametrize("field", ["session", "identity", "package"])
def test_of_another_session(job, field: str) -> None:  # type: ignore[no-untyped-def]
    def other(payload: bytes) -> bytes:
        return replace(Evidence.from_bytes(payload), **{field: bytes(32)}).to_bytes()

    with pytest.raises(DeliveryError, check=lambda e: e.code == "other-session"):
        asked(job, other)


def test_of_another_keep_with_the_names_of_this_one(job) -> None:  # type: ignore[no-untyped-def]
    """A genuine Keep of the same package answers the same request, but its evidence names its own session."""
    machine, built, wire, delivered = job
    second = machine.keep()
    machine.deliver(second, built)

    def other(payload: bytes) -> bytes:
        mine = Evidence.from_bytes(payload)
        second.send([frame(FrameType.ATTEST, asked_with[-1])])
        theirs = Evidence.from_bytes(second.wait(FrameType.EVIDENCE))
        assert theirs.request == mine.request
        return replace(mine, evidence=theirs.evidence, endorsements=theirs.endorsements).to_bytes()

    asked_with: list[bytes] = []
    send = wire.send
    wire.send = lambda frames, size=None: (asked_with.extend(bytes(f)[5:] for f in frames), send(frames))[1]  # type: ignore[method-assign]
    with pytest.raises(AppraisalError, match="report"):
        asked_of(job).but(mangle=other)


def test_admission_evidence_is_no_session_evidence(job) -> None:  # type: ignore[no-untyped-def]
    from enarx.delivery.messages import Attestation

    _, _, wire, _ = job
    admitted = Attestation.from_bytes(wire.of(FrameType.ATTESTATION)[0])

    def other(payload: bytes) -> bytes:
        return replace(Evidence.from_bytes(payload), evidence=admitted.evidence).to_bytes()

    with pytest.raises(AppraisalError, match="report"):
        asked_of(job).but(mangle=other)


def test_a_flood_of_requests_holds_up_nothing(job) -> None:  # type: ignore[no-untyped-def]
    """The Keep answers one request at a time and skips the others; the job goes on."""
    _, _, wire, delivered = job
    wire.send([frame(FrameType.ATTEST, Attest(nonce=os.urandom(32)).to_bytes()) for _ in range(5000)])
    result, shown = finish(wire, delivered, b"x" * 100_000)
    assert (result.status.cause, len(shown)) == ("exit", 100_000)
    assert 1 <= len(wire.of(FrameType.EVIDENCE)) < 5000


def test_a_malformed_answer_is_an_error_of_ours(job) -> None:  # type: ignore[no-untyped-def]
    from enarx.errors import ParseError

    _, _, _, delivered = job
    for junk in (b"", b"\xa0", os.urandom(300)):
        with pytest.raises(ParseError):
            Freshness(delivered.session, nonce=bytes(32)).answer(junk)


def test_the_command(host: Proxy, home: Path) -> None:
    (home / "sleep.wasm").write_bytes(module("sleep"))
    found = host.deploy("--detach", home / "sleep.wasm")
    assert found.returncode == 0, found.stderr
    keep = found.stdout.decode().strip()
    ask = ("keep", "attest", keep, "--host", host.url)
    options = ("--simulated-root", host.behind.root)
    good = host.enarx(*ask, *options, "--json")
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["status"] == "trusted"
    assert b"attestation: trusted" in good.stderr
    assert host.enarx(*ask, *options, "--measurement", "ab" * 48).returncode == 126
    assert host.enarx(*ask).returncode == 125
    recorded: list[bytes] = []
    host.to_tenant = lambda kind, p: (recorded.append(p) if kind is FrameType.EVIDENCE else None, [(kind, p)])[1]
    assert host.enarx(*ask, *options).returncode == 0
    host.to_tenant = lambda kind, p: [(kind, recorded[0] if kind is FrameType.EVIDENCE else p)]
    replayed = host.enarx(*ask, *options, patience=2)
    assert replayed.returncode == 127
    assert b"no evidence in time" in replayed.stderr
    host.to_tenant = lambda *given: [given]
    for word in ([], {"frames": "many"}, None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(host.client, "call", lambda *_, word=word: word)
            assert host.enarx(*ask, *options).returncode == 0
    assert host.enarx("keep", "stop", keep, "--host", host.url).returncode == 0
    assert host.enarx(*ask, *options, patience=2).returncode == 127
