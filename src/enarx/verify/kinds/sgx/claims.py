"""Intel SGX: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.policy import AppraisalPolicy, Bits, Matcher
from enarx.verify.result import Claims, Unknown


@record()
class SgxClaims(Claims):
    """What an SGX quote says besides. measurement is MRENCLAVE, host_data CONFIGID, svn ISVSVN.

    tcb_status     Intel's word for the platform, the module and the quoting enclave together
    tcb_date       unix seconds: when the level of the platform was current; a floor is a grace by date for OutOfDate
    advisories     what the level is open to
    chip_id        the platform's instance id, or its PPID; unknown until the quote is found to be authentic, as are the others
                   of the vendor's
    revoked        whether the vendor has revoked the machine's certificate
    """

    mr_signer: bytes
    isv_prod_id: int
    isv_ext_prod_id: bytes
    isv_family_id: bytes
    config_svn: int
    attributes: Bits
    xfrm: Bits
    misc_select: int
    tcb_status: str | Unknown
    tcb_date: int | Unknown
    advisories: tuple[str, ...] | Unknown
    tcb_evaluation_number: int | Unknown
    fmspc: bytes | Unknown
    ppid: bytes | Unknown
    dynamic_platform: bool | Unknown
    cached_keys: bool | Unknown
    smt_enabled: bool | Unknown
    revoked: bool | Unknown


@record()
class SgxPolicy(AppraisalPolicy):
    """The rules for that."""

    mr_signer: Matcher
    isv_prod_id: Matcher
    isv_ext_prod_id: Matcher
    isv_family_id: Matcher
    config_svn: Matcher
    attributes: Matcher
    xfrm: Matcher
    misc_select: Matcher
    tcb_status: Matcher
    tcb_date: Matcher
    advisories: Matcher
    tcb_evaluation_number: Matcher
    fmspc: Matcher
    ppid: Matcher
    dynamic_platform: Matcher
    cached_keys: Matcher
    smt_enabled: Matcher
    revoked: Matcher

    _types = AppraisalPolicy._types | {
        "mr_signer": bytes,
        "isv_prod_id": int,
        "isv_ext_prod_id": bytes,
        "isv_family_id": bytes,
        "config_svn": int,
        "attributes": Bits,
        "xfrm": Bits,
        "misc_select": int,
        "tcb_status": str,
        "tcb_date": int,
        "advisories": tuple,
        "tcb_evaluation_number": int,
        "fmspc": bytes,
        "ppid": bytes,
        "dynamic_platform": bool,
        "cached_keys": bool,
        "smt_enabled": bool,
        "revoked": bool,
    }
    _hints = {
        "measurement": "another build of the enclave: MRENCLAVE covers its code, data and layout",
        "mr-signer": "signed with another key",
        "debug": "a debug enclave: its memory can be read by the host",
        "tcb-status": "microcode, BIOS settings or the quoting enclave of the machine need what the advisories say",
        "advisories": "the machine is open to what the advisory describes",
    }


TEMPLATE = """# What is accepted of an Intel SGX enclave. Each field is a value,
# { at_least = }, { any_of = [] }, { none_of = [] },
# or { unchecked = "why" }. Nothing set is an error.

kind = "sgx"

# MRENCLAVE. Put yours here: zeros match nothing.
measurement = "0000000000000000000000000000000000000000000000000000000000000000"
mr_signer = { unchecked = "the measurement says more" }
isv_prod_id = { unchecked = "the measurement says more" }
svn = { unchecked = "the measurement says more" }
debug = false
host_data = { unchecked = "set at launch; name it where you bind a configuration to it" }
config_svn = { unchecked = "no configuration is bound" }
isv_ext_prod_id = { unchecked = "the measurement says more" }
isv_family_id = { unchecked = "the measurement says more" }
attributes = { at_least = 0x5 }
xfrm = { unchecked = "which registers the enclave may use" }
misc_select = { unchecked = "which exceptions it is told of" }

# What the vendor says of the machine's firmware. OutOfDate for a while: add it here, and { at_least = } a date below.
tcb_status = { any_of = ["UpToDate", "SWHardeningNeeded"] }
tcb_date = { unchecked = "the status says enough" }
advisories = { unchecked = "the status says enough; { none_of = [] } denies, { any_of = [] } allows" }
tcb_evaluation_number = { unchecked = "the newest that the collateral has; { at_least = } asks for a later one" }
fmspc = { unchecked = "any model" }
revoked = false

# Which machine. Whoever holds a machine in hand can take its keys (WireTap, TEE.fail): where that matters, list the machines
# that you believe to be locked away, with any_of. Take out those whose keys have leaked with none_of.
chip_id = { unchecked = "any machine" }
ppid = { unchecked = "any machine" }
dynamic_platform = { unchecked = "ordinary on servers" }
cached_keys = { unchecked = "ordinary on servers" }
smt_enabled = { unchecked = "ordinary on servers" }
"""
