"""The claims of Arm, by their numbers."""

from __future__ import annotations

from typing import Any

from enarx.verify import Roots, TrustAnchor
from enarx.verify.matchers import AtLeast, Exactly
from tests.forge import arm
from tests.verify.vectors import LEFT, Fixed, Given, Rows, Varies, Vectors


def cca(platform: dict[str, Any] | None = None, realm: dict[str, Any] | None = None) -> Given:
    token = arm.token(arm.platform(**(platform or {})), arm.realm(**(realm or {})))
    return Given(token, (), Roots(cca=(TrustAnchor(arm.spki("platform")),)))


def rem(index: int) -> Varies:
    return Varies(bytes(32), {"realm": {"c44239": [b"\7" * 32 if i == index else bytes(32) for i in range(4)]}})


CCA: Rows = {
    "report_data": Varies(bytes(range(64)), {"realm": {"c10": b"\7" * 64}}),
    "measurement": Varies(b"\1" * 32, {"realm": {"c44238": b"\7" * 32}}),
    "host_data": Varies(bytes(32), {"realm": {"c44235": b"\7" * 64}}),
    "debug": Varies(False, {"platform": {"c2395": 0x4003}}, ("lifecycle",)),
    "svn": Fixed(0, 1, "CCA has none"),
    "chip_id": Varies(b"\1" + b"\3" * 32, {"platform": {"c256": b"\1" + b"\7" * 32}}),
    **{f"rem{i}": rem(i) for i in range(4)},
    "profile": Varies("http://arm.com/CCA-SSD/1.0.0", {"platform": {"c265": "http://example.org/CCA"}}),
    "lifecycle": Varies(0x3003, {"platform": {"c2395": 0x30FF}}),
    "implementation_id": Varies(b"\2" * 32, {"platform": {"c2396": b"\7" * 32}}),
    "platform_config": Varies(b"config", {"platform": {"c2401": b"another"}}),
    "software_components": Varies(
        (f"BL:{'04' * 32}:{'05' * 32}", f":{'06' * 32}:{'07' * 32}"),
        {"platform": {"c2399": [{1: "BL", 2: b"\4" * 32, 5: b"\5" * 32}]}},
    ),
}

VECTORS = Vectors(
    forge=cca,
    rows=CCA,
    ends=None,
    together={"lifecycle": "debug is every one but secured"},
    beginning=frozenset({"debug", "profile"}),
    policy_id="LlQn0ZJcveCEi5Sp1vcoUgtKTN2XQbtg4r6K1YMJZJg",
    decisive=("measurement", "rem0", "rem1", "rem2", "rem3", "software_components"),
    vacuous={"one component among others": {"software_components": AtLeast((f"BL:{'04' * 32}:{'05' * 32}",))}},
    lowered={
        "a platform that is not secured": (
            *({"platform": {"c2395": 0x4003}}, {"debug": Exactly(True), "lifecycle": LEFT}),
            *("runtime-opaque", 96),
        ),
    },
)
