"""Arm CCA: claims, the policy for them, and a policy to begin with."""

from __future__ import annotations

from enarx.record import record
from enarx.verify.policy import AppraisalPolicy, Matcher
from enarx.verify.result import Claims


@record()
class CcaClaims(Claims):
    """What a CCA token says besides.

    measurement is the realm's initial one, report_data the challenge, host_data the personalization value, chip_id the
    platform's instance id, svn 0; debug is every lifecycle but secured.

    lifecycle            as the platform says: 0x3000 to 0x30ff is secured
    software_components  of the platform, each as type:measurement:signer, bytes in hexadecimal
    """

    rem0: bytes
    rem1: bytes
    rem2: bytes
    rem3: bytes
    profile: str
    lifecycle: int
    implementation_id: bytes
    platform_config: bytes
    software_components: tuple[str, ...]


@record()
class CcaPolicy(AppraisalPolicy):
    """The rules for that."""

    rem0: Matcher
    rem1: Matcher
    rem2: Matcher
    rem3: Matcher
    profile: Matcher
    lifecycle: Matcher
    implementation_id: Matcher
    platform_config: Matcher
    software_components: Matcher

    _types = AppraisalPolicy._types | {
        **dict.fromkeys(("rem0", "rem1", "rem2", "rem3", "implementation_id", "platform_config"), bytes),
        "profile": str,
        "lifecycle": int,
        "software_components": tuple,
    }
    _hints = {
        "measurement": "another image, memory layout or number of vCPUs of the realm",
        "host-data": "the realm was created for another owner or configuration",
        "debug": "the platform is not secured: its lifecycle allows debugging",
        "software-components": "the platform runs other firmware",
    }


TEMPLATE = """# What is accepted of an Arm CCA realm. Each field is a value, { at_least = }, { any_of = [] }, { none_of = [] },
# or { unchecked = "why" }. Nothing set is an error. The keys that sign for platforms are given with --trust-anchor.

kind = "cca"

# The realm's initial measurement, of 32, 48 or 64 bytes. Put yours here: zeros match nothing sound.
measurement = "0000000000000000000000000000000000000000000000000000000000000000"
rem0 = { unchecked = "the realm extends it" }
rem1 = { unchecked = "the realm extends it" }
rem2 = { unchecked = "the realm extends it" }
rem3 = { unchecked = "the realm extends it" }
debug = false
host_data = { unchecked = "the personalization value; name it where you bind a configuration to it" }
svn = { unchecked = "CCA has none" }

# The platform.
profile = { any_of = [
  "http://arm.com/CCA-SSD/1.0.0",
  "tag:arm.com,2023:cca_platform#1.0.0",
  "tag:arm.com,2024:cca_platform#2.0.0",
] }
lifecycle = { unchecked = "debug = false asks for a secured one" }
implementation_id = { unchecked = "any platform under the keys given" }
platform_config = { unchecked = "any platform under the keys given" }
software_components = { unchecked = "any firmware; { any_of = [...] } lists what is known" }

# Which machine. Whoever holds a machine in hand may take its keys: where that matters, list the machines that you believe to
# be locked away.
chip_id = { unchecked = "any machine under the keys given" }
"""
