"""Intel's TCB info and QE identity: how Intel rates a machine with given security versions.

Intel SGX and TDX provisioning certification service API, version 4: "TCB Info", "Enclave Identity", and the steps there to find
a machine's level. Intel SGX DCAP quote verification library: how the statuses of several parts combine.
"""

from __future__ import annotations

import re
from calendar import timegm
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, Self

from enarx.errors import ParseError
from enarx.formats.evidence.families.dcap import SGX, TDX, SgxReport
from enarx.formats.fields import Fields
from enarx.record import record
from enarx.verify.times import date as day

WHAT = "Intel collateral"
UP_TO_DATE, OUT_OF_DATE, REVOKED = "UpToDate", "OutOfDate", "Revoked"
TO_CONFIGURE = "OutOfDateConfigurationNeeded"
RELAUNCH, RELAUNCH_TO_CONFIGURE = "TDRelaunchAdvised", "TDRelaunchAdvisedConfigurationNeeded"
"""Statuses of trust domains, not of levels: launched under old firmware, on a machine that has since been updated."""

STATUSES = (
    *(UP_TO_DATE, "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded"),
    *(OUT_OF_DATE, TO_CONFIGURE, REVOKED),
)
TEES = {"SGX": SGX, "TDX": TDX, "QE": SGX, "TD_QE": TDX}
COMPONENTS = 16
_MODULE = re.compile(r"(?:TDX_)?([0-9A-Fa-f]{2})", re.ASCII)
_DATE = re.compile(r"(\d{4})-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)Z", re.ASCII)


@record()
class Level:
    """Intel's rating of everything that reaches these security versions.

    date  unix seconds
    sgx   16 component versions; tdx the same, empty for SGX
    svn   version of the PCE; for an enclave or a module, its own, and the others are empty
    """

    status: str
    date: int
    advisories: tuple[str, ...]
    sgx: tuple[int, ...] = ()
    tdx: tuple[int, ...] = ()
    svn: int = 0

    def lacked(self, components: tuple[int, ...], pce_svn: int, tee_svn: bytes) -> list[str]:
        """The versions of the level that a machine does not reach, for people."""
        skip = 2 if tee_svn and tee_svn[1] else 0
        pairs = [
            *(
                (f"SGX component {i}", has, wanted)
                for i, (has, wanted) in enumerate(zip(components, self.sgx, strict=True), 1)
            ),
            ("PCE", pce_svn, self.svn),
            *((f"TDX component {i + 1}", tee_svn[i], wanted) for i, wanted in enumerate(self.tdx) if i >= skip),
        ]
        return [f"{name} at least {wanted} (is {has})" for name, has, wanted in pairs if has < wanted]


class SeamReport(Protocol):
    """The part of a trust domain's report that is about the TDX module."""

    @property
    def tee_tcb_svn(self) -> bytes:
        """The module's versions at launch: 16 bytes, minor and major first."""
        ...

    @property
    def tee_tcb_svn_2(self) -> bytes:
        """The versions of the module that the machine has now; empty if the report does not tell them apart."""
        ...

    @property
    def mr_signer_seam(self) -> bytes:
        """The hash of the module's signer."""
        ...

    @property
    def seam_attributes(self) -> bytes:
        """The module's attributes, 8 bytes."""
        ...


class Evaluation(NamedTuple):
    """The levels that platform, quoting enclave and TDX module reach; None for one that reaches none.

    `module` is the platform's level for a module without levels of its own, and for an enclave's quote.
    """

    platform: Level | None
    enclave: Level | None
    module: Level | None

    @property
    def levels(self) -> tuple[Level, ...]:
        """The distinct levels that are reached, the platform's first."""
        module = None if self.module is self.platform else self.module
        return tuple([level for level in (self.platform, self.enclave, module) if level is not None])

    @property
    def status(self) -> str:
        """Intel's status for all of them together. Defined if all are reached."""
        first, *rest = [level.status for level in self.levels]
        return together(first, tuple(rest))

    @property
    def date(self) -> int:
        """When that status was current, in unix seconds: the oldest date of a level that is out of date, else the platform's."""
        behind = [level.date for level in self.levels if level.status in (OUT_OF_DATE, TO_CONFIGURE)]
        return min(behind, default=self.levels[0].date)

    @property
    def advisories(self) -> tuple[str, ...]:
        """The security advisories that any of them is open to."""
        return tuple(sorted({advisory for level in self.levels for advisory in level.advisories}))


@record()
class Module:
    """The TDX module of one major version: its signer, its attributes under a mask, and its levels, newest first."""

    signer: bytes
    attributes: int
    mask: int
    levels: tuple[Level, ...] = ()


@record()
class TcbInfo:
    """TCB info of version 3. `modules` are (major version, module); the platform's levels cover major version 0 (TDX 1.0)."""

    tee: int
    start: int
    end: int
    fmspc: bytes
    pce_id: bytes
    evaluation: int
    levels: tuple[Level, ...]
    modules: tuple[tuple[int, Module], ...] = ()

    @classmethod
    def from_value(cls, value: Fields) -> Self:
        """From the signed JSON. ParseError."""
        tee = TEES.get(value.text("id"))
        if tee is None or value.number("version", 1 << 8) != 3:
            raise ParseError("collateral-version", "TCB info of an unknown version or TEE", what=WHAT)
        modules: dict[int, Module] = {}
        if "tdxModule" in value:
            modules[0] = _module(value.inner("tdxModule"))
        if "tdxModuleIdentities" in value:
            modules |= {major: module for major, module in value.each("tdxModuleIdentities", _identity) if major}
        return cls(
            tee=tee,
            start=date(value, "issueDate"),
            end=date(value, "nextUpdate"),
            fmspc=value.hex("fmspc", 6),
            pce_id=value.hex("pceId", 2),
            evaluation=value.number("tcbEvaluationDataNumber", 1 << 32),
            levels=value.each("tcbLevels", lambda level: _level(level, tee)),
            modules=tuple(modules.items()),
        )

    def level(self, components: tuple[int, ...], pce_svn: int, tee_svn: bytes) -> Level | None:
        """The newest level that a machine reaches; None if it reaches none.

        If the module has a major version, its own levels cover the first two TDX components.
        """
        skip = 2 if tee_svn and tee_svn[1] else 0
        for level in self.levels:
            if (
                pce_svn >= level.svn
                and all(map(int.__ge__, components, level.sgx))
                and all(map(int.__ge__, tee_svn[skip:], level.tdx[skip:]))
            ):
                return level
        return None

    def nearest(self, components: tuple[int, ...], pce_svn: int, tee_svn: bytes) -> str:
        """The nearest level, as text, for a machine that reaches none: it lacks the fewest versions of this level."""
        lacks = [(level, level.lacked(components, pce_svn, tee_svn)) for level in self.levels]
        if not lacks:
            return "no level is listed"
        level, lacked = min(lacks, key=lambda pair: len(pair[1]))
        return f"the nearest, {level.status} of {day(level.date)[:10]}, wants {', '.join(lacked)}"

    def evaluated(self, components: tuple[int, ...], pce_svn: int, tee_svn: bytes, enclave: Level | None) -> Evaluation:
        """The levels that a machine with this TDX module reaches. `tee_svn` are the module's versions, empty for SGX."""
        platform = self.level(components, pce_svn, tee_svn)
        if not tee_svn or not tee_svn[1]:
            return Evaluation(platform, enclave, platform)
        known = dict(self.modules).get(tee_svn[1])
        return Evaluation(platform, enclave, reached(known.levels, tee_svn[0]) if known else None)

    def module(self, report: SeamReport) -> Module | None:
        """The module that the report names, by major version, signer and attributes; None if Intel does not list it."""
        module = dict(self.modules).get(report.tee_tcb_svn[1])
        if module is None or report.mr_signer_seam != module.signer:
            return None
        same = not (int.from_bytes(report.seam_attributes, "little") ^ module.attributes) & module.mask
        return module if same else None


@record()
class Identity:
    """The identity of Intel's quoting enclave. Masks say which bits count."""

    tee: int
    start: int
    end: int
    evaluation: int
    misc_select: int
    misc_mask: int
    attributes: int
    attributes_mask: int
    signer: bytes
    product: int
    levels: tuple[Level, ...]

    @classmethod
    def from_value(cls, value: Fields) -> Self:
        """From the signed JSON of version 2. ParseError."""
        tee = TEES.get(value.text("id"))
        if tee is None or value.number("version", 1 << 8) != 2:
            raise ParseError("collateral-version", "identity of an unknown version or enclave", what=WHAT)
        return cls(
            tee=tee,
            start=date(value, "issueDate"),
            end=date(value, "nextUpdate"),
            evaluation=value.number("tcbEvaluationDataNumber", 1 << 32),
            misc_select=int.from_bytes(value.hex("miscselect", 4), "little"),
            misc_mask=int.from_bytes(value.hex("miscselectMask", 4), "little"),
            attributes=int.from_bytes(value.hex("attributes", 16), "little"),
            attributes_mask=int.from_bytes(value.hex("attributesMask", 16), "little"),
            signer=value.hex("mrsigner", 32),
            product=value.number("isvprodid", 1 << 16),
            levels=value.each("tcbLevels", _own_level),
        )

    def is_of(self, report: SgxReport) -> bool:
        """Whether the report is from this enclave."""
        attributes = report.attributes | report.xfrm << 64
        return (
            report.mr_signer == self.signer
            and report.isv_prod_id == self.product
            and not (report.misc_select ^ self.misc_select) & self.misc_mask
            and not (attributes ^ self.attributes) & self.attributes_mask
        )


def reached(levels: tuple[Level, ...], svn: int) -> Level | None:
    """The newest level of an enclave or a module that a security version reaches; None if it reaches none."""
    return next((level for level in levels if svn >= level.svn), None)


def together(platform: str, others: tuple[str, ...]) -> str:
    """The combined status of a platform and the enclave or module on it, which can only add out of date or revoked."""
    if REVOKED in (platform, *others):
        return REVOKED
    if OUT_OF_DATE not in others:
        return platform
    return TO_CONFIGURE if platform.startswith("Configuration") or platform == TO_CONFIGURE else OUT_OF_DATE


def relaunched(launch: str, current: str) -> str:
    """The status at launch; or, if that is out of date and the current one is not, that a relaunch is advised."""
    if launch not in (OUT_OF_DATE, TO_CONFIGURE) or current in (OUT_OF_DATE, TO_CONFIGURE, REVOKED):
        return launch
    return RELAUNCH_TO_CONFIGURE if launch == TO_CONFIGURE or current.startswith("Configuration") else RELAUNCH


def _identity(value: Fields) -> tuple[int, Module]:
    """A module and its major version, which its id ends in: TDX_03."""
    match = _MODULE.fullmatch(value.text("id"))
    if not match:
        raise value.error("id", "TDX_ and two hexadecimal digits")
    return int(match[1], 16), _module(value, value.each("tcbLevels", _own_level))


def _level(value: Fields, tee: int) -> Level:
    tcb = value.inner("tcb")
    return _leveled(
        value,
        sgx=_components(tcb, "sgxtcbcomponents"),
        tdx=_components(tcb, "tdxtcbcomponents") if tee == TDX else (),
        svn=tcb.number("pcesvn", 1 << 16),
    )


def _own_level(value: Fields) -> Level:
    """A level of an enclave or a module, neither of which can be configured."""
    level = _leveled(value, svn=value.inner("tcb").number("isvsvn", 1 << 16))
    if level.status not in (UP_TO_DATE, OUT_OF_DATE, REVOKED):
        raise ParseError("collateral-level", f"an enclave or module with the status {level.status}", what=WHAT)
    return level


def _leveled(value: Fields, **versions: Any) -> Level:
    status = value.text("tcbStatus")
    advisories = value.array("advisoryIDs") if "advisoryIDs" in value else []
    if status not in STATUSES or not _are_names(advisories):
        raise ParseError("collateral-level", "a level with an unknown status or malformed advisories", what=WHAT)
    return Level(status=status, date=date(value, "tcbDate"), advisories=tuple(advisories), **versions)


def _are_names(values: list[Any]) -> bool:
    """Whether the values are plausible names of advisories."""
    if not {*map(type, values)} <= {str}:
        return False
    text = "".join(values)
    return text.isascii() and text.isprintable() and max(map(len, values), default=0) <= 64


def _components(tcb: Fields, name: str) -> tuple[int, ...]:
    versions = tcb.numbers(name, "svn", 1 << 8)
    if len(versions) != COMPONENTS:
        raise tcb.error(name, f"{COMPONENTS} security versions")
    return versions


def _module(value: Fields, levels: tuple[Level, ...] = ()) -> Module:
    return Module(
        signer=value.hex("mrsigner", 48),
        attributes=int.from_bytes(value.hex("attributes", 8), "little"),
        mask=int.from_bytes(value.hex("attributesMask", 8), "little"),
        levels=levels,
    )


def date(value: Fields, name: str) -> int:
    """A date field, in unix seconds. ParseError."""
    seconds = _seconds(value.text(name, longest=40))
    if seconds is None:
        raise value.error(name, "a date as RFC 3339 in UTC")
    return seconds


@lru_cache(maxsize=256)
def _seconds(text: str) -> int | None:
    """A date in unix seconds; None if it is malformed. Remembered, since most levels share a few dates."""
    match = _DATE.fullmatch(text)
    return timegm(tuple(map(int, match.groups()))) if match and match[1] != "0000" else None
