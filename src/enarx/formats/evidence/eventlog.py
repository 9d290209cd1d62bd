"""Boot event logs: the crypto-agile log of TPMs and of confidential VMs, and the ACPI table that locates the latter.

*PFP*: TCG PC Client Platform Firmware Profile, 1.06: 10.2 the structures, 10.4 the types of events. *CC*: UEFI Specification
2.10, 38.1 (the log of a confidential VM) and 38.4.1 (its registers). *ACPI*: 6.5, 5.2.34 (CCEL). Integers are little-endian.

Nothing in a log is signed, and only the digest of an event is measured. `enarx.verify.replay` decides what a log proves.
"""

from __future__ import annotations

from typing import Self

from enarx.errors import ParseError
from enarx.formats.reader import Reader
from enarx.record import record

WHAT = "event log"
CODE = "eventlog"
MAX_SIZE = 4 << 20
MAX_EVENTS = 1 << 14
MAX_ALGORITHMS = 8
MAX_DIGEST = 64
SIGNATURE = b"Spec ID Event03\0"
SHA1_SIZE = 20
"""Bytes of the digest in the header, which is an event of the older form and measures nothing."""

LOGS = ("eventlog", "ccel")
"""The formats of this module, by the names that `--kind` takes: a boot event log, and the ACPI table that locates one."""

ALGORITHMS = {0x0004: ("sha1", 20), 0x000B: ("sha256", 32), 0x000C: ("sha384", 48), 0x000D: ("sha512", 64)}
"""TPM_ALG_ID to name and size, of those that can be replayed; others are carried as they are."""

NO_ACTION, SEPARATOR, ACTION, S_CRTM_VERSION, IPL, OMIT_BOOT_DEVICES = 0x03, 0x04, 0x05, 0x08, 0x0D, 0x12
VARIABLE_DRIVER_CONFIG, VARIABLE_BOOT, GPT, EFI_ACTION = 0x80000001, 0x80000002, 0x80000006, 0x80000007
VARIABLE_BOOT2, VARIABLE_AUTHORITY = 0x8000000C, 0x800000E0
VARIABLES = (VARIABLE_DRIVER_CONFIG, VARIABLE_BOOT, VARIABLE_BOOT2, VARIABLE_AUTHORITY)

NAMES = {
    0x00: "EV_PREBOOT_CERT",
    0x01: "EV_POST_CODE",
    0x02: "EV_UNUSED",
    NO_ACTION: "EV_NO_ACTION",
    SEPARATOR: "EV_SEPARATOR",
    ACTION: "EV_ACTION",
    0x06: "EV_EVENT_TAG",
    0x07: "EV_S_CRTM_CONTENTS",
    S_CRTM_VERSION: "EV_S_CRTM_VERSION",
    0x09: "EV_CPU_MICROCODE",
    0x0A: "EV_PLATFORM_CONFIG_FLAGS",
    0x0B: "EV_TABLE_OF_DEVICES",
    0x0C: "EV_COMPACT_HASH",
    IPL: "EV_IPL",
    0x0E: "EV_IPL_PARTITION_DATA",
    0x0F: "EV_NONHOST_CODE",
    0x10: "EV_NONHOST_CONFIG",
    0x11: "EV_NONHOST_INFO",
    OMIT_BOOT_DEVICES: "EV_OMIT_BOOT_DEVICE_EVENTS",
    0x13: "EV_POST_CODE2",
    0x80000000: "EV_EFI_EVENT_BASE",
    VARIABLE_DRIVER_CONFIG: "EV_EFI_VARIABLE_DRIVER_CONFIG",
    VARIABLE_BOOT: "EV_EFI_VARIABLE_BOOT",
    0x80000003: "EV_EFI_BOOT_SERVICES_APPLICATION",
    0x80000004: "EV_EFI_BOOT_SERVICES_DRIVER",
    0x80000005: "EV_EFI_RUNTIME_SERVICES_DRIVER",
    GPT: "EV_EFI_GPT_EVENT",
    EFI_ACTION: "EV_EFI_ACTION",
    0x80000008: "EV_EFI_PLATFORM_FIRMWARE_BLOB",
    0x80000009: "EV_EFI_HANDOFF_TABLES",
    0x8000000A: "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
    0x8000000B: "EV_EFI_HANDOFF_TABLES2",
    VARIABLE_BOOT2: "EV_EFI_VARIABLE_BOOT2",
    0x8000000D: "EV_EFI_GPT_EVENT2",
    0x80000010: "EV_EFI_HCRTM_EVENT",
    VARIABLE_AUTHORITY: "EV_EFI_VARIABLE_AUTHORITY",
    0x800000E1: "EV_EFI_SPDM_FIRMWARE_BLOB",
    0x800000E2: "EV_EFI_SPDM_FIRMWARE_CONFIG",
    0x800000E3: "EV_EFI_SPDM_DEVICE_POLICY",
    0x800000E4: "EV_EFI_SPDM_DEVICE_AUTHORITY",
}
"""Types of events (PFP 10.4.1); one that is not known is kept with its number."""


@record()
class Event:
    """A TCG_PCR_EVENT2 (PFP 10.2.2). `register` is a PCR, or what CC calls an MR; `digests` are (TPM_ALG_ID, digest)."""

    register: int
    type: int
    digests: tuple[tuple[int, bytes], ...]
    data: bytes

    @property
    def name(self) -> str:
        """The name of the event's type."""
        return NAMES.get(self.type, f"{self.type:#010x}")

    @property
    def extends(self) -> bool:
        """Whether the digest extends the register."""
        return self.type != NO_ACTION

    def digest(self, bank: str) -> bytes:
        """The event's digest in a bank that the log has."""
        return next(digest for id, digest in self.digests if ALGORITHMS.get(id, ("",))[0] == bank)

    def to_bytes(self) -> bytes:
        """The bytes that the event was parsed from."""
        digests = b"".join(_u(id, 2) + digest for id, digest in self.digests)
        head = _u(self.register, 4) + _u(self.type, 4) + _u(len(self.digests), 4)
        return head + digests + _u(len(self.data), 4) + self.data


@record()
class EventLog:
    """A log: its header (TCG_EfiSpecIDEvent, PFP 10.4.5.1), its events, and padding of only 0xFF or only zeros.

    register    the register in the header
    version     (major, minor, errata)
    algorithms  (TPM_ALG_ID, digest size)
    """

    register: int
    platform_class: int
    version: tuple[int, int, int]
    uintn_size: int
    algorithms: tuple[tuple[int, int], ...]
    vendor: bytes
    events: tuple[Event, ...]
    padding: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a crypto-agile log, whose events have a digest for each algorithm of the header. ParseError."""
        if len(data) > MAX_SIZE:
            raise ParseError("eventlog-size", f"{len(data)} bytes, at most {MAX_SIZE}", what=WHAT)
        read = Reader(data, WHAT, code=CODE)
        register, type = read.number(4), read.number(4)
        if type != NO_ACTION or any(read.take(SHA1_SIZE)):
            raise ParseError("eventlog-header", "does not begin with EV_NO_ACTION", what=WHAT)
        header = Reader(read.sized(4), "event log header", code=CODE)
        if header.take(len(SIGNATURE)) != SIGNATURE:
            raise ParseError("eventlog-header", f"wanted {SIGNATURE!r}", what=WHAT)
        platform_class, minor, major, errata, uintn = (header.number(size) for size in (4, 1, 1, 1, 1))
        algorithms = _algorithms(header)
        vendor = header.take(header.number(1))
        header.end()
        filled = min(len(data.rstrip(b"\xff")), len(data.rstrip(b"\0")))
        events, padding = _events(read, dict(algorithms), filled)
        return cls(
            register=register,
            platform_class=platform_class,
            version=(major, minor, errata),
            uintn_size=uintn,
            algorithms=algorithms,
            vendor=vendor,
            events=events,
            padding=padding,
        )

    def to_bytes(self) -> bytes:
        """The bytes that the log was parsed from."""
        major, minor, errata = self.version
        header = SIGNATURE + _u(self.platform_class, 4) + bytes((minor, major, errata, self.uintn_size))
        header += _u(len(self.algorithms), 4) + b"".join(_u(id, 2) + _u(size, 2) for id, size in self.algorithms)
        header += _u(len(self.vendor), 1) + self.vendor
        first = _u(self.register, 4) + _u(NO_ACTION, 4) + bytes(SHA1_SIZE) + _u(len(header), 4) + header
        return first + b"".join(event.to_bytes() for event in self.events) + self.padding

    @property
    def banks(self) -> tuple[str, ...]:
        """The hashes of the log that can be replayed."""
        return tuple(ALGORITHMS[id][0] for id, _ in self.algorithms if id in ALGORITHMS)


def _algorithms(header: Reader) -> tuple[tuple[int, int], ...]:
    count = header.number(4)
    if not 1 <= count <= MAX_ALGORITHMS:
        raise ParseError("eventlog-algorithms", f"{count} algorithms, wanted 1 to {MAX_ALGORITHMS}", what=WHAT)
    algorithms: dict[int, int] = {}
    for _ in range(count):
        id, size = header.number(2), header.number(2)
        if id in algorithms or not 1 <= size <= MAX_DIGEST or ALGORITHMS.get(id, ("", size))[1] != size:
            raise ParseError(
                "eventlog-algorithms", f"algorithm {id:#06x}: duplicate, or a digest of {size} bytes", what=WHAT
            )
        algorithms[id] = size
    return tuple(algorithms.items())


def _events(read: Reader, sizes: dict[int, int], end: int) -> tuple[tuple[Event, ...], bytes]:
    """The events up to an offset, and the padding after it."""
    events: list[Event] = []
    while read.at < end:
        if len(events) == MAX_EVENTS:
            raise ParseError("eventlog-size", f"over {MAX_EVENTS} events", what=WHAT, offset=read.at)
        events.append(_event(read, sizes))
    return tuple(events), read.rest()


def _event(read: Reader, sizes: dict[int, int]) -> Event:
    register, type, count = read.number(4), read.number(4), read.number(4)
    if count != len(sizes):
        raise ParseError("eventlog-digests", f"{count} digests, wanted {len(sizes)}", what=WHAT, offset=read.at)
    digests: dict[int, bytes] = {}
    for _ in range(count):
        id = read.number(2)
        if id in digests or id not in sizes:
            raise ParseError(
                "eventlog-digests", f"algorithm {id:#06x}: duplicate, or not in the header", what=WHAT, offset=read.at
            )
        digests[id] = read.take(sizes[id])
    return Event(register=register, type=type, digests=tuple(digests.items()), data=read.take(read.number(4)))


@record()
class Variable:
    """A UEFI_VARIABLE_DATA (PFP 10.2.6): the data of an event about a variable."""

    guid: bytes
    name: str
    value: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a variable. ParseError for anything else, and for trailing bytes."""
        read = Reader(data, "UEFI variable", code=CODE)
        guid, length, size = read.take(16), read.number(8), read.number(8)
        name = read.take(length * 2).decode("utf-16-le", "replace")
        value = read.take(size)
        read.end()
        return cls(guid=guid, name=name, value=value)


def detect(data: bytes) -> str:
    """The format in `LOGS` that the bytes begin like; empty if neither."""
    if data[32:48] == SIGNATURE:
        return "eventlog"
    return "ccel" if data[:4] == b"CCEL" else ""


TABLE = "CCEL table"
TABLE_SIZE = 56
CC_TYPES = {1: "sev", 2: "tdx"}


@record()
class Table:
    """The ACPI table that locates a confidential VM's log in memory (*ACPI* 5.2.34): its `start` and `size`."""

    revision: int
    cc_type: int
    cc_subtype: int
    size: int
    start: int
    raw: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a table. ParseError for anything else, and for a wrong checksum."""
        if len(data) != TABLE_SIZE or data[:8] != b"CCEL" + _u(TABLE_SIZE, 4):
            raise ParseError("ccel-header", f"wanted CCEL and {TABLE_SIZE} bytes", what=TABLE)
        if sum(data) & 0xFF:
            raise ParseError("ccel-checksum", "wrong checksum", what=TABLE, offset=9)
        read = Reader(data[36:], TABLE, code=CODE)
        kind, subtype, _, size, start = (read.number(width) for width in (1, 1, 2, 8, 8))
        return cls(revision=data[8], cc_type=kind, cc_subtype=subtype, size=size, start=start, raw=data)

    def to_bytes(self) -> bytes:
        """The bytes that the table was parsed from."""
        return self.raw


def _u(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")
