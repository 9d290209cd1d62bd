"""Processor models by QEMU's names, with their CPUID signatures, EAX of leaf 1 (AMD 25481)."""

from __future__ import annotations

from enarx.errors import UsageError

_FAMILIES = (
    ("EPYC", (23, 1, 2), ("", "-v1", "-v2", "-v3", "-v4", "-v5", "-IBPB")),
    ("EPYC-Rome", (23, 49, 0), ("", "-v1", "-v2", "-v3", "-v4", "-v5")),
    ("EPYC-Milan", (25, 1, 1), ("", "-v1", "-v2", "-v3")),
    ("EPYC-Genoa", (25, 17, 0), ("", "-v1", "-v2")),
    ("EPYC-Turin", (26, 0, 0), ("", "-v1")),
)


def signature(family: int, model: int, stepping: int) -> int:
    """EAX of CPUID leaf 1 for a family, model and stepping as written in documents."""
    low, high = (15, family - 15) if family > 15 else (family, 0)
    return high << 20 | (model >> 4) << 16 | low << 8 | (model & 15) << 4 | stepping


MODELS = {name + version: signature(*numbers) for name, numbers, versions in _FAMILIES for version in versions}
"""CPUID signatures by model. Versions of a model differ in features only."""


def by_name(name: str) -> int:
    """The CPUID signature of a model name, or of 0x and hexadecimal digits; UsageError."""
    if name in MODELS:
        return MODELS[name]
    try:
        number = int(name, 16) if name[:2] == "0x" else -1
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 32:
        raise UsageError(
            "vcpu-model",
            f"{name[:40]!r} is not a processor model",
            hint=f"0x and a signature, or {', '.join(MODELS)}",
        )
    return number


def name_of(number: int) -> str:
    """The first model with this signature and the signature, as text."""
    return next((f"{name} ({number:#x})" for name, known in MODELS.items() if known == number), f"{number:#x}")
