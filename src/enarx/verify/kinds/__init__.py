"""The registry of TEE kinds: one line for each. Everything else about a kind is in its two folders.

`formats/evidence/<kind>/` turns bytes into fields. `verify/kinds/<kind>/` defines `KIND`, the only object that the rest of the
program uses: how evidence is recognized, examined and appraised, what the measurement leaves out, and which roots chains end in.
`find` loads a kind's package at its first use; its `examine` and `claims` modules are loaded only when they are needed.

To add a kind, write its folders and add its line. To remove one, delete them, and the kinds that name it among their `parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from enarx.errors import UsageError
from enarx.record import record

if TYPE_CHECKING:
    from enarx.verify.claims import Claims
    from enarx.verify.examination import Examination
    from enarx.verify.families.amd import Request as AmdRequest
    from enarx.verify.families.intel.collateral import Request as IntelRequest
    from enarx.verify.replay import Layout
    from enarx.verify.result import Endorsements
    from enarx.verify.roots import Roots, RootSet

    Request: TypeAlias = AmdRequest | IntelRequest
    """What to ask a vendor's service for: `enarx.endorsements` fetches it."""

HARDWARE = (
    "snp",
    "sgx",
    "tdx",
    "nitro",
    "cca",
    "tpm",
    "az-snp-vtpm",
    "az-tdx-vtpm",
)
"""Kinds of hardware; the folder of a kind has its name, with `_` for `-`."""

SIMULATED = "simulated"
"""The kind without hardware. No policy accepts it together with any other."""

KINDS = (*HARDWARE, SIMULATED)


class Examine(Protocol):
    """The function that makes a kind's checks of authenticity."""

    def __call__(self, evidence: bytes, *, endorsements: Endorsements, roots: Roots, now: int) -> Examination:
        """Make every check at `now` (unix seconds). ParseError if the format is wrong."""
        ...


class Registers(NamedTuple):
    """Verified registers that a boot event log has to replay to: their layout, their hash, and their values by index."""

    layout: Layout
    bank: str
    values: Mapping[int, bytes]


@record()
class Kind:
    """What the rest of the program asks of a kind of TEE.

    name            the kind's name in policies and results
    detect          whether bytes look like evidence of this kind: a guess, which verification confirms or refutes
    examiner        loads the checks of authenticity
    claims          loads the class that declares its claims, from which policies, templates and trustworthiness vectors derive
    parts           the kinds that this one is composed of
    registers       the registers in verified claims that a boot event log replays to; None if the kind has none
    unmeasured      names of the claims that say what runs, if the measurement does not cover it
    report_size     size in bytes to which shorter report data is padded with zeros; 0 for no padding
    time            the time that the evidence states (unix seconds); None if it states none
    roots           the sets of roots that its chains may end in, in addition to those of its parts
    request         what to ask the vendor for, to verify the given evidence; None if nothing is fetched
    unendorsed      why nothing is fetched
    """

    name: str
    detect: Callable[[bytes], bool]
    examiner: Callable[[], Examine]
    claims: Callable[[], type[Claims]]
    parts: tuple[str, ...] = ()
    registers: Callable[[Claims], Registers] | None = None
    unmeasured: str = ""
    report_size: int = 0
    time: Callable[[bytes], int] | None = None
    roots: tuple[RootSet, ...] = ()
    request: Callable[[bytes], Request] | None = None
    unendorsed: str = ""


@cache
def find(name: str) -> Kind:
    """The kind of this name. UsageError if it is not registered."""
    if name not in KINDS:
        raise UsageError("kind-unknown", f"no verifier for evidence of kind {ascii(name)[:40]}")
    kind: Kind = import_module(f"{__name__}.{name.replace('-', '_')}").KIND
    return kind


def detect(data: bytes) -> str:
    """The most probable kind of this evidence: a guess, so that users need not name it. UsageError if no kind matches."""
    for name in KINDS:
        if find(name).detect(data):
            return name
    hint = f"--kind {'|'.join(KINDS)}"
    raise UsageError("kind", "the kind of this evidence cannot be detected from its first bytes", hint=hint)
