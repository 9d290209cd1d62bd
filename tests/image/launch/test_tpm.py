"""PCRs of a TPM after a direct boot, and after a boot of a UKI."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from enarx.errors import ParseError, UsageError
from enarx.formats.launch.pe import PeFile
from enarx.image.launch import tpm
from enarx.image.launch.authenticode import authenticode
from enarx.image.launch.registers import register
from tests.forge import launch as forge
from tests.image.launch.conftest import Run

RUNS = (0, 1)


@pytest.mark.parametrize("run", RUNS)
def test_pcrs_of_real_firmware(vectors: Path, run: int) -> None:
    folder = vectors / "tdx" / "firmware-measured"
    row = json.loads((folder / "expected.json").read_text())[run]
    initrd = (folder / row["initrd"]).read_bytes()
    kernel = bytes.fromhex(row["kernel_event_sha384"])
    found = tpm.direct(kernel, row["append"].encode(), initrd, bank="sha384")
    values = {str(index): register(events).hex() for index, events in found.items()}
    zeros = "00" * 48
    assert values == {index: row["pcr_sha384"].get(index, zeros) for index in ("4", "8", "9", "11", "12")}
    other = tpm.direct(kernel, row["append"].encode(), initrd + b"\0", bank="sha384")
    assert register(other[9]).hex() != row["pcr_sha384"]["9"]


def test_a_uki_by_its_definition(tmp_path: Path, measured: Run) -> None:
    """Names and contents are measured in systemd's order, whatever the file's; .pcrsig is not measured."""
    data = forge.pe(forge.UKI)
    (tmp_path / "linux.efi").write_bytes(data)
    value = bytes(32)
    for name in (".linux", ".osrel", ".cmdline", ".initrd"):
        for part in (name.encode() + b"\0", forge.UKI[name]):
            value = hashlib.sha256(value + hashlib.sha256(part).digest()).digest()
    options = ["--kind", "tpm", "--uki", tmp_path / "linux.efi", "--bank", "sha256"]
    found = measured(*options)
    assert found["pcr11"] == value.hex()
    assert (found["pcr12"], found["pcr8"]) == ("00" * 32, "00" * 32)
    value9 = hashlib.sha256(bytes(32) + hashlib.sha256("quiet\0".encode("utf-16-le")).digest()).digest()
    archives = [archive("tpm2-pcr-signature.json", b"{}"), archive("os-release", b"ID=x\n")]
    initrd = b"initrd\0\0" + b"".join(archives)
    assert found["pcr9"] == hashlib.sha256(value9 + hashlib.sha256(initrd).digest()).hexdigest()
    value = hashlib.sha256(value + hashlib.sha256(b"enter-initrd").digest()).digest()
    found = measured(*options, "--phase", "enter-initrd", "--passed", "quiet")
    assert "pcr9" not in found
    assert found["pcr11"] == value.hex()
    line = hashlib.sha256("quiet".encode("utf-16-le")).digest()
    assert found["pcr12"] == hashlib.sha256(bytes(32) + line).hexdigest()
    both = [measured(*options)["pcr4"], measured(*options, "--no-inner-kernel")["pcr4"]]
    assert both[0] != both[1]
    inner = authenticode(PeFile.from_bytes(forge.UKI[".linux"]), "sha256")
    assert hashlib.sha256(bytes.fromhex(both[1]) + inner).hexdigest() == both[0]


def archive(name: str, content: bytes) -> bytes:
    """A newc archive of `/.extra` and one file in it, written out again."""

    def entry(words: str, name: bytes, content: bytes) -> bytes:
        head = b"070701" + words.replace(" ", "").encode() + name + b"\0"
        return head.ljust(-(-len(head) // 4) * 4, b"\0") + content.ljust(-(-len(content) // 4) * 4, b"\0")

    zero, one = "00000000", "00000001"
    path = f".extra/{name}".encode()
    directory = f"{one} 0000416d {zero} {zero} {one} {zero} {zero} {zero * 4} 00000007 {zero}"
    file = f"00000002 00008124 {zero} {zero} {one} {zero} {len(content):08x} {zero * 4} {len(path) + 1:08x} {zero}"
    trailer = f"{zero * 4} {one} {zero * 6} 0000000B {zero}"
    return entry(directory, b".extra", b"") + entry(file, path, content) + entry(trailer, b"TRAILER!!!", b"")


BOOTED_KEY = b"""-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA5MSViConPHiKB5DM/Dzo
M+Nl1XlMhYNvDimF25kT/GbHyG5guEJYl7AlUoXfnqxMu95kdPyy5t3pEPRUSX0q
2VM0E8STpnKG9lTWa23xblNG5PHs5perOAFD1egCBAGAczJJmKH3twCDyWRMaAKW
JuRaZwGASqzb62ZM36HuCcXW8SYh/9DBuljG7/2AMncDH/rdejtp6F7b6PFsn3dS
zCGb9zxNefTIWuTnzo8HDSmJ7YZouFXuwLezx10sxPIKs42riDBXm/XTTZICjloR
fu8o1ofP6w8Xfu2XRqPkB00Gl3ItS0xpfn0nnivRfH4lVRG7nsLOzrUPL/8dgJNa
+wIDAQAB
-----END PUBLIC KEY-----
"""


BOOTED = (
    (
        {".cmdline": b"console=ttyS0 ro quiet"},
        "2c5d38c3b1105dd8ef895583a102bb5abb23d2123bfc4f59d23172fd64d522cb279e22802291910774f853601ce6f2b4",
    ),
    (
        {
            ".cmdline": b"console=ttyS0  ro\tquiet  \n",
            ".ucode": archive("", b"")[-124:] + b"\0\0",
            ".pcrpkey": BOOTED_KEY,
            ".pcrsig": b"{}",
            ".profile": b"ID=x",
        },
        "1420eef5bbf32c2ab6ae343be7bf8b8170969374913779268b3361dce0d5a8ec5a167a29390b39f3ba1c886f90696212",
    ),
)


"""Sections and PCR 9 of two booted UKIs: OVMF 2025.02, systemd-stub 257.13, Linux 6.12.117, swtpm 0.7.1."""


@pytest.mark.parametrize("i", range(len(BOOTED)))
def test_pcr_9_of_ukis_that_were_booted(vectors: Path, i: int) -> None:
    sections, expected = BOOTED[i]
    initrd = (vectors / "tdx" / "firmware-measured" / "initrd.cpio").read_bytes()
    made = {".linux": forge.kernel(), ".osrel": b"ID=test\nNAME=test\n", ".initrd": initrd} | sections
    found = tpm.uki(PeFile.from_bytes(forge.pe(made)), bank="sha384")
    assert register(found[9], "sha384").hex() == expected


@pytest.mark.parametrize("missing", [".cmdline", ".initrd"])
def test_a_uki_without(missing: str) -> None:
    """Without its own command line, a UKI does not determine the kernel's command line."""
    sections = {name: content for name, content in forge.UKI.items() if name != missing}
    found = tpm.uki(PeFile.from_bytes(forge.pe(sections)), bank="sha384")
    assert (9 in found) == (missing != ".cmdline")
    bare = {name: sections[name] for name in (".linux", ".cmdline") if name in sections}
    assert len(tpm.uki(PeFile.from_bytes(forge.pe(bare)), bank="sha384").get(9, ("",))) == 1


@pytest.mark.parametrize("name", [".linux", ".osrel", ".cmdline", ".initrd", ".pcrsig"])
def test_each_section_of_a_uki_matters(name: str) -> None:
    def pcr11(sections: dict[str, bytes]) -> bytes:
        return register(tpm.uki(PeFile.from_bytes(forge.pe(sections)), bank="sha384")[11])

    changed = forge.UKI | {name: forge.UKI[name] + b"x"}
    assert (pcr11(changed) == pcr11(forge.UKI)) == (name == ".pcrsig")


def test_a_uki_that_is_none() -> None:
    with pytest.raises(UsageError) as e:
        tpm.uki(PeFile.from_bytes(forge.pe({".text": b"x"})), bank="sha256")
    assert e.value.code == "uki"
    with pytest.raises(ParseError):
        tpm.uki(PeFile.from_bytes(forge.pe({".linux": b"no kernel"})), bank="sha256")


@pytest.mark.parametrize("bank", tpm.BANKS)
def test_banks(tmp_path: Path, measured: Run, bank: str) -> None:
    (tmp_path / "kernel").write_bytes(forge.kernel())
    found = measured("--kind", "tpm", "--kernel", tmp_path / "kernel", "--bank", bank)
    size = hashlib.new(bank).digest_size
    assert all(len(bytes.fromhex(found[f"pcr{i}"])) == size for i in (4, 8, 9, 11, 12))
    assert [event["what"] for event in found["events"] if event["register"] == "pcr9"] == ["command line"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "image-option"),
        (["--kernel", "k", "--uki", "u"], "image-option"),
        (["--kernel", "k", "--bank", "md5"], "bank"),
        (["--uki", "u", "--initrd", "i"], "image-option"),
        (["--uki", "u", "--uki", "v"], "image-option"),
        (["--uki", "absent"], "file"),
    ],
)
def test_options_that_make_no_sense(
    refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused("measure", "--kind", "tpm", *words) == (125, code)


def test_for_people(tmp_path: Path, capsys: Any) -> None:
    from enarx.cli.main import main

    (tmp_path / "kernel").write_bytes(forge.kernel())
    assert main(["image", "measure", "--kind", "tpm", "--kernel", str(tmp_path / "kernel"), "--append", "quiet"]) == 0
    out = capsys.readouterr().out
    assert "pcr4" in out
    assert "events  what" in out
    assert "command line" in out
