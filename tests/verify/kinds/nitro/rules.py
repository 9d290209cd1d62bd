"""The claims of AWS, by their names."""

from __future__ import annotations

import hashlib
from typing import Any

from enarx.verify import Roots
from tests.forge import aws
from tests.verify.vectors import NOW, Ends, Fixed, Given, Rows, Varies, Vectors


def nitro(pcrs: dict[int, bytes | None] | None = None, ends: Ends | None = None, **fields: Any) -> Given:
    """`pcrs` are those that differ; None is one that is not there."""
    root = aws.root()
    if ends:

        def ending(name: str) -> dict[str, int]:
            return {"end": ends[name]} if ends and name in ends else {}

        root = aws.certificate("root", "root", **ending("certificate 0"))
        fields["cabundle"] = [root, aws.certificate("zone", "root", depth=0, **ending("certificate 1"))]
        fields["certificate"] = aws.certificate("leaf", "zone", authority=False, **ending("the document's certificate"))
    registers = {**{i: bytes([i + 1]) * 48 for i in range(16)}, **(pcrs or {})}
    document = aws.payload(pcrs={i: value for i, value in registers.items() if value is not None}, **fields)
    return Given(aws.document(document), (), Roots(aws=(hashlib.sha256(root).digest(),)))


def pcr(index: int) -> Varies:
    return Varies(bytes([index + 1]) * 48, {"pcrs": {index: b"\x77" * 48}})


NITRO: Rows = {
    "report_data": Varies(b"\7" * 32, {"nonce": b"\6" * 32}),
    "measurement": pcr(0),
    "host_data": Fixed(bytes(32), b"\7" * 32, "Nitro has none"),
    "debug": Varies(False, {"pcrs": dict.fromkeys(range(3), bytes(48))}, ("measurement", "pcr1", "pcr2")),
    "svn": Fixed(0, 1, "Nitro has none"),
    "chip_id": Varies(b"i-0123456789abcdef0", {"module_id": "i-7777777777abcdef0-enc0123456789abcdef"}, ("module_id",)),
    **{f"pcr{i}": pcr(i) for i in (1, 2, 3, 4, 8)},
    "module_id": Varies(
        "i-0123456789abcdef0-enc0123456789abcdef", {"module_id": "i-0123456789abcdef0-enc7777777777abcdef"}
    ),
    "user_data": Varies(b"", {"user_data": b"\7"}),
    "public_key": Varies(b"", {"public_key": b"\7"}),
}

VECTORS = Vectors(
    forge=nitro,
    rows=NITRO,
    ends=NOW + 3600,
    together={
        "module_id": "it begins with the parent instance's id",
        "measurement": "it is zeros in debug mode",
        "pcr1": "zeros in debug mode",
        "pcr2": "zeros in debug mode",
    },
    beginning=frozenset({"debug"}),
    unknown={f"pcr{i}": ({"pcrs": {i: None}}, ()) for i in (1, 2, 3, 4, 8)},
    things=("certificate 0", "certificate 1", "the document's certificate"),
    policy_id="z9HLEKuqGJJekA_a1KjREwlbtU744siUVyE6SenV1h4",
    decisive=("measurement",),
)
