"""TDX: MRTD against its vector, RTMRs against quotes and the logs of real firmware; and a kernel as QEMU patches it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from enarx.errors import ParseError, UsageError
from enarx.formats.evidence.eventlog import EventLog
from enarx.formats.launch.firmware import Firmware
from enarx.formats.launch.linux import SetupHeader
from enarx.formats.launch.pe import PeFile
from enarx.image.launch import events, kernel, tdx
from enarx.image.launch.authenticode import authenticode
from enarx.image.launch.registers import Event, digest, register
from tests.forge import eventlog as logs
from tests.forge import launch as forge
from tests.image.launch.conftest import Run

ORDERS = {"one-pass": "mrtd_one_pass", "two-pass": "mrtd_two_pass"}
RUNS = (0, 1)
GO_LOGS = (0, 1)


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((path / "expected.json").read_text())
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_mrtd_of_debians_firmware(vectors: Path, measured: Run, order: str) -> None:
    row = rows(vectors / "tdx" / "debian-mrtd")[0]
    firmware = vectors / "firmware" / "OVMF-2025.02-8+deb13u1.fd"
    assert hashlib.sha256(firmware.read_bytes()).hexdigest() == row["sha256"]
    assert measured("--kind", "tdx", "--firmware", firmware, "--page-order", order)["mrtd"] == row[ORDERS[order]]


def test_a_part_of_a_firmware_is_refused(vectors: Path, tmp_path: Path, refused: Any) -> None:
    """Like OVMF_CODE_4M.fd: the metadata describe the whole firmware, but the variables are missing."""
    whole = (vectors / "firmware" / "OVMF-2025.02-8+deb13u1.fd").read_bytes()
    (tmp_path / "OVMF_CODE_4M.fd").write_bytes(whole[0x84000:])
    assert refused("measure", "--kind", "tdx", "--firmware", tmp_path / "OVMF_CODE_4M.fd") == (
        126,
        "firmware-tdx-beyond",
    )


@pytest.mark.parametrize("run", RUNS)
def test_events_of_real_firmware(vectors: Path, measured: Run, run: int) -> None:
    """The log of a real boot replays, and its command line, initrd and PCR 4 match computed values."""
    folder = vectors / "tdx" / "firmware-measured"
    row = rows(folder)[run]
    log = EventLog.from_bytes((folder / f"run-{row['run']}.eventlog.bin").read_bytes())
    for index, value in row["pcr_sha384"].items():
        assert events.replayed(log, "sha384", int(index)).hex() == value
    initrd = (folder / row["initrd"]).read_bytes()
    options, file = tdx.rtmr2(row["append"].encode(), initrd)
    assert (options.digest.hex(), file.digest.hex()) == (row["cmdline_event_sha384"], row["initrd_event_sha384"])
    known = {event.digest: event.what for event in tdx.rtmr1(bytes.fromhex(row["kernel_event_sha384"]))} | {
        event.digest: event.what for event in (options, file)
    }
    found = {origin.what: origin.register for origin in events.origins(log, "sha384", known) if origin.how == "pinned"}
    assert {"kernel": 4, "command line": 9, "initrd": 9}.items() <= found.items()


def test_the_command_line_of_a_kernel_that_is_handed_on_otherwise() -> None:
    """Bytes above 127 are widened, not decoded; without an initrd nothing is added."""
    assert kernel.load_options(b"a\xc3", initrd=False) == b"a\0\xc3\0\0\0"
    assert kernel.load_options(b"", initrd=True).decode("utf-16-le") == " initrd=initrd\0"


def test_a_quote_of_hardware(vectors: Path) -> None:
    """All four RTMRs; RTMR1 follows from the kernel's digest and the constant events of a boot."""
    folder = vectors / "tdx" / "dstack"
    row = rows(folder)[0]
    value = json.loads((folder / "quote-report.json").read_text())
    log = json.loads(value["event_log"])
    digests: list[list[bytes]] = [[], [], [], []]
    for event in log:
        digests[event["imr"]].append(bytes.fromhex(event["digest"]))
    for index, expected in enumerate(row["rtmr"]):
        assert register(Event("", digest) for digest in digests[index]).hex() == expected
        assert expected in value["quote"]
    assert register(tdx.rtmr1(digests[1][0])).hex() == row["rtmr"][1]
    assert register(tdx.rtmr1(digests[1][0], separators=2)).hex() != row["rtmr"][1]


@pytest.mark.parametrize("i", GO_LOGS)
def test_logs_of_trust_domains(vectors: Path, measured: Run, i: int) -> None:
    row = rows(vectors / "tdx" / "go-eventlog")[i]
    value = measured("--kind", "tdx", "--event-log", vectors / "tdx" / row["file"])
    assert len(value["log"]) == row["events"]
    zeros = "00" * 48
    assert [value.get(f"replayed_rtmr{n}", zeros) for n in range(4)] == [row[f"rtmr{n}"] for n in range(4)]
    by_how = {how: [e for e in value["log"] if e["how"] == how] for how in ("pinned", "shown", "recorded")}
    assert {event["type"] for event in by_how["pinned"]} == {"EV_SEPARATOR"}
    assert {"EV_EFI_VARIABLE_DRIVER_CONFIG"} <= {event["type"] for event in by_how["shown"]}
    assert {"EV_EFI_HANDOFF_TABLES2", "EV_PLATFORM_CONFIG_FLAGS"} <= {event["type"] for event in by_how["recorded"]}


def test_mrtd_by_its_definition() -> None:
    """The forge's firmware, with MRTD written out again."""
    firmware = Firmware.from_bytes(forge.firmware())

    def add(address: int) -> bytes:
        return b"MEM.PAGE.ADD\0\0\0\0" + address.to_bytes(8, "little") + bytes(104)

    def extend(address: int, at: int) -> bytes:
        block = b"MR.EXTEND\0\0\0\0\0\0\0" + address.to_bytes(8, "little") + bytes(104)
        return block + firmware.raw[at : at + 256]

    boot, at = 0xFFFFE000, 0x2000
    pages = [add(boot) + add(boot + 0x1000), b"".join(extend(boot + i, at + i) for i in range(0, 0x2000, 256))]
    rest = b"".join(add(address) for address in (0xFFFFC000, 0xFFFFD000, 0x809000, 0x80A000))
    assert tdx.mrtd(firmware, order="two-pass") == hashlib.sha384(b"".join(pages) + rest).digest()
    single = b"".join(
        add(boot + page) + b"".join(extend(boot + page + i, at + page + i) for i in range(0, 0x1000, 256))
        for page in (0, 0x1000)
    )
    assert tdx.mrtd(firmware, order="one-pass") == hashlib.sha384(single + rest).digest()


def test_pages_that_are_added_later_are_not_measured() -> None:
    later = (0, 0, 1 << 32, 1 << 40, 4, 2)
    made = [Firmware.from_bytes(forge.firmware(tdx=sections)) for sections in (forge.TDX, (*forge.TDX, later))]
    found = []
    for firmware in made:
        content = firmware.raw[-0x2000:-0x400]  # without the metadata, which differ and are measured
        found.append((tdx.mrtd(firmware, order="two-pass"), content))
    assert found[0][1] == found[1][1]
    plain = [s for s in made[1].tdx() if not s.attributes & 2]
    assert plain == list(made[0].tdx())


def test_a_section_that_is_larger_in_memory() -> None:
    """Bytes of a section beyond its data in the file are measured as zeros."""
    larger = ((0x2000, 0x1000, 0xFFFFE000, 0x2000, 0, 1),)
    made = Firmware.from_bytes(forge.firmware(tdx=larger))
    assert tdx.mrtd(made, order="two-pass") != tdx.mrtd(Firmware.from_bytes(forge.firmware()), order="two-pass")


GIB = 1 << 30
HEADER = SetupHeader.from_bytes(forge.kernel())


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (1 * GIB, 0x3FFD7000 - 0x1000),
        (2 * GIB, 0x7FFD7000 - 0x1000),
        (3 * GIB, 0x7FFD7000 - 0x1000),
        (64 * GIB, 0x7FFD7000 - 0x1000),
        (0xB0000000 - 0x1000, 0xAFFD6000 - 0x1000),
    ],
)
def test_where_the_initrd_would_lie(memory: int, expected: int) -> None:
    assert kernel.initrd_address(HEADER, memory=memory, initrd_size=0x1000) == expected


@pytest.mark.parametrize(
    ("header", "limit"),
    [
        ({"xload": 0}, 0x7FFFFFFF),
        ({"protocol": 0x20B}, 0x7FFFFFFF),
        ({"protocol": 0x202}, 0x37FFFFFF),
        ({"xload": 0, "initrd_max": 0x1FFFFFFF}, 0x1FFFFFFF),
    ],
)
def test_kernels_that_take_initrds_only_below_a_limit(header: dict[str, int], limit: int) -> None:
    made = SetupHeader.from_bytes(forge.kernel(**header))
    assert kernel.initrd_address(made, memory=0xAFFFF000, initrd_size=0x1000) == (limit - 0x1000) // 4096 * 4096


def test_what_is_patched() -> None:
    plain = forge.kernel()
    made = kernel.patched(plain, memory=GIB, initrd_size=100)
    changed = {i for i, (a, b) in enumerate(zip(plain, made, strict=True)) if a != b}
    assert changed <= {0x210, 0x211, *range(0x218, 0x220), *range(0x224, 0x22C)}
    assert made[0x210:0x212] == b"\xb0\x81"
    assert made[0x228:0x22C] == (0x20000).to_bytes(4, "little")
    without = kernel.patched(plain, memory=GIB, initrd_size=0)
    assert without[0x218:0x220] == bytes(8)
    low = kernel.patched(forge.kernel(flags=0), memory=GIB, initrd_size=0)
    assert low[0x228:0x22C] == (0x9A000).to_bytes(4, "little")
    assert authenticode(PeFile.from_bytes(made)) != authenticode(PeFile.from_bytes(plain))


@pytest.mark.parametrize("memory", [0, 1 << 20, 0x28000, 128 << 20])
def test_an_initrd_that_does_not_fit(memory: int) -> None:
    with pytest.raises(UsageError) as e:
        kernel.patched(forge.kernel(), memory=memory, initrd_size=128 << 20)
    assert e.value.code == "memory"


def test_a_direct_boot_through_the_command_line(tmp_path: Path, measured: Run) -> None:
    files = {"kernel": forge.kernel(), "initrd": b"initrd", "firmware": forge.firmware()}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    options = ["--kind", "tdx", "--kernel", tmp_path / "kernel", "--initrd", tmp_path / "initrd", "--append", "quiet"]
    value = measured(*options, "--firmware", tmp_path / "firmware")
    assert value["mrtd"] == tdx.mrtd(Firmware.from_bytes(files["firmware"]), order="two-pass").hex()
    assert value["rtmr1"] == register(tdx.rtmr1(authenticode(PeFile.from_bytes(files["kernel"])))).hex()
    assert value["rtmr2"] == register(tdx.rtmr2(b"quiet", b"initrd")).hex()
    assert [event["what"] for event in value["events"] if event["register"] == "rtmr2"] == ["command line", "initrd"]
    patched = kernel.patched(files["kernel"], memory=GIB, initrd_size=6)
    value = measured(*options, "--setup-header", "patched", "--memory", "1GiB", "--separators", 0)
    assert value["rtmr1"] == register(tdx.rtmr1(authenticode(PeFile.from_bytes(patched)), separators=0)).hex()


def test_events_that_are_pinned(tmp_path: Path, measured: Run) -> None:
    """The firmware's own variables are pinned, the event of a variable shows its value, others are only recorded."""
    firmware = forge.firmware()
    (tmp_path / "firmware").write_bytes(firmware)
    boot = logs.variable("BootOrder", b"\0\0")
    made = [
        logs.event(1, 0x8000000A, b"name", firmware[:0x2000], banks=(logs.SHA384,)),
        logs.event(1, 4, bytes(4), banks=(logs.SHA384,)),
        logs.event(2, 0x80000002, boot, b"\0\0", banks=(logs.SHA384,)),
        logs.event(2, 0x80000002, b"no variable", b"else", banks=(logs.SHA384,)),
        logs.event(9, 0x80000002, b"nowhere", banks=(logs.SHA384,)),
    ]
    (tmp_path / "log").write_bytes(logs.td(made))
    value = measured("--kind", "tdx", "--firmware", tmp_path / "firmware", "--event-log", tmp_path / "log")
    assert [(event["how"], event["register"]) for event in value["log"]] == [
        ("pinned", "rtmr0"),
        ("pinned", "rtmr0"),
        ("shown", "rtmr1"),
        ("recorded", "rtmr1"),
        ("shown", "9"),
    ]
    assert value["replayed_rtmr0"] == logs.extended(logs.td(made), "sha384")[1].hex()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "image-option"),
        (["--separators", "17", "--kernel", "/dev/null"], "separators"),
        (["--memory", "much", "--kernel", "/dev/null", "--setup-header", "patched"], "size"),
        (["--sigstruct", "x"], "image-option"),
    ],
)
def test_options_that_make_no_sense(refused: Any, words: list[str], code: str) -> None:
    assert refused("measure", "--kind", "tdx", *words)[1] == code


def test_a_kernel_that_is_none(tmp_path: Path, refused: Any) -> None:
    (tmp_path / "k").write_bytes(b"\x7fELF")
    assert refused("measure", "--kind", "tdx", "--kernel", tmp_path / "k") == (126, "pe-magic")


def test_a_log_without_the_bank() -> None:
    with pytest.raises(ParseError) as e:
        events.replayed(EventLog.from_bytes(logs.pc()), "sha384", 0)
    assert e.value.code == "eventlog-bank"


def test_events_of_a_register_are_in_order() -> None:
    made = (Event("a", digest(b"a")), Event("b", digest(b"b")))
    assert register(made) != register(made[::-1])
