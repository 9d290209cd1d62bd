"""AWS Nitro Enclaves: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.policy import AppraisalPolicy, Matcher
from enarx.verify.result import Claims, Unknown


@record()
class NitroClaims(Claims):
    """What a Nitro document says besides.

    measurement is PCR0 (the enclave image), report_data the nonce (empty if there is none), chip_id the parent
    instance's id in ASCII; host_data is zeros and svn 0, for Nitro has neither. debug is PCR0 to PCR2 all zero.

    pcr1 kernel and bootstrap; pcr2 application; pcr3 role of the parent instance; pcr4 id of the parent instance; pcr8
    certificate that signed the image: unknown where the document has none
    """

    pcr1: bytes | Unknown
    pcr2: bytes | Unknown
    pcr3: bytes | Unknown
    pcr4: bytes | Unknown
    pcr8: bytes | Unknown
    module_id: str
    user_data: bytes
    public_key: bytes


@record()
class NitroPolicy(AppraisalPolicy):
    """The rules for that."""

    pcr1: Matcher
    pcr2: Matcher
    pcr3: Matcher
    pcr4: Matcher
    pcr8: Matcher
    module_id: Matcher
    user_data: Matcher
    public_key: Matcher

    _types = AppraisalPolicy._types | {
        **dict.fromkeys(("pcr1", "pcr2", "pcr3", "pcr4", "pcr8", "user_data", "public_key"), bytes),
        "module_id": str,
    }
    _hints = {
        "measurement": "another image, or the same built anew: nitro-cli prints PCR0 when it builds",
        "debug": "the enclave was started in debug mode, where its console can be read and its PCRs are zero",
        "report-data": "the document has another nonce, or none: then it may be an old one",
        "pcr3": "the parent instance has another role",
        "pcr4": "the enclave was started on another instance",
        "pcr8": "the image was signed with another certificate, or not at all",
    }


TEMPLATE = """# What is accepted of an AWS Nitro enclave. Each field is a value, { at_least = }, { any_of = [] }, { none_of = [] },
# or { unchecked = "why" }. Nothing set is an error. Freshness is the document's nonce: give it as --report-data.

kind = "nitro"

# PCR0, which nitro-cli prints when it builds the image. Put yours here: zeros match no enclave in production.
measurement = "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
debug = false
host_data = { unchecked = "Nitro has none" }
svn = { unchecked = "Nitro has none" }

# Which machine: the parent instance, as hexadecimal ASCII of i-0123456789abcdef0. AWS alone holds the hardware.
chip_id = { unchecked = "any instance" }
module_id = { unchecked = "new at each start" }

pcr1 = { unchecked = "part of PCR0" }
pcr2 = { unchecked = "part of PCR0" }
pcr3 = { unchecked = "name the parent instance's role here, to tie the enclave to an account" }
pcr4 = { unchecked = "any instance" }
pcr8 = { unchecked = "unsigned images are accepted by their PCR0" }

# What the enclave itself put in.
user_data = { unchecked = "nothing is bound by it here" }
public_key = { unchecked = "nothing is bound by it here" }
"""
