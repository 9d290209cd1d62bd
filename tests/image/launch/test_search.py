"""The search names the launch behind a measurement and its drift, and claims nothing if no launch matches."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enarx.cli.main import main
from enarx.errors import UsageError
from enarx.formats.launch.eif import Eif
from enarx.formats.launch.firmware import Firmware
from enarx.formats.launch.pe import PeFile
from enarx.formats.launch.sigstruct import SigStruct
from enarx.image.launch import hashes, kernel, nitro, search, sgx, snp, tdx, tpm
from enarx.image.launch.authenticode import authenticode
from enarx.image.launch.registers import register
from tests.forge import arm, aws, eventlog, intel
from tests.forge import launch as forge
from tests.forge import snp as reports
from tests.forge import tpm as tpms
from tests.image.launch.test_sev import secret_vm

pytestmark = pytest.mark.no_verdict(reason="what was launched is searched for, whatever evidence of it is worth")

Explained = Callable[..., tuple[int, dict[str, Any]]]
FIRMWARE = {"intended.fd": forge.firmware(), "other.fd": forge.firmware(size=0x5000)}
FILES = {
    **FIRMWARE,
    "vmlinuz": forge.kernel(),
    "vmlinuz.old": forge.kernel(size=9000),
    "initrd": b"initrd",
    "initrd.old": b"another" * 99,
}


@pytest.fixture
def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Explained:
    """A function that runs `enarx image explain-mismatch` on evidence and returns exit code and JSON."""
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)

    def run(evidence: bytes, *options: object) -> tuple[int, dict[str, Any]]:
        (tmp_path / "evidence").write_bytes(evidence)
        code = main(["image", "explain-mismatch", "evidence", "--json", *map(str, options)])
        out, err = capsys.readouterr()
        assert out, err
        return code, json.loads(out)

    return run


def drift(value: dict[str, Any], name: str) -> dict[str, tuple[str, str]]:
    """The drift of a register: intended and launched value by option."""
    one = next(found for found in value["registers"] if found["register"] == name)
    assert one["launched"] is not None
    return {row["option"]: (row["intended"], row["launched"]) for row in one["drift"]}


def report(firmware: str = "intended.fd", boot: tuple[str, str, bytes] | None = None, **changes: Any) -> bytes:
    """An SNP report of a launch with these files."""
    read = Firmware.from_bytes(FIRMWARE[firmware])
    started = hashes.kernel_hashes(FILES[boot[0]], FILES.get(boot[1], b""), boot[2]) if boot else None
    processors = snp.Processors(**{"count": 1, "signature": 0x800F12} | changes)
    return reports.sign(
        reports.blank(measurement=snp.measure(read.sev(), snp.firmware_digest(read), started, processors))
    )


BOOT = ("vmlinuz", "initrd", b"quiet")
GIVEN = ["--firmware", "intended.fd", "--kernel", "vmlinuz", "--initrd", "initrd", "--append", "quiet"]
MORE = ["--firmware", "other.fd", "--kernel", "vmlinuz.old", "--initrd", "initrd.old", "--append", "debug"]


@pytest.mark.parametrize(
    ("evidence", "expected"),
    {
        "nothing": (report(boot=BOOT), {}),
        "processors": (report(boot=BOOT, count=7), {"vcpus": ("1", "7")}),
        "model": (
            report(boot=BOOT, signature=0xA00F11),
            {"vcpu-model": ("EPYC (0x800f12)", "EPYC-Milan (0xa00f11)")},
        ),
        "features": (report(boot=BOOT, features=0x21), {"guest-features": ("0x1", "0x21")}),
        "era": (report(boot=BOOT, era="before-6.10"), {"vmsa-era": ("current", "before-6.10")}),
        "hypervisor": (report(boot=BOOT, vmm="gce"), {"vmm": ("qemu", "gce")}),
        "hypervisor and era": (
            report(boot=BOOT, vmm="ec2", era="rdx-0"),
            {"vmm": ("qemu", "ec2"), "vmsa-era": ("current", "rdx-0")},
        ),
        "firmware": (report("other.fd", BOOT), {"firmware": ("intended.fd", "other.fd")}),
        "kernel": (report(boot=("vmlinuz.old", *BOOT[1:])), {"kernel": ("vmlinuz", "vmlinuz.old")}),
        "initrd": (report(boot=("vmlinuz", "initrd.old", b"quiet")), {"initrd": ("initrd", "initrd.old")}),
        "no initrd": (report(boot=("vmlinuz", "", b"quiet")), {"initrd": ("initrd", "none")}),
        "command line": (report(boot=(*BOOT[:2], b"debug")), {"append": ("'quiet'", "'debug'")}),
        "no command line": (report(boot=(*BOOT[:2], b"")), {"append": ("'quiet'", "''")}),
        "no kernel": (
            report(),
            {"kernel": ("vmlinuz", "none"), "initrd": ("initrd", "none"), "append": ("'quiet'", "none")},
        ),
        "much at once": (
            report("other.fd", ("vmlinuz.old", "initrd.old", b"debug"), count=3, features=0x21),
            {
                "firmware": ("intended.fd", "other.fd"),
                "kernel": ("vmlinuz", "vmlinuz.old"),
                "initrd": ("initrd", "initrd.old"),
                "append": ("'quiet'", "'debug'"),
                "guest-features": ("0x1", "0x21"),
                "vcpus": ("1", "3"),
            },
        ),
    }.values(),
)
def test_snp(explained: Explained, evidence: bytes, expected: dict[str, tuple[str, str]]) -> None:
    code, value = explained(evidence, *GIVEN, *MORE)
    assert (code, value["verified"]) == (0, False)
    assert drift(value, "measurement") == expected


def test_a_launch_of_something_else(explained: Explained) -> None:
    code, value = explained(reports.sign(reports.blank()), *GIVEN)
    one = value["registers"][0]
    assert (code, one["launched"], one["drift"], one["complete"]) == (126, None, [], True)
    assert one["tried"] > 10_000


def test_a_report_of_hardware(vectors: Path, tmp_path: Path, explained: Explained) -> None:
    options, path, _ = secret_vm(vectors, tmp_path)
    code, value = explained(path.read_bytes(), *options)
    assert (code, drift(value, "measurement")) == (0, {})
    changed = [*options[:2], "--append", "quiet", *options[2:], "--vcpus", "8", "--vcpu-model", "EPYC-Genoa"]
    code, value = explained(path.read_bytes(), *changed)
    assert code == 0
    assert set(drift(value, "measurement")) == {"append", "vcpus", "vcpu-model"}
    code, value = explained(path.read_bytes(), *options[:2], "--append", "quiet")
    assert code == 126


def domain(
    *,
    order: str = "two-pass",
    firmware: str = "intended.fd",
    image: bytes = FILES["vmlinuz"],
    separators: int = 1,
    line: bytes = b"quiet",
    initrd: str = "initrd",
) -> bytes:
    """A TDX quote of a trust domain with these files."""
    events = tdx.rtmr1(authenticode(PeFile.from_bytes(image)), separators=separators)
    return intel.quote(
        body=intel.domain(
            mr_td=(136, tdx.mrtd(Firmware.from_bytes(FIRMWARE[firmware]), order=order)),
            rtmr1=(376, register(events)),
            rtmr2=(424, register(tdx.rtmr2(line, FILES.get(initrd)))),
        )
    )


PATCHED = kernel.patched(FILES["vmlinuz"], memory=1 << 30, initrd_size=len(FILES["initrd"]))


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize(
    ("evidence", "name", "expected"),
    {
        "nothing": (domain(), "rtmr1", {}),
        "order of pages": (domain(order="one-pass"), "mrtd", {"page-order": ("two-pass", "one-pass")}),
        "firmware": (domain(firmware="other.fd"), "mrtd", {"firmware": ("intended.fd", "other.fd")}),
        "kernel": (domain(image=FILES["vmlinuz.old"]), "rtmr1", {"kernel": ("vmlinuz", "vmlinuz.old")}),
        "patched kernel": (
            domain(image=PATCHED),
            "rtmr1",
            {"setup-header": ("plain", "patched"), "initrd": ("none", "initrd"), "memory": ("none", "1024MiB")},
        ),
        "separators": (domain(separators=5), "rtmr1", {"separators": ("1", "5")}),
        "command line": (domain(line=b"debug"), "rtmr2", {"append": ("'quiet'", "'debug'")}),
        "initrd": (domain(initrd="initrd.old"), "rtmr2", {"initrd": ("initrd", "initrd.old")}),
        "no initrd": (domain(initrd=""), "rtmr2", {"initrd": ("initrd", "none")}),
    }.values(),
)
def test_tdx(explained: Explained, evidence: bytes, name: str, expected: dict[str, tuple[str, str]]) -> None:
    code, value = explained(evidence, *GIVEN, *MORE)
    assert code == 0
    assert drift(value, name) == expected
    for other in {"mrtd", "rtmr1", "rtmr2"} - {name}:
        assert drift(value, other) == {}


@pytest.mark.kinds("tdx")
def test_an_initrd_that_fits_into_some_memory_only(explained: Explained, tmp_path: Path) -> None:
    """The search skips sizes of memory that are too small for the initrd."""
    (tmp_path / "large").write_bytes(bytes(140 << 20))
    image = kernel.patched(FILES["vmlinuz"], memory=1 << 30, initrd_size=140 << 20)
    words = ["--kernel", "vmlinuz", "--initrd", "large", "--memory", "128MiB"]
    code, value = explained(domain(image=image), *words)
    launched = next(one["launched"] for one in value["registers"] if one["register"] == "rtmr1")
    assert launched["memory"] == "1024MiB"


@pytest.mark.kinds("tdx")
def test_a_memory_of_two_gib_or_more(explained: Explained) -> None:
    """The intended size comes first: 64 GiB give the same measurement as 2 GiB."""
    image = kernel.patched(FILES["vmlinuz"], memory=64 << 30, initrd_size=len(FILES["initrd"]))
    options = [*GIVEN, "--setup-header", "patched", "--memory", "64GiB"]
    code, value = explained(domain(image=image), *options)
    assert (code, drift(value, "rtmr1")) == (0, {})


@pytest.mark.kinds("tdx")
def test_a_quote_of_hardware_with_its_log(vectors: Path, tmp_path: Path, explained: Explained) -> None:
    """No given file explains the quote, and each register is reported so."""
    value = json.loads((vectors / "tdx" / "dstack" / "quote-report.json").read_text())
    code, value = explained(bytes.fromhex(value["quote"]), *GIVEN)
    assert code == 126
    assert [one["launched"] for one in value["registers"]] == [None] * 3


@pytest.mark.kinds("tdx")
def test_a_log_beside_a_quote(explained: Explained, tmp_path: Path) -> None:
    log = eventlog.td()
    (tmp_path / "log").write_bytes(log)
    values = eventlog.extended(log, "sha384")
    fields = {f"rtmr{i - 1}": (280 + 48 * i, value) for i, value in values.items()}
    code, value = explained(intel.quote(body=intel.domain(**fields)), "--event-log", "log")
    assert code == 0
    assert len(value["registers"]) == 4
    assert {row["how"] for row in value["log"]} == {"pinned", "shown", "recorded"}
    code, value = explained(domain(), "--event-log", "log")
    assert code == 126


@pytest.mark.kinds("tpm")
def test_a_log_beside_a_tpms_quote(explained: Explained, tmp_path: Path) -> None:
    """Each quoted register is explained by the log, and events of intended files are marked."""
    made = tpm.direct(authenticode(PeFile.from_bytes(FILES["vmlinuz"]), "sha256"), b"quiet", b"initrd", bank="sha256")
    written = [
        eventlog.event(index, 0x80000003, b"", digests={eventlog.SHA1: bytes(20), eventlog.SHA256: event.digest})
        for index in (4, 9)
        for event in made[index]
    ]
    (tmp_path / "log").write_bytes(eventlog.pc(written))
    code, value = explained(direct(), *GIVEN[2:], "--event-log", "log")
    assert (code, len(value["registers"])) == (0, 4)
    assert [row["what"] for row in value["log"]][::4] == ["kernel, as intended", "initrd, as intended"]
    code, value = explained(direct(), *MORE[2:], "--event-log", "log")
    assert code == 126
    assert [row["how"] for row in value["log"]] == ["recorded", "pinned", "pinned", "recorded", "recorded"]


def quoted(events: dict[int, Any], bank: str = "sha256") -> bytes:
    pcrs = {index: register(of, bank) for index, of in events.items()}
    return tpms.attestation(pcrs=pcrs)


def direct(image: bytes = FILES["vmlinuz"], line: bytes = b"quiet", initrd: str = "initrd") -> bytes:
    made = tpm.direct(authenticode(PeFile.from_bytes(image), "sha256"), line, FILES[initrd], bank="sha256")
    return quoted({index: made[index] for index in (4, 9)})


UKI = forge.pe(forge.UKI)


def unified(**changes: Any) -> bytes:
    made = tpm.uki(PeFile.from_bytes(changes.pop("image", UKI)), bank="sha256", **changes)
    return quoted({index: made[index] for index in (4, 9, 11, 12) if index in made})


@pytest.mark.kinds("tpm")
@pytest.mark.parametrize(
    ("evidence", "name", "expected"),
    {
        "nothing": (direct(), "pcr4", {}),
        "kernel": (direct(FILES["vmlinuz.old"]), "pcr4", {"kernel": ("vmlinuz", "vmlinuz.old")}),
        "command line": (direct(line=b"debug"), "pcr9", {"append": ("'quiet'", "'debug'")}),
        "initrd": (direct(initrd="initrd.old"), "pcr9", {"initrd": ("initrd", "initrd.old")}),
    }.values(),
)
def test_tpm(explained: Explained, evidence: bytes, name: str, expected: dict[str, tuple[str, str]]) -> None:
    code, value = explained(evidence, *GIVEN[2:], *MORE[2:])
    assert (code, drift(value, name)) == (0, expected)


@pytest.mark.kinds("tpm")
@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({}, "pcr11", {}),
        ({"inner": False}, "pcr4", {"inner-kernel": ("measured", "not measured")}),
        ({"phases": tpm.PHASES[:2]}, "pcr11", {"phases": ("none", "enter-initrd,leave-initrd")}),
        ({"passed": [b"debug"]}, "pcr12", {"passed": ("none", "'debug'")}),
        ({"image": forge.pe(forge.UKI | {".initrd": b"x"})}, "pcr11", {"uki": ("linux.efi", "old.efi")}),
        ({"image": forge.pe(forge.UKI | {".initrd": b"x"})}, "pcr9", {"uki": ("linux.efi", "old.efi")}),
    ],
)
def test_uki(
    explained: Explained, tmp_path: Path, changes: dict[str, Any], name: str, expected: dict[str, tuple[str, str]]
) -> None:
    (tmp_path / "linux.efi").write_bytes(UKI)
    (tmp_path / "old.efi").write_bytes(forge.pe(forge.UKI | {".initrd": b"x"}))
    code, value = explained(unified(**changes), "--uki", "linux.efi", "--uki", "old.efi", "--passed", "debug")
    assert (code, drift(value, name)) == (0, expected)


def document(image: Eif) -> bytes:
    pcrs = {index: bytes(48) for index in range(16)} | nitro.pcrs(image)
    return aws.document(aws.payload(pcrs=pcrs))


@pytest.mark.kinds("nitro")
@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (forge.image(), "pcr0", {}),
        (forge.image(cmdline=b"other"), "pcr1", {"append": ("intended.eif", "other.eif")}),
        (forge.image(kernel=b"other"), "pcr0", {"kernel": ("intended.eif", "other.eif")}),
        (forge.image(ramdisks=(b"first", b"other")), "pcr2", {"ramdisks": ("intended.eif", "other.eif")}),
        (
            nitro.sign(forge.image(), forge.certificate(), forge.signing_key()),
            "pcr8",
            {"signed-by": ("signer.pem", "none")},
        ),
    ],
)
def test_nitro(
    explained: Explained, tmp_path: Path, image: Eif, name: str, expected: dict[str, tuple[str, str]]
) -> None:
    other = forge.image(kernel=b"other", cmdline=b"other", ramdisks=(b"first", b"other"))
    (tmp_path / "intended.eif").write_bytes(forge.image().to_bytes())
    (tmp_path / "other.eif").write_bytes(other.to_bytes())
    (tmp_path / "signer.pem").write_bytes(forge.certificate())
    words = ["--eif", "intended.eif", "--eif", "other.eif", "--certificate", "signer.pem"]
    code, value = explained(document(image), *words)
    found = drift(value, name)
    assert code == 0
    assert explained(aws.document(), *words)[0] == 126
    if name == "pcr8":
        assert found == {}
        code, value = explained(document(forge.image()), *words)
        assert drift(value, "pcr8") == expected
    else:
        assert found == expected


@pytest.mark.kinds("sgx")
def test_sgx(explained: Explained, tmp_path: Path) -> None:
    (tmp_path / "intended.sig").write_bytes(forge.sigstruct(b"\1" * 32))
    (tmp_path / "other.sig").write_bytes(forge.sigstruct(b"\2" * 32))
    signer = sgx.mr_signer(SigStruct.from_bytes(forge.sigstruct()))
    body = intel.enclave(mr_enclave=(64, b"\2" * 32), mr_signer=(128, signer))
    code, value = explained(
        intel.quote(intel.SGX, body=body), "--sigstruct", "intended.sig", "--sigstruct", "other.sig"
    )
    assert (code, drift(value, "mr_signer")) == (0, {})
    assert drift(value, "mr_enclave") == {"sigstruct": ("intended.sig", "other.sig")}
    code, value = explained(intel.quote(intel.SGX), "--sigstruct", "intended.sig")
    assert code == 126


def test_for_people(explained: Explained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "evidence").write_bytes(report(boot=BOOT, count=7))
    assert main(["image", "explain-mismatch", "evidence", *GIVEN]) == 0
    out, err = capsys.readouterr()
    assert "vcpus: 1 was intended, 7 was launched" in out
    assert "not verified" in err
    (tmp_path / "evidence").write_bytes(reports.sign(reports.blank()))
    assert main(["image", "explain-mismatch", "evidence", *GIVEN]) == 126
    assert "something else was launched" in capsys.readouterr().out


@pytest.mark.kinds("tdx")
@pytest.mark.parametrize(
    ("evidence", "words", "code"),
    [
        (report(), [], (125, "image-option")),
        (domain(), [], (125, "explain")),
        (domain(), ["--eif", "x"], (125, "image-option")),
        (b"x", [], (125, "kind")),
        (arm.token(), [], (125, "kind")),
        (report(), [*GIVEN, "--vcpus", "0"], (125, "vcpus")),
        (report(), [*GIVEN, "--vcpus", "1000000000"], (125, "vcpus")),
        (report()[:-1], ["--kind", "snp", "--firmware", "intended.fd"], (126, "report-size")),
        (report(), ["--firmware", "vmlinuz"], (126, "firmware-size")),
    ],
)
def test_what_cannot_be_searched(
    explained: Explained, evidence: bytes, words: list[str], code: tuple[int, str]
) -> None:
    exit_code, value = explained(evidence, *words)
    assert (exit_code, value["error"]["code"]) == code


def test_a_search_has_a_bound() -> None:
    def endless() -> Iterator[search.Candidate]:
        return (({"n": str(n)}, b"") for n in itertools.count())

    found = search.explain("r", b"x", endless(), limit=1000)
    assert (found.tried, found.complete, found.launched) == (1000, False, None)
    with pytest.raises(UsageError):
        search.explain("r", b"x", iter(()))


def test_a_firmware_that_takes_no_kernel_is_passed_over(explained: Explained, tmp_path: Path) -> None:
    """Unless it is the intended one, which is an error."""
    (tmp_path / "none.fd").write_bytes(forge.firmware(sev=forge.SEV[:-1]))
    code, value = explained(report(boot=BOOT, count=2), *GIVEN, "--firmware", "none.fd")
    assert (code, drift(value, "measurement")) == (0, {"vcpus": ("1", "2")})
    code, value = explained(reports.sign(reports.blank()), *GIVEN, "--firmware", "none.fd")
    assert code == 126
    code, value = explained(report(boot=BOOT), "--firmware", "none.fd", *GIVEN)
    assert value["error"]["code"] == "kernel-unmeasured"
