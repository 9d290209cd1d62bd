"""The grammar of an EAR in JSON, written out from the CDDL of draft-ietf-rats-ear-03 (EAR, EAR-appraisal), of
draft-ietf-rats-ar4si and of RFC 9711, which it imports. Keys of extensions are let pass; not those of older drafts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Holds = Callable[[Any], bool]

PROFILE = "tag:ietf.org,2026:rats/ear#03"
TIERS = ("none", "affirming", "warning", "contraindicated")
CLAIMS = (
    *("instance-identity", "configuration", "executables", "file-system"),
    *("hardware", "runtime-opaque", "storage-opaque", "sourced-data"),
)


def text(value: Any) -> bool:
    """tstr."""
    return type(value) is str


def time(value: Any) -> bool:
    """~time-int: whole seconds."""
    return type(value) is int


def tier(value: Any) -> bool:
    """ar4si.trustworthiness-tier, by its JSON labels."""
    return value in TIERS


def nonce(value: Any) -> bool:
    """eat.nonce-type: tstr .size (8..88), which counts bytes."""
    return text(value) and 8 <= len(value.encode()) <= 88


def base64url(value: Any) -> bool:
    """eat.binary-data in JSON."""
    return text(value) and re.fullmatch(r"[A-Za-z0-9_-]+", value) is not None


def vector(value: Any) -> bool:
    """ar4si.trustworthiness-vector: non-empty, each claim of -128 to 127."""
    return (
        type(value) is dict
        and bool(value)
        and value.keys() <= set(CLAIMS)
        and all(type(one) is int and -128 <= one <= 127 for one in value.values())
    )


def verifier(value: Any) -> bool:
    """ar4si.verifier-id: both texts, and nothing else."""
    return type(value) is dict and value.keys() == {"developer", "build"} and all(map(text, value.values()))


def policies(value: Any) -> bool:
    """[ + text ]"""
    return type(value) is list and bool(value) and all(map(text, value))


APPRAISAL: dict[str, tuple[bool, Holds]] = {
    "eat_profile": (False, text),
    "ear_status": (True, tier),
    "ear_trustworthiness_vector": (False, vector),
    "ear_appraisal_policy_ids": (False, policies),
    "eat_nonce": (False, nonce),
}


def submods(value: Any) -> bool:
    """{ + text => EAR-appraisal }"""
    return type(value) is dict and bool(value) and not any(wrong(one, APPRAISAL) for one in value.values())


EAR: dict[str, tuple[bool, Holds]] = {
    "eat_profile": (True, lambda value: value == PROFILE),
    "ear_status": (False, tier),
    "iat": (True, time),
    "exp": (False, time),
    "ear_verifier_id": (True, verifier),
    "ear_raw_evidence": (False, base64url),
    "submods": (True, submods),
    "eat_nonce": (False, nonce),
}
"""Of each key whether it must be there, and its type."""


def wrong(value: Any, form: dict[str, tuple[bool, Holds]] = EAR) -> list[str]:
    """What is not as the draft says."""
    if type(value) is not dict:
        return ["no map"]
    missing = [f"no {key}" for key, (needed, _) in form.items() if needed and key not in value]
    ill = [f"{key}: {value[key]!r:.60}" for key, (_, holds) in form.items() if key in value and not holds(value[key])]
    older = [key for key in value if key.startswith("ear.")]
    return missing + ill + older
