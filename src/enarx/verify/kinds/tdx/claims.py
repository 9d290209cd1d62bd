"""Intel TDX: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.policy import AppraisalPolicy, Bits, Matcher
from enarx.verify.result import Claims, Unknown


@record()
class TdxClaims(Claims):
    """What a TDX quote says besides. measurement is MRTD, host_data MRCONFIGID, svn the module's.

    tee_tcb_svn    the versions of the module that the domain was launched under, tee_tcb_svn_2 of the one that the machine has
                   now; alike in reports of TDX 1.0, which do not tell them apart
    tcb_status     Intel's word for the platform, the module at launch and the quoting enclave together; TDRelaunchAdvised where
                   that is out of date and the machine has since been updated
    tcb_date       unix seconds: when the level of the platform was current; a floor is a grace by date for OutOfDate
    advisories     what the level is open to
    current_*      the same of the module that the machine has now, whatever it was at launch
    module_status  Intel's word for the module at launch alone, current_module_status for the one now; the platform's for a module
                   of TDX 1.0, which has no levels of its own
    chip_id        the platform's instance id, or its PPID; unknown until the quote is found to be authentic, as are the others
                   of the vendor's
    revoked        whether the vendor has revoked the machine's certificate
    mr_service_td  zeros where no service domain is bound: always so in reports of TDX 1.0, which has none;
                   current_service_td the same of the one that is bound now, which extended reports tell apart
    """

    version: int
    sept_ve_disable: bool
    migratable: bool
    td_attributes: Bits
    xfam: Bits
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    tee_tcb_svn: bytes
    tee_tcb_svn_2: bytes
    mr_service_td: bytes
    current_service_td: bytes
    tcb_status: str | Unknown
    tcb_date: int | Unknown
    advisories: tuple[str, ...] | Unknown
    current_tcb_status: str | Unknown
    current_tcb_date: int | Unknown
    current_advisories: tuple[str, ...] | Unknown
    module_status: str | Unknown
    current_module_status: str | Unknown
    tcb_evaluation_number: int | Unknown
    fmspc: bytes | Unknown
    ppid: bytes | Unknown
    dynamic_platform: bool | Unknown
    cached_keys: bool | Unknown
    smt_enabled: bool | Unknown
    revoked: bool | Unknown


@record()
class TdxPolicy(AppraisalPolicy):
    """The rules for that."""

    version: Matcher
    sept_ve_disable: Matcher
    migratable: Matcher
    td_attributes: Matcher
    xfam: Matcher
    mr_owner: Matcher
    mr_owner_config: Matcher
    rtmr0: Matcher
    rtmr1: Matcher
    rtmr2: Matcher
    rtmr3: Matcher
    mr_seam: Matcher
    mr_signer_seam: Matcher
    seam_attributes: Matcher
    tee_tcb_svn: Matcher
    tee_tcb_svn_2: Matcher
    mr_service_td: Matcher
    current_service_td: Matcher
    tcb_status: Matcher
    tcb_date: Matcher
    advisories: Matcher
    current_tcb_status: Matcher
    current_tcb_date: Matcher
    current_advisories: Matcher
    module_status: Matcher
    current_module_status: Matcher
    tcb_evaluation_number: Matcher
    fmspc: Matcher
    ppid: Matcher
    dynamic_platform: Matcher
    cached_keys: Matcher
    smt_enabled: Matcher
    revoked: Matcher

    _types = AppraisalPolicy._types | {
        "version": int,
        "sept_ve_disable": bool,
        "migratable": bool,
        "td_attributes": Bits,
        "xfam": Bits,
        "mr_owner": bytes,
        "mr_owner_config": bytes,
        "rtmr0": bytes,
        "rtmr1": bytes,
        "rtmr2": bytes,
        "rtmr3": bytes,
        "mr_seam": bytes,
        "mr_signer_seam": bytes,
        "seam_attributes": bytes,
        "tee_tcb_svn": bytes,
        "tee_tcb_svn_2": bytes,
        "mr_service_td": bytes,
        "current_service_td": bytes,
        "tcb_status": str,
        "tcb_date": int,
        "advisories": tuple,
        "current_tcb_status": str,
        "current_tcb_date": int,
        "current_advisories": tuple,
        "module_status": str,
        "current_module_status": str,
        "tcb_evaluation_number": int,
        "fmspc": bytes,
        "ppid": bytes,
        "dynamic_platform": bool,
        "cached_keys": bool,
        "smt_enabled": bool,
        "revoked": bool,
    }
    _hints = {
        "measurement": "another firmware (TDVF) of the trust domain; kernel and command line are in the RTMRs",
        "rtmr0": "another configuration by the host: memory, vCPUs, ACPI tables; or another firmware",
        "rtmr1": "another kernel, boot loader or partition table",
        "rtmr2": "another command line or initrd",
        "rtmr3": "the workload has extended it otherwise",
        "debug": "the trust domain can be read by the host",
        "tcb-status": "microcode, the TDX module or the quoting enclave of the machine need what the advisories say; "
        "of TDRelaunchAdvised the domain has to be launched anew, for the machine is updated already",
        "current-tcb-status": "the machine runs an older TDX module now than the domain was launched under, or is behind with it",
        "current-module-status": "the TDX module that the machine has now needs an update",
        "advisories": "the machine is open to what the advisory describes",
        "mr-service-td": "a service domain is bound, such as one that migrates: name its hash, if you know it",
        "td-attributes": "an attribute is set that nobody knew when the policy was written",
        "sept-ve-disable": "the host can take pages away unnoticed; on Azure the paravisor is in between",
    }


TEMPLATE = """# What is accepted of an Intel TDX trust domain. Each field is a value,
# { at_least = }, { any_of = [] }, { none_of = [] },
# or { unchecked = "why" }. Nothing set is an error.

kind = "tdx"

# MRTD. Put yours here: zeros match nothing.
measurement = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
# THE KERNEL IS NOT IN THAT, but in the registers: until you name them, this policy takes any kernel under the firmware.
rtmr0 = { unchecked = "ANY CONFIGURATION BY THE HOST: name it" }
rtmr1 = { unchecked = "ANY KERNEL AND BOOT LOADER: name it" }
rtmr2 = { unchecked = "ANY COMMAND LINE AND INITRD: name it" }
rtmr3 = { unchecked = "nothing is expected there" }
debug = false
svn = { unchecked = "the status says more" }
version = { any_of = [4, 5] }
sept_ve_disable = true
migratable = false
# No profiling, and no bit that was not known when this was written; debug, migration, SEPT_VE_DISABLE have rules of their own.
td_attributes = { none_of = [0x3fffffff07fffffe] }
xfam = { unchecked = "which registers the domain may use" }
host_data = { unchecked = "MRCONFIGID; name it where you bind a configuration to it" }
mr_owner = { unchecked = "no owner is bound" }
mr_owner_config = { unchecked = "no owner is bound" }
mr_seam = { unchecked = "the status says more" }
mr_signer_seam = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
seam_attributes = "0000000000000000"
tee_tcb_svn = { unchecked = "the status says more" }
tee_tcb_svn_2 = { unchecked = "the current status says more" }
# No service domain, which could migrate it. In reports of TDX 1.0 there can be none.
mr_service_td = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
current_service_td = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"

# What the vendor says of the machine's firmware, as it was when the domain was launched. OutOfDate for a while: add it here, and
# { at_least = } a date below. TDRelaunchAdvised: the machine has been updated since, and a new launch would be UpToDate.
tcb_status = { any_of = ["UpToDate"] }
tcb_date = { unchecked = "the status says enough" }
advisories = { unchecked = "the status says enough; { none_of = [] } denies, { any_of = [] } allows" }
module_status = { unchecked = "the status says more" }

# The same of the TDX module that the machine has now, which may be another than at launch (TD 1.5).
current_tcb_status = { any_of = ["UpToDate"] }
current_tcb_date = { unchecked = "the current status says enough" }
current_advisories = { unchecked = "the current status says enough" }
current_module_status = { unchecked = "the current status says more" }
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
