"""SEV, SEV-ES and SNP: every vector, by library and command line, and all refusals."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from enarx.errors import ParseError, UsageError
from enarx.formats.launch.firmware import CPUID, Firmware
from enarx.image.launch import cpus, hashes, sev, snp, vmsa
from enarx.record import replace
from tests.forge import launch as forge
from tests.formats.launch.test_published import ENTRY
from tests.image.launch.conftest import Run

TOOL_CASES = range(26)


DEBIAN_ROWS = range(8)


MODES = {"SEV_SNP": "snp", "SEV_SNP_SVSM": "snp", "SEV_ES": "sev-es", "SEV": "sev"}


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((path / "expected.json").read_text())
    return found


def options_of(row: dict[str, Any], folder: Path) -> list[object]:
    """The options for a case of the tool's tests."""
    made: list[object] = ["--kind", MODES[row["mode"]], "--firmware", folder / row["ovmf"], "--vcpus", row["vcpus"]]
    made += ["--vmm", row.get("vmm_type", "qemu").lower()]
    if "svsm_file" in row:
        made += ["--svsm", folder / row["svsm_file"], "--variables", row["ovmf_vars_size"]]
    else:
        made += ["--guest-features", hex(int(row["guest_features"]))]
    if row["vcpu"] != "None":
        made += ["--vcpu-model", row["vcpu"]]
    for name in ("kernel", "initrd"):
        if row[name] != "None":
            made += [f"--{name}", row[name]]
    if row["append"] not in ("None", ""):
        made += ["--append", row["append"]]
    if row.get("snp_ovmf_hash", "None") != "None":
        made += ["--firmware-digest", row["snp_ovmf_hash"]]
    return made


@pytest.mark.parametrize("i", TOOL_CASES)
def test_cases_of_the_tool(vectors: Path, measured: Run, refused: Any, i: int) -> None:
    folder = vectors / "snp" / "sev-snp-measure"
    row = rows(folder)[i]
    if not (folder / row["ovmf"]).exists() or not (folder / row.get("svsm_file", "")).exists():
        pytest.skip(f"{row['ovmf']} or {row.get('svsm_file')} is not among the vectors")
    if row.get("must_fail"):
        assert refused("measure", *options_of(row, folder)) == (125, "kernel-unmeasured")
    else:
        assert measured(*options_of(row, folder))["measurement"] == row["expected"]


def test_there_are_so_many_cases(vectors: Path) -> None:
    assert len(rows(vectors / "snp" / "sev-snp-measure")) == len(TOOL_CASES)
    assert len(rows(vectors / "snp" / "debian-matrix")) == len(DEBIAN_ROWS)


@pytest.mark.parametrize("i", DEBIAN_ROWS)
def test_rows_of_debian(vectors: Path, measured: Run, i: int) -> None:
    """Only the SHA-256 of the kernel is known, which is all that SNP measures of it."""
    folder = vectors / "snp" / "debian-matrix"
    row = rows(folder)[i]
    firmware = vectors / "firmware" / "OVMF.amdsev-2026.08+ds-2.fd"
    assert hashlib.sha256(firmware.read_bytes()).hexdigest() == row["ovmf_sha256"]
    options: list[object] = ["--kind", "snp", "--firmware", firmware, "--vcpus", row["vcpus"], "--vmm", row["vmm"]]
    options += ["--guest-features", row["guest_features"], "--vcpu-model", row["vcpu_sig"] or "0x0"]
    if row["kernel"]:
        options += [
            "--kernel-hash",
            row["kernel_sha256"],
            "--initrd",
            folder / row["initrd"],
            "--append",
            row["append"],
        ]
        assert row["cpu"] is None or cpus.by_name(row["cpu"]) == int(row["vcpu_sig"], 16)
    assert measured(*options)["measurement"] == row["measurement"]


def secret_vm(vectors: Path, tmp_path: Path) -> tuple[list[object], Path, str]:
    """The options of a real launch, its hardware report, and the expected measurement."""
    folder = vectors / "snp" / "secretvm"
    expected = json.loads((folder / "expected.json").read_text())
    compose = hashlib.sha256((folder / "amd_cpu_docker_check_compose.yaml").read_bytes()).hexdigest()
    assert compose == expected["compose_sha256"]
    registry = json.loads((folder / "sev.json").read_text())
    one = next(e for e in registry if (e["vm_type"], e["artifacts_ver"]) == ("prod", "v0.0.25"))
    (tmp_path / "entry.json").write_text(json.dumps(one))
    report = tmp_path / "report.bin"
    report.write_bytes(base64.b64decode((folder / "amd_cpu_docker_check_quote.txt").read_text()))
    line = f"console=ttyS0 loglevel=7 docker_compose_hash={compose} rootfs_hash={one['rootfs_hash']}"
    return ["--published", tmp_path / "entry.json", "--append", line], report, expected["expected"]


def test_a_report_of_hardware(vectors: Path, tmp_path: Path, measured: Run) -> None:
    options, report, expected = secret_vm(vectors, tmp_path)
    assert measured("--kind", "snp", *options)["measurement"] == expected
    assert bytes.fromhex(expected) in report.read_bytes()
    for more in (["--vcpus", "2"], ["--vcpu-model", "EPYC-Milan"], ["--vmsa-era", "before-6.10"], ["--vmm", "gce"]):
        assert measured("--kind", "snp", *options, *more)["measurement"] != expected


def test_what_the_firmware_is_by_its_digest(vectors: Path) -> None:
    folder = vectors / "snp" / "sev-snp-measure"
    firmware = Firmware.from_bytes((folder / "ovmf_AmdSev_suffix.bin").read_bytes())
    assert snp.firmware_digest(firmware).hex() == rows(folder)[0]["snp_ovmf_hash"]


PROCESSORS = snp.Processors(count=2, signature=0x800F12)


FIRMWARE = Firmware.from_bytes(forge.firmware())


KERNEL = hashes.kernel_hashes(b"kernel", b"initrd", b"quiet")


def launched(firmware: Firmware = FIRMWARE, kernel: hashes.KernelHashes | None = KERNEL, **changes: Any) -> bytes:
    processors = replace(PROCESSORS, **changes)
    return snp.measure(firmware.sev(), snp.firmware_digest(firmware), kernel, processors)


def test_everything_matters() -> None:
    """Any change of a measured input changes the digest."""
    other = [
        launched(kernel=None),
        launched(kernel=hashes.kernel_hashes(b"kernel", b"initrd", b"quiet ")),
        launched(kernel=hashes.kernel_hashes(b"kernel", b"", b"quiet")),
        launched(kernel=hashes.kernel_hashes(b"kerneL", b"initrd", b"quiet")),
        launched(count=1),
        launched(count=3),
        launched(signature=0xA00F11),
        launched(features=0x21),
        launched(era="before-6.10"),
        launched(vmm="ec2"),
        launched(vmm="ec2", era="rdx-0"),
        launched(vmm="gce"),
        launched(Firmware.from_bytes(forge.firmware(size=0x5000))),
        launched(Firmware.from_bytes(forge.firmware(sev=forge.SEV[1:]))),
        launched(Firmware.from_bytes(forge.firmware(sev=forge.SEV[::-1]))),
    ]
    assert len({launched(), *other}) == len(other) + 1


def test_the_cpuid_page_goes_last_on_ec2() -> None:
    """On EC2, the place of the CPUID page in the metadata makes no difference."""
    moved = sorted(forge.SEV, key=lambda section: section[2] == CPUID)
    ordered = Firmware.from_bytes(forge.firmware())
    both = [
        replace(ordered.sev(), sections=Firmware.from_bytes(forge.firmware(sev=s)).sev().sections)
        for s in (forge.SEV, moved)
    ]
    ec2, qemu = ([snp.memory(m, bytes(48), None, vmm=vmm) for m in both] for vmm in ("ec2", "qemu"))
    assert ec2[0] == ec2[1]
    assert qemu[0] != qemu[1]


@pytest.mark.parametrize("count", [0, -1, sev.MAX_VCPUS + 1])
def test_no_such_number_of_processors(count: int) -> None:
    with pytest.raises(UsageError) as e:
        launched(count=count)
    assert e.value.code == "vcpus"


def test_processors_need_an_address_to_start_at() -> None:
    alone = Firmware.from_bytes(forge.firmware(entries={forge.fw.SEV_RESET: b""}))
    assert launched(alone, count=1)
    with pytest.raises(UsageError):
        launched(alone, count=2)
    with pytest.raises(UsageError):
        sev.measure_sev_es(alone, None, vcpus=2, signature=0)


@pytest.mark.parametrize(
    "firmware",
    [
        forge.firmware(entries={forge.fw.SEV_HASHES: b""}),
        forge.firmware(sev=forge.SEV[:-1]),
        forge.firmware(entries={forge.fw.SEV_HASHES: forge.u(forge.GPA + 0x2000)}),
    ],
    ids=["no address", "no section", "elsewhere"],
)
def test_a_kernel_that_would_go_unmeasured(firmware: bytes) -> None:
    read = Firmware.from_bytes(firmware)
    assert launched(read, None)
    with pytest.raises(UsageError) as e:
        launched(read)
    assert e.value.code == "kernel-unmeasured"


def test_hashes_that_do_not_fit_into_their_page() -> None:
    with pytest.raises(UsageError):
        launched(Firmware.from_bytes(forge.firmware(entries={forge.fw.SEV_HASHES: forge.u(forge.GPA + 0xFF0)})))


def test_sev_es_is_sev_and_the_processors() -> None:
    """The definition written out again: one hash over everything."""
    kind = vmsa.VMMS["qemu"]
    pages = [
        vmsa.page(entry, signature=0x800F12, features=0, vmm=kind, era=kind.eras["current"])
        for entry in (vmsa.FIRST_ENTRY, forge.RESET, forge.RESET)
    ]
    whole = FIRMWARE.raw + KERNEL.table()
    assert sev.measure_sev(FIRMWARE, KERNEL) == hashlib.sha256(whole).digest()
    measured = sev.measure_sev_es(FIRMWARE, KERNEL, vcpus=3, signature=0x800F12)
    assert measured == hashlib.sha256(whole + b"".join(pages)).digest()


def svsm(offset: int = 0x40) -> Firmware:
    return Firmware.from_bytes(
        forge.firmware(size=0x2000, entries={forge.fw.SVSM_INFO: forge.u(offset)}, sev=forge.SEV[:4])
    )


def test_an_svsm() -> None:
    """Without a vector: every input matters, and so does the address of the SVSM."""

    def with_svsm(
        variables: int = 0x1000, vcpus: int = 2, signature: int = 0x800F12, module: Firmware | None = None
    ) -> bytes:
        return snp.measure_svsm(FIRMWARE, module or svsm(), variables=variables, vcpus=vcpus, signature=signature)

    other = [with_svsm(0), with_svsm(vcpus=1), with_svsm(signature=1), with_svsm(module=svsm(0x80))]
    assert len({with_svsm(), *other}) == len(other) + 1
    for variables in (-4096, 1, 1 << 33):
        with pytest.raises(UsageError):
            with_svsm(variables)
    with pytest.raises(ParseError) as e:
        with_svsm(module=FIRMWARE)
    assert e.value.code == "firmware-svsm"


def test_an_svsm_through_the_command_line(tmp_path: Path, measured: Run, refused: Any) -> None:
    (tmp_path / "fw").write_bytes(FIRMWARE.raw)
    (tmp_path / "svsm").write_bytes(svsm().raw)
    options: list[object] = [
        "--kind",
        "snp",
        "--firmware",
        tmp_path / "fw",
        "--svsm",
        tmp_path / "svsm",
        "--variables",
        "4KiB",
    ]
    expected = snp.measure_svsm(FIRMWARE, svsm(), variables=4096, vcpus=1, signature=0x800F12)
    assert measured(*options)["measurement"] == expected.hex()
    assert refused("measure", *options, "--vmm", "ec2") == (125, "svsm")
    assert refused("measure", *options, "--guest-features", "0x21") == (125, "svsm")


def test_published_metadata(tmp_path: Path, measured: Run) -> None:
    (tmp_path / "entry.json").write_text(json.dumps(ENTRY))
    assert measured("--kind", "snp", "--published", tmp_path / "entry.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"ovmf_hash": "00"}', "x"])
def test_published_metadata_that_is_none(tmp_path: Path, refused: Any, text: str) -> None:
    (tmp_path / "entry.json").write_text(text)
    assert refused("measure", "--kind", "snp", "--published", tmp_path / "entry.json") == (126, "published")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--vmm", "xen"], "vmm"),
        (["--vmsa-era", "rdx-0"], "vmsa-era"),
        (["--guest-features", "x"], "image-option"),
        (["--guest-features", "-1"], "image-option"),
        (["--vcpu-model", "Xeon"], "vcpu-model"),
        (["--vcpus", "0"], "vcpus"),
        (["--firmware-digest", "00"], "image-option"),
        (["--kernel-hash", "00"], "image-option"),
        (["--kernel-hash", "zz"], "image-option"),
        (["--append", "quiet"], "image-option"),
        (["--initrd", "/dev/null"], "image-option"),
        (["--eif", "x"], "image-option"),
        (["--author-key", "x"], "id-block"),
        (["--check-id-block", "x"], "id-block"),
        (["--id-key", "/dev/null"], "key"),
        (["--firmware", "again"], "image-option"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, refused: Any, words: list[str], code: str) -> None:
    path = tmp_path / "fw"
    path.write_bytes(FIRMWARE.raw)
    assert refused("measure", "--kind", "snp", "--firmware", path, *words) == (125, code)


def test_no_firmware(refused: Any) -> None:
    for kind in ("snp", "sev", "sev-es"):
        assert refused("measure", "--kind", kind) == (125, "image-option")
