"""Claims that SGX and TDX share: what Intel says about the machine, from its PCK certificate and the collateral.

All of them are unknown until the quote is verified, because nothing names the machine before.
"""

from __future__ import annotations

from enarx.verify.claims import HARDWARE, INSTANCE, VULNERABLE, Lowers, claim
from enarx.verify.matchers import Exactly, Unchecked

_ORDINARY = Unchecked(reason="ordinary on servers")

MACHINES = (
    "Anyone with physical access can extract a machine's keys (WireTap, TEE.fail). Where that matters, list the machines that "
    "you believe to be physically secure with any_of. Exclude machines with leaked keys with none_of."
)
"""Advice about every claim that names a machine."""


def is_not_up_to_date(status: str) -> bool:
    """Whether a TCB status is any other than UpToDate."""
    return status != "UpToDate"


CHIP_ID = claim(
    "The machine's identity: the platform's instance id, or its PPID.",
    suggest=Unchecked(reason="any machine"),
    advice=MACHINES,
    decides=INSTANCE,
)
TCB_DATE = claim(
    "When the TCB level of the platform was current, in unix seconds.",
    suggest=Unchecked(reason="the status says enough"),
    advice="A floor gives OutOfDate platforms a period of grace.",
    supports=HARDWARE,
)
ADVISORIES = claim(
    "The security advisories that the TCB level is open to.",
    suggest=Unchecked(reason="the status says enough; { none_of = [] } denies, { any_of = [] } allows"),
    supports=HARDWARE,
    lowers=(Lowers(HARDWARE, VULNERABLE, bool),),
    hint="the machine is open to what the advisory describes",
)
TCB_EVALUATION_NUMBER = claim(
    "The number of the TCB recovery that the collateral belongs to.",
    suggest=Unchecked(reason="the newest that the collateral has; { at_least = } asks for a later one"),
    supports=HARDWARE,
)
FMSPC = claim(
    "FMSPC: family, model, stepping, platform type and custom SKU of the processor.",
    suggest=Unchecked(reason="any model"),
    supports=HARDWARE,
)
PPID = claim("PPID: the processor's identity.", suggest=Unchecked(reason="any machine"), supports=INSTANCE)
DYNAMIC_PLATFORM = claim("Whether processors can be added to the platform.", suggest=_ORDINARY, supports=HARDWARE)
CACHED_KEYS = claim("Whether Intel keeps the platform's keys.", suggest=_ORDINARY, supports=HARDWARE)
SMT_ENABLED = claim("Whether SMT is enabled on the machine.", suggest=_ORDINARY, supports=HARDWARE)
REVOKED = claim("Whether Intel has revoked the machine's certificate.", suggest=Exactly(False), decides=HARDWARE)
