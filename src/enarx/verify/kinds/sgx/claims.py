"""The claims of an Intel SGX quote. Source: Intel SDM, volume 3D, table "Layout of REPORT"."""

from __future__ import annotations

from enarx.verify.claims import (
    CONFIGURATION,
    EXECUTABLES,
    HARDWARE,
    OPAQUE,
    VISIBLE,
    VULNERABLE,
    Claims,
    Lowers,
    claim,
    claims_of,
)
from enarx.verify.families.intel import claims as intel
from enarx.verify.matchers import AnyOf, AtLeast, Exactly, Unchecked
from enarx.verify.values import Bits, Unknown

_IN_MEASUREMENT = Unchecked(reason="the measurement says more")


@claims_of("sgx")
class SgxClaims(Claims):
    """The claims of an SGX quote, of the machine's certificate and of the collateral."""

    measurement: bytes = claim(
        "MRENCLAVE: digest of the enclave's code, data and layout.",
        suggest=Exactly(bytes(32)),
        advice="Replace the zeros, which match nothing.",
        decides=EXECUTABLES,
        hint="another build of the enclave: MRENCLAVE covers its code, data and layout",
    )
    host_data: bytes = claim(
        "CONFIGID: what the host bound the launch to.",
        suggest=Unchecked(reason="set at launch; name it where you bind a configuration to it"),
        supports=CONFIGURATION,
    )
    report_data: bytes = claim("REPORTDATA: 64 bytes that the enclave had the processor sign.")
    debug: bool = claim(
        "Whether the enclave can be debugged, so that the host can read its memory.",
        suggest=Exactly(False),
        decides=OPAQUE,
        lowers=(Lowers(OPAQUE, VISIBLE, bool),),
        hint="a debug enclave: its memory can be read by the host",
    )
    svn: int = claim(
        "ISVSVN: the signer's security version of the enclave.", suggest=_IN_MEASUREMENT, supports=EXECUTABLES
    )
    chip_id: bytes | Unknown = intel.CHIP_ID
    mr_signer: bytes = claim(
        "MRSIGNER: digest of the key that signed the enclave.",
        suggest=_IN_MEASUREMENT,
        supports=EXECUTABLES,
        hint="signed with another key",
    )
    isv_prod_id: int = claim(
        "ISVPRODID: the signer's number of the product.", suggest=_IN_MEASUREMENT, supports=EXECUTABLES
    )
    isv_ext_prod_id: bytes = claim(
        "ISVEXTPRODID: the signer's extended number of the product.", suggest=_IN_MEASUREMENT, supports=EXECUTABLES
    )
    isv_family_id: bytes = claim(
        "ISVFAMILYID: the signer's number of the family of products.", suggest=_IN_MEASUREMENT, supports=EXECUTABLES
    )
    config_svn: int = claim(
        "CONFIGSVN: security version of the configuration that is bound.",
        suggest=Unchecked(reason="no configuration is bound"),
        supports=CONFIGURATION,
    )
    attributes: Bits = claim(
        "ATTRIBUTES: bit mask of the enclave's properties; 0x1 initialized, 0x4 64-bit.",
        suggest=AtLeast(Bits(0x5)),
        decides=CONFIGURATION,
    )
    xfrm: Bits = claim(
        "XFRM: bit mask of the processor state that the enclave may use.",
        suggest=Unchecked(reason="which registers the enclave may use"),
        supports=CONFIGURATION,
    )
    misc_select: int = claim(
        "MISCSELECT: which information about exceptions the enclave gets.",
        suggest=Unchecked(reason="which exceptions it is told of"),
        supports=CONFIGURATION,
    )
    tcb_status: str | Unknown = claim(
        "Intel's status for the platform, the enclave's TCB level and the quoting enclave together.",
        suggest=AnyOf(("UpToDate", "SWHardeningNeeded")),
        advice="To accept OutOfDate for a while, add it here and put a floor under tcb_date.",
        decides=HARDWARE,
        lowers=(Lowers(HARDWARE, VULNERABLE, intel.is_not_up_to_date),),
        hint="microcode, BIOS settings or the quoting enclave of the machine need what the advisories say",
    )
    tcb_date: int | Unknown = intel.TCB_DATE
    advisories: tuple[str, ...] | Unknown = intel.ADVISORIES
    tcb_evaluation_number: int | Unknown = intel.TCB_EVALUATION_NUMBER
    fmspc: bytes | Unknown = intel.FMSPC
    ppid: bytes | Unknown = intel.PPID
    dynamic_platform: bool | Unknown = intel.DYNAMIC_PLATFORM
    cached_keys: bool | Unknown = intel.CACHED_KEYS
    smt_enabled: bool | Unknown = intel.SMT_ENABLED
    revoked: bool | Unknown = intel.REVOKED
