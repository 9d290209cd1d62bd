"""TPM 2.0: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.policy import AppraisalPolicy, Matcher
from enarx.verify.result import Claims, Unknown


@record()
class TpmClaims(Claims):
    """What a quote says besides.

    measurement is the digest of the quoted registers, report_data the quote's extra data, chip_id SHA-256 of the key (DER
    SubjectPublicKeyInfo); svn is 0 and host_data zeros. debug is False: a TPM has no such thing, and keeps no host out.

    pcrs          the quoted registers, each as index:value
    ak_certified  whether the caller knows the key to be a TPM's; unknown otherwise
    firmware      as the TPM says
    """

    ak_certified: bool | Unknown
    pcr_bank: str
    pcrs: tuple[str, ...]
    firmware: int
    reset_count: int
    restart_count: int
    clock_safe: bool


@record()
class TpmPolicy(AppraisalPolicy):
    """The rules for that."""

    ak_certified: Matcher
    pcr_bank: Matcher
    pcrs: Matcher
    firmware: Matcher
    reset_count: Matcher
    restart_count: Matcher
    clock_safe: Matcher

    _types = AppraisalPolicy._types | {
        "ak_certified": bool,
        "pcr_bank": str,
        "pcrs": tuple,
        "firmware": int,
        "reset_count": int,
        "restart_count": int,
        "clock_safe": bool,
    }
    _hints = {
        "measurement": "some register differs: compare pcrs",
        "ak-certified": "a quote under a key that nobody vouches for proves nothing: anybody can make one in software",
    }


TEMPLATE = """# What is accepted of a TPM 2.0 quote. Each field is a value, { at_least = }, { any_of = [] }, { none_of = [] },
# or { unchecked = "why" }. Nothing set is an error. A TPM alone protects no workload from the machine's owner.

kind = "tpm"

# The digest of the quoted registers. Put yours here: zeros match nothing.
measurement = "0000000000000000000000000000000000000000000000000000000000000000"
# It says what they hold, not which they are: name those that matter, as { at_least = ["4:00ff...", "9:00ff..."] }.
pcrs = { unchecked = "ANY REGISTERS with these values: name them" }
pcr_bank = { any_of = ["sha256", "sha384"] }

# The key has to be known as a TPM's: give it with --trust-anchor. Else a quote proves nothing.
ak_certified = true

debug = false
host_data = { unchecked = "TPMs have none" }
svn = { unchecked = "TPMs have none" }
chip_id = { unchecked = "any of the keys given" }
firmware = { unchecked = "any" }
reset_count = { unchecked = "a machine may start again" }
restart_count = { unchecked = "a machine may sleep" }
clock_safe = { unchecked = "the clock is not used" }
"""
