"""T34: a receipt is composed of parts that do not belong together, or shown with other output."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from pathlib import Path

import pytest

from enarx.delivery.messages import Attestation, Challenge
from enarx.delivery.output import final_transcript
from enarx.delivery.receipt import Receipt
from enarx.delivery.session import STDERR, STDOUT
from enarx.delivery.suite import signing_key
from enarx.errors import AppraisalError, EnarxError, VerificationError
from enarx.formats.evidence.simulated import Evidence as SimulatedEvidence
from enarx.record import names, replace
from enarx.tenant.deploy import ReceivedEvidence
from tests.attacks.real import Machine, finish
from tests.controls import Control
from tests.e2e.harness import enarx, run
from tests.programs import module

POLICY = """kind = "simulated"
measurement = "{}"
host_data = {{ unchecked = "the report data binds the package" }}
debug = false
svn = {{ unchecked = "simulated hardware has one version" }}
chip_id = {{ unchecked = "simulated hardware is known by its root" }}
"""
PARTS = names(Receipt)


def believed(machine: Machine, built, data: bytes, stdout: bytes = b"out\n", stderr: bytes = b"err\n"):  # type: ignore[no-untyped-def]
    """Do every step of `enarx result verify`; return the result of the evidence."""
    receipt = Receipt.from_bytes(data)
    attested = Attestation.from_bytes(receipt.attestation)
    result = machine.verifier(built)(
        ReceivedEvidence(
            kind=attested.kind,
            evidence=attested.evidence,
            endorsements=attested.endorsements,
            report_data=receipt.report_data,
        )
    )
    final = receipt.verify()
    receipt.verify_output(final, STDOUT, [stdout])
    receipt.verify_output(final, STDERR, [stderr])
    return result


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Hardware, a package, the receipts of two runs of it, and that of another package by the same owner."""
    machine = Machine(tmp_path_factory.mktemp("machine") / "machine")
    built, other = machine.package("both"), machine.package("hello")
    receipts = []
    for package in (built, built, other):
        wire = machine.keep()
        result, _ = finish(wire, machine.deliver(wire, package))
        receipts.append(result.receipt)
    true = Control(lambda data: believed(machine, built, data), data=receipts[0].to_bytes())
    yield machine, built, receipts, true
    machine.close()


def test_true_receipts_are_believed(two) -> None:  # type: ignore[no-untyped-def]
    machine, built, (one, other, _), _ = two
    believed(machine, built, one.to_bytes())
    believed(machine, built, other.to_bytes())
    assert one != other


@pytest.mark.parametrize("other", [1, 2], ids=["of another run", "of another package"])
@pytest.mark.parametrize(
    "parts", [parts for n in range(1, len(PARTS)) for parts in itertools.combinations(PARTS, n)], ids=", ".join
)
def test_swapped_parts(two, parts: tuple[str, ...], other: int) -> None:  # type: ignore[no-untyped-def]
    _, _, receipts, true = two
    swapped = replace(receipts[0], **{name: getattr(receipts[other], name) for name in parts})
    if swapped in receipts:
        return  # what the runs have in common
    with pytest.raises((VerificationError, AppraisalError)):
        true.but(data=swapped.to_bytes())


def test_a_challenge_of_somebody_who_is_no_owner(two) -> None:  # type: ignore[no-untyped-def]
    _, _, (one, _, _), true = two
    challenge = replace(Challenge.from_bytes(one.challenge), verifier=bytes(32))
    with pytest.raises(AppraisalError):
        true.but(data=replace(one, challenge=challenge.to_bytes()).to_bytes())


WRONG = {
    "receipt-challenge": {"answered": bytes(32)},
    "receipt-package": {"package": bytes(32)},
    "receipt-owner": {"verifier": bytes(32)},
}


def self_signed(one: Receipt, answered: bytes = b"", **challenged: bytes) -> Receipt:
    """A receipt whose every signature is right, by a Keep that does not check what it signs."""
    key = signing_key(bytes(32))
    challenge = replace(Challenge.from_bytes(one.challenge), **challenged).to_bytes()
    attestation = replace(
        Attestation.from_bytes(one.attestation),
        challenge=answered or hashlib.sha256(challenge).digest(),
        identity=key.public_key().public_bytes_raw(),
    ).to_bytes()
    made = replace(one, challenge=challenge, attestation=attestation)
    return replace(made, signature=key.sign(final_transcript(made.transcript, made.package, made.body)))


@pytest.mark.parametrize("code", WRONG)
def test_parts_that_belong_to_different_exchanges(two, code: str) -> None:  # type: ignore[no-untyped-def]
    _, _, (one, _, _), _ = two
    assert self_signed(one).verify().status.cause == "exit"
    with pytest.raises(VerificationError, check=lambda e: e.code == code):
        self_signed(one, **WRONG[code]).verify()


@pytest.mark.parametrize(
    ("stdout", "stderr"),
    [(b"out", b"err\n"), (b"out\n\n", b"err\n"), (b"err\n", b"out\n"), (b"out!", b"err\n"), (b"", b"err\n")],
)
def test_other_output(two, stdout: bytes, stderr: bytes) -> None:  # type: ignore[no-untyped-def]
    machine, built, (one, _, _), _ = two
    with pytest.raises(VerificationError, check=lambda e: e.code == "receipt-output"):
        believed(machine, built, one.to_bytes(), stdout, stderr)


@pytest.mark.parametrize("seed", range(50))
def test_any_bit(two, seed: int) -> None:  # type: ignore[no-untyped-def]
    import random

    _, _, (one, _, _), true = two
    data = bytearray(one.to_bytes())
    at = random.Random(seed).randrange(8 * len(data))
    data[at // 8] ^= 1 << at % 8
    with pytest.raises(EnarxError):
        true.but(data=bytes(data))


def test_the_command(home: Path) -> None:
    """From the run to a third party that has the receipt, the output, and a root of its own choice."""
    (home / "both.wasm").write_bytes(module("both"))
    found = run(home, "--receipt", home / "receipt", home / "both.wasm")
    assert found.returncode == 0
    (home / "out").write_bytes(found.stdout)
    (home / "err").write_bytes(b"err\n")
    root = home / "state" / "enarx" / "simulated" / "root.pub"
    options = ("--simulated-root", root)
    receipt = Receipt.from_bytes((home / "receipt").read_bytes())

    def verified(*options: str | Path, path: Path = home / "receipt"):  # type: ignore[no-untyped-def]
        return enarx(home, "result", "verify", path, *options)

    good = verified("--stdout", home / "out", "--stderr", home / "err", "--package", receipt.package.hex(), *options)
    assert good.returncode == 0, good.stderr
    assert b"stdout: 4 bytes, verified" in good.stdout
    assert b"not checked" in verified(*options).stdout
    assert verified("--json", *options).stdout.startswith(b"{")
    refused = {
        "other output": verified("--stdout", home / "err", *options),
        "another package": verified("--package", "00" * 32, *options),
        "another image": verified("--measurement", "ab" * 48, *options),
        "another time": verified("--at", "2001-01-01T00:00:00Z", *options),
    }
    for what, answer in refused.items():
        assert answer.returncode == 126, (what, answer.stderr)
        assert answer.stderr.count(b"error:") == 1
    (home / "other.pub").write_text("00" * 32)
    assert verified("--simulated-root", home / "other.pub").returncode == 126
    for bad in (b"", b"\xa0", os.urandom(1000), (home / "receipt").read_bytes()[:-1], b"\x81" * 100_000):
        (home / "bad").write_bytes(bad)
        answer = verified(*options, path=home / "bad")
        assert answer.returncode == 126, answer.stderr
        assert b"is not a receipt: " in answer.stderr
    for usage in (
        (),
        (*options, "--endorsements", home / "out"),
        ("--policy", home / "none"),
        (*options, "--stdout", home / "none"),
    ):
        assert verified(*usage).returncode == 125, usage


@pytest.mark.kinds("snp")
def test_a_policy_appraises_a_receipt_too(home: Path) -> None:
    """A policy for hardware accepts nothing simulated."""
    (home / "both.wasm").write_bytes(module("both"))
    assert run(home, "--receipt", home / "receipt", home / "both.wasm").returncode == 0
    assert enarx(home, "policy", "init", "--kind", "snp", "--measurement", "ab" * 48, home / "snp.toml").returncode == 0
    found = enarx(home, "result", "verify", home / "receipt", "--policy", home / "snp.toml")
    assert found.returncode == 126
    assert b"attestation: refused (simulated)" in found.stderr
    policy = home / "simulated.toml"
    receipt = Receipt.from_bytes((home / "receipt").read_bytes())
    measurement = SimulatedEvidence.from_bytes(Attestation.from_bytes(receipt.attestation).evidence).measurement
    for measured, code in ((measurement.hex(), 0), ("ab" * 48, 126)):
        policy.write_text(POLICY.format(measured))
        root = ("--simulated-root", home / "state" / "enarx" / "simulated" / "root.pub")
        found = enarx(home, "result", "verify", home / "receipt", "--policy", policy, *root)
        assert found.returncode == code, found.stderr
    assert enarx(home, "result", "verify", home / "receipt", "--policy", policy).returncode == 126, "no root, no trust"
    policy.write_text(POLICY.format(measurement.hex()))
    lists = {"cut.crl": b"\x30\x82\x01", "text.crl": b"no list", "pem.crl": b"-----BEGIN X509 CRL-----\nAAAA\n"}
    for name, data in lists.items():
        (home / name).write_bytes(data)
        given = ("--policy", policy, *root, "--endorsements", home / name)
        found = enarx(home, "result", "verify", home / "receipt", *given)
        assert found.returncode == 0, found.stderr
        assert re.search(rf"unused: .*{name}: malformed".encode(), found.stderr), (
            "a list that is not read is not passed over"
        )


def test_a_receipt_that_cannot_be_written_is_said_before_anything_runs(home: Path) -> None:
    (home / "both.wasm").write_bytes(module("both"))
    found = run(home, "--receipt", home, home / "both.wasm")
    assert (found.returncode, found.stdout) == (125, b"")


def test_a_detached_deployment_has_no_result_to_give_a_receipt_of(home: Path) -> None:
    (home / "both.wasm").write_bytes(module("both"))
    (home / "root.pub").write_text("00" * 32)
    options = ("--simulated-root", home / "root.pub", "--detach", "--receipt", home / "r")
    found = enarx(home, "deploy", "--host", "http://127.0.0.1:1", *options, home / "both.wasm")
    assert found.returncode == 125
    assert b"keep attach KEEP --receipt" in found.stderr
