"""A maker of boot event logs of PCs and of trust domains, right or wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from enarx.formats.evidence.eventlog import EFI_ACTION, IPL, NO_ACTION, SEPARATOR, VARIABLE_BOOT, VARIABLE_DRIVER_CONFIG

SHA1, SHA256, SHA384, SHA512 = 0x04, 0x0B, 0x0C, 0x0D
BANKS = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384", SHA512: "sha512"}
SIZES = {id: hashlib.new(name).digest_size for id, name in BANKS.items()}


def u(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


def spec(
    algorithms: Sequence[tuple[int, int]] = ((SHA1, 20), (SHA256, 32)),
    *,
    signature: bytes = b"Spec ID Event03\0",
    count: int | None = None,
    vendor: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """A TCG_EfiSpecIDEvent."""
    head = signature + u(0) + bytes((0, 2, 105, 2)) + u(len(algorithms) if count is None else count)
    return head + b"".join(u(id, 2) + u(size, 2) for id, size in algorithms) + u(len(vendor), 1) + vendor + tail


def header(data: bytes | None = None, *, register: int = 0, type: int = NO_ACTION, digest: bytes = bytes(20)) -> bytes:
    """The first event, of the older form."""
    data = spec() if data is None else data
    return u(register) + u(type) + digest + u(len(data)) + data


def event(
    register: int,
    type: int,
    data: bytes,
    measured: bytes | None = None,
    *,
    banks: Sequence[int] = (SHA1, SHA256),
    digests: dict[int, bytes] | None = None,
) -> bytes:
    """One that says `data`, and for which `measured` (else the data itself) was measured."""
    of = data if measured is None else measured
    found = {id: hashlib.new(BANKS[id], of).digest() for id in banks} if digests is None else digests
    written = b"".join(u(id, 2) + digest for id, digest in found.items())
    return u(register) + u(type) + u(len(found)) + written + u(len(data)) + data


def variable(name: str, value: bytes) -> bytes:
    """A UEFI_VARIABLE_DATA."""
    return bytes(16) + u(len(name), 8) + u(len(value), 8) + name.encode("utf-16-le") + value


def locality(of: int, register: int = 0) -> bytes:
    return event(register, NO_ACTION, b"StartupLocality\0" + bytes([of]), digests={SHA1: bytes(20), SHA256: bytes(32)})


def events(banks: Sequence[int] = (SHA1, SHA256), registers: Sequence[int] = range(8), loader: int = 8) -> list[bytes]:
    """A boot: firmware's variable, a separator in each register, an action, the boot loader's command."""
    first, last = registers[0], registers[-1]
    found = [event(last, VARIABLE_DRIVER_CONFIG, variable("SecureBoot", b"\1"), banks=banks)]
    found += [event(first, 0x07, b"somewhere", b"the firmware itself", banks=banks)]
    found += [event(i, SEPARATOR, bytes(4), banks=banks) for i in registers]
    boot = variable("Boot0000", b"disk")
    found += [event(first, VARIABLE_BOOT, boot, b"disk", banks=banks)]
    found += [event(last, EFI_ACTION, b"Exit Boot Services Invocation", banks=banks)]
    found += [event(loader, IPL, b"kernel_cmdline: /vmlinuz quiet\0", b"/vmlinuz quiet", banks=banks)]
    return found


def pc(made: Sequence[bytes] | None = None, *, padding: bytes = b"") -> bytes:
    """The log of a PC with a TPM."""
    return header() + b"".join(events() if made is None else made) + padding


def td(made: Sequence[bytes] | None = None, *, padding: bytes = b"") -> bytes:
    """The log of a trust domain."""
    own = events((SHA384,), range(1, 4), 3) if made is None else made
    return header(spec(((SHA384, 48),)), register=1) + b"".join(own) + padding


def extended(log: bytes, bank: str = "sha256", first: int = 0) -> dict[int, bytes]:
    """What registers hold after this log: written anew, without what is under test but its parser."""
    from enarx.formats.evidence.eventlog import EventLog

    size = hashlib.new(bank).digest_size
    found: dict[int, bytes] = {}
    for one in EventLog.from_bytes(log).events:
        if one.type != NO_ACTION:
            start = bytes(size - 1) + bytes([first if one.register == 0 else 0])
            digest = dict(one.digests)[next(id for id, name in BANKS.items() if name == bank)]
            found[one.register] = hashlib.new(bank, found.get(one.register, start) + digest).digest()
    return found


def table(**changes: Any) -> bytes:
    """A CCEL table with a checksum that holds."""
    value = {"signature": b"CCEL", "length": 56, "type": 2, "size": 0x40000, "start": 0xBEDBF000, **changes}
    head = value["signature"] + u(value["length"]) + b"\1\0" + b"INTEL EDK2    " + u(2) + b"    " + u(1)
    found = head + bytes((value["type"], 0, 0, 0)) + u(value["size"], 8) + u(value["start"], 8)
    return found[:9] + bytes([-sum(found) & 0xFF]) + found[10:]
