"""The claims of an Intel TDX quote. Sources: Intel TDX Module ABI specification, TDREPORT_STRUCT; Intel TDX DCAP quoting library.

The domain is described as of its launch and as of now, because the machine's TDX module may be updated in between. Reports of
TDX 1.0 do not tell the two apart.
"""

from __future__ import annotations

from enarx.verify.claims import (
    CONFIGURATION,
    EXECUTABLES,
    HARDWARE,
    NOT_ENCRYPTED,
    OPAQUE,
    VISIBLE,
    VULNERABLE,
    Claims,
    Lowers,
    claim,
    claims_of,
)
from enarx.verify.families.intel import claims as intel
from enarx.verify.matchers import AnyOf, Exactly, NoneOf, Unchecked
from enarx.verify.values import Bits, Unknown

_STATUS_SAYS_MORE = Unchecked(reason="the status says more")
_NO_OWNER = Unchecked(reason="no owner is bound")


@claims_of("tdx")
class TdxClaims(Claims):
    """The claims of a TDX quote, of the machine's certificate and of the collateral."""

    measurement: bytes = claim(
        "MRTD: digest of the domain's firmware (TDVF).",
        suggest=Exactly(bytes(48)),
        advice="Replace the zeros, which match nothing. THE KERNEL IS NOT MEASURED HERE, but in the registers: until you name "
        "those, this policy accepts any kernel under the firmware.",
        decides=EXECUTABLES,
        hint="another firmware (TDVF) of the trust domain; kernel and command line are in the RTMRs",
    )
    host_data: bytes = claim(
        "MRCONFIGID: what the host bound the launch to.",
        suggest=Unchecked(reason="MRCONFIGID; name it where you bind a configuration to it"),
        supports=CONFIGURATION,
    )
    report_data: bytes = claim("REPORTDATA: 64 bytes that the domain had the processor sign.")
    debug: bool = claim(
        "Whether the domain can be debugged, so that the host can read its memory.",
        suggest=Exactly(False),
        decides=OPAQUE,
        lowers=(Lowers(OPAQUE, VISIBLE, bool),),
        hint="the trust domain can be read by the host",
    )
    svn: int = claim("Security version of the TDX module.", suggest=_STATUS_SAYS_MORE, supports=HARDWARE)
    chip_id: bytes | Unknown = intel.CHIP_ID
    version: int = claim("Version of the quote's format.", suggest=AnyOf((4, 5)), supports=HARDWARE)
    sept_ve_disable: bool = claim(
        "SEPT_VE_DISABLE: set so that the host cannot take pages away unnoticed.",
        suggest=Exactly(True),
        decides=CONFIGURATION,
        lowers=(Lowers(CONFIGURATION, VULNERABLE, lambda disabled: not disabled),),
        hint="the host can take pages away unnoticed; on Azure the paravisor is in between",
    )
    migratable: bool = claim(
        "Whether the domain may be migrated, by a service domain that gets its migration key.",
        suggest=Exactly(False),
        decides=OPAQUE,
        lowers=(Lowers(OPAQUE, NOT_ENCRYPTED, bool),),
    )
    td_attributes: Bits = claim(
        "TDATTRIBUTES: bit mask of the domain's properties.",
        suggest=NoneOf((Bits(0x3FFFFFFF07FFFFFE),)),
        advice="Denies profiling and every bit that was unknown when this was written. Debug, migration and SEPT_VE_DISABLE have "
        "rules of their own.",
        decides=CONFIGURATION,
        hint="an attribute is set that nobody knew when the policy was written",
    )
    xfam: Bits = claim(
        "XFAM: bit mask of the processor state that the domain may use.",
        suggest=Unchecked(reason="which registers the domain may use"),
        supports=CONFIGURATION,
    )
    mr_owner: bytes = claim(
        "MROWNER: digest of the domain's owner; zeros for none.", suggest=_NO_OWNER, supports=CONFIGURATION
    )
    mr_owner_config: bytes = claim(
        "MROWNERCONFIG: digest of the owner's configuration; zeros for none.", suggest=_NO_OWNER, supports=CONFIGURATION
    )
    rtmr0: bytes = claim(
        "RTMR 0: the host's configuration of the domain (memory, vCPUs, ACPI tables), measured by the firmware.",
        suggest=Unchecked(reason="ANY CONFIGURATION BY THE HOST: name it"),
        decides=CONFIGURATION,
        hint="another configuration by the host: memory, vCPUs, ACPI tables; or another firmware",
    )
    rtmr1: bytes = claim(
        "RTMR 1: kernel, boot loader and partition table.",
        suggest=Unchecked(reason="ANY KERNEL AND BOOT LOADER: name it"),
        decides=EXECUTABLES,
        hint="another kernel, boot loader or partition table",
    )
    rtmr2: bytes = claim(
        "RTMR 2: kernel command line and initrd.",
        suggest=Unchecked(reason="ANY COMMAND LINE AND INITRD: name it"),
        decides=EXECUTABLES,
        hint="another command line or initrd",
    )
    rtmr3: bytes = claim(
        "RTMR 3: what the workload extends.",
        suggest=Unchecked(reason="nothing is expected there"),
        decides=EXECUTABLES,
        hint="the workload has extended it otherwise",
    )
    mr_seam: bytes = claim("MRSEAM: digest of the TDX module.", suggest=_STATUS_SAYS_MORE, supports=HARDWARE)
    mr_signer_seam: bytes = claim(
        "MRSIGNERSEAM: digest of the TDX module's signer; zeros for Intel.",
        suggest=Exactly(bytes(48)),
        decides=HARDWARE,
    )
    seam_attributes: bytes = claim(
        "SEAMATTRIBUTES: properties of the TDX module; zeros in production.",
        suggest=Exactly(bytes(8)),
        decides=HARDWARE,
    )
    tee_tcb_svn: bytes = claim(
        "TEE_TCB_SVN: versions of the TDX module that the domain was launched under.",
        suggest=_STATUS_SAYS_MORE,
        supports=HARDWARE,
    )
    tee_tcb_svn_2: bytes = claim(
        "TEE_TCB_SVN_2: versions of the TDX module that the machine has now.",
        suggest=Unchecked(reason="the current status says more"),
        supports=HARDWARE,
    )
    mr_service_td: bytes = claim(
        "MRSERVICETD: digest of the service domains that were bound at launch; zeros for none.",
        suggest=Exactly(bytes(48)),
        advice="A service domain could migrate the domain. TDX 1.0 has none.",
        decides=OPAQUE,
        hint="a service domain is bound, such as one that migrates: name its hash, if you know it",
    )
    current_service_td: bytes = claim(
        "Digest of the service domains that are bound now; zeros for none.", suggest=Exactly(bytes(48)), decides=OPAQUE
    )
    tcb_status: str | Unknown = claim(
        "Intel's status for the platform, the TDX module at launch and the quoting enclave together.",
        suggest=AnyOf(("UpToDate",)),
        advice="To accept OutOfDate for a while, add it here and put a floor under tcb_date. TDRelaunchAdvised: the machine has "
        "been updated since, and a new launch would be UpToDate.",
        decides=HARDWARE,
        lowers=(Lowers(HARDWARE, VULNERABLE, intel.is_not_up_to_date),),
        hint="microcode, the TDX module or the quoting enclave of the machine need what the advisories say; "
        "of TDRelaunchAdvised the domain has to be launched anew, for the machine is updated already",
    )
    tcb_date: int | Unknown = intel.TCB_DATE
    advisories: tuple[str, ...] | Unknown = intel.ADVISORIES
    current_tcb_status: str | Unknown = claim(
        "The same status for the TDX module that the machine has now, which may be another than at launch (TDX 1.5).",
        suggest=AnyOf(("UpToDate",)),
        decides=HARDWARE,
        lowers=(Lowers(HARDWARE, VULNERABLE, intel.is_not_up_to_date),),
        hint="the machine runs an older TDX module now than the domain was launched under, or is behind with it",
    )
    current_tcb_date: int | Unknown = claim(
        "When the TCB level of the machine as it is now was current, in unix seconds.",
        suggest=Unchecked(reason="the current status says enough"),
        supports=HARDWARE,
    )
    current_advisories: tuple[str, ...] | Unknown = claim(
        "The security advisories that the machine is open to now.",
        suggest=Unchecked(reason="the current status says enough"),
        supports=HARDWARE,
        lowers=(Lowers(HARDWARE, VULNERABLE, bool),),
    )
    module_status: str | Unknown = claim(
        "Intel's status for the TDX module at launch alone; the platform's if the module has no levels of its own.",
        suggest=_STATUS_SAYS_MORE,
        supports=HARDWARE,
    )
    current_module_status: str | Unknown = claim(
        "Intel's status for the TDX module that the machine has now alone.",
        suggest=Unchecked(reason="the current status says more"),
        supports=HARDWARE,
        hint="the TDX module that the machine has now needs an update",
    )
    tcb_evaluation_number: int | Unknown = intel.TCB_EVALUATION_NUMBER
    fmspc: bytes | Unknown = intel.FMSPC
    ppid: bytes | Unknown = intel.PPID
    dynamic_platform: bool | Unknown = intel.DYNAMIC_PLATFORM
    cached_keys: bool | Unknown = intel.CACHED_KEYS
    smt_enabled: bool | Unknown = intel.SMT_ENABLED
    revoked: bool | Unknown = intel.REVOKED
