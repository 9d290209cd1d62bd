"""Claims: what evidence states, each declared once.

A kind of TEE declares its claims as a class. Everything else about them is derived: the record that the verifier fills in,
the policy class with a field for each claim, the types that a policy file may use, the policy that `enarx policy init`
writes, the table in the docs, the hint when a check fails, and the claim's part in a trustworthiness vector.

    @claims_of("snp")
    class SnpClaims(Claims):
        vmpl: int = claim(
            "Privilege level of the software that asked for the report.",
            suggest=Exactly(0),
            decides=CONFIGURATION,
            hint="another layer of the guest, such as a paravisor, asked for the report",
        )

A subclass has the claims of its base class in the same order. It may declare them again with its own texts, and inherits each
hint that it leaves out. A claim that the evidence may leave open has the type `... | Unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints

from enarx.record import names, record
from enarx.verify.matchers import Exactly, Matcher
from enarx.verify.values import Unknown

_T = TypeVar("_T")

INSTANCE = "instance-identity"
CONFIGURATION = "configuration"
EXECUTABLES = "executables"
HARDWARE = "hardware"
OPAQUE = "runtime-opaque"
"""The trustworthiness claims that results carry (draft-ietf-rats-ar4si, 2.3.4)."""

VULNERABLE = 32
"""Of configuration or hardware: it has known vulnerabilities."""
NOT_ENCRYPTED = 32
"""Of runtime-opaque: closed to other guests, but not to the machine's operator."""
VISIBLE = 96
"""Of runtime-opaque: the host can read the memory."""
NOT_RECOGNIZED = 97
"""Of hardware: it is not known to be a TEE."""


class Lowers(NamedTuple):
    """A trustworthiness claim that a claim of the evidence lowers to `value`, whatever the policy accepts.

    It does so if `when` is true of the evidence's claim: of a guest that the host can read, for example.
    """

    trustworthiness_claim: str
    value: int
    when: Callable[[Any], bool]


class Claim(NamedTuple):
    """The declaration of one claim.

    name                   the field's name; the id of the check is the same with hyphens
    value_type             the type of values that a policy may name: the field's type without `Unknown`, `tuple` for a set
    meaning                one sentence for people
    suggest                the rule in the policy that `enarx policy init` writes; None if there is no such policy
    advice                 what else the author of a policy should know
    hint                   the usual cause when the check fails
    trustworthiness_claim  the one that the policy's rule for this claim supports; empty for none
    decides                whether that rule decides it: if it leaves the value open, nothing is affirmed
    lowers                 the trustworthiness claims that this claim lowers, whatever the rule
    """

    name: str
    value_type: type
    meaning: str
    suggest: Matcher | None
    advice: str
    hint: str
    trustworthiness_claim: str
    decides: bool
    lowers: tuple[Lowers, ...]

    @property
    def check_id(self) -> str:
        """The id of the claim's check in appraisal."""
        return self.name.replace("_", "-")


def claim(
    meaning: str,
    *,
    suggest: Matcher | None = None,
    advice: str = "",
    hint: str = "",
    supports: str = "",
    decides: str = "",
    lowers: tuple[Lowers, ...] = (),
) -> Any:
    """Declare a claim in the body of a class under `claims_of`; see `Claim`.

    `supports` or `decides` is the trustworthiness claim that the rule for this claim supports or decides.
    """
    return Claim("", object, meaning, suggest, advice, hint, supports or decides, bool(decides), lowers)


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=True, field_specifiers=(claim,))
def claims_of(kind: str) -> Callable[[type[_T]], type[_T]]:
    """A class decorator: make a record of the claims of `kind` from their declarations."""

    def decorate(cls: type[_T]) -> type[_T]:
        inherited: dict[str, Claim] = getattr(cls, "__claims__", {})
        own: dict[str, Claim] = {}
        types = get_type_hints(cls)
        for name in cls.__annotations__:
            declaration = cls.__dict__.get(name)
            if not isinstance(declaration, Claim):
                raise TypeError(f"{cls.__name__}.{name} is not declared with claim()")
            hint = declaration.hint or (inherited[name].hint if name in inherited else "")
            own[name] = declaration._replace(name=name, value_type=_type_in_policies(types[name]), hint=hint)
            delattr(cls, name)
        declared = inherited | own
        declared["kind"] = declared["kind"]._replace(suggest=Exactly(kind))
        setattr(cls, "__claims__", declared)  # noqa: B010  # type checkers know no such attribute of the class
        return record()(cls)

    return decorate


def _type_in_policies(annotation: Any) -> type:
    """The type that policies name: `bytes | Unknown` is bytes, `tuple[str, ...]` is tuple."""
    members = get_args(annotation)
    if Unknown in members:
        (annotation,) = (member for member in members if member is not Unknown)
    origin: type = get_origin(annotation) or annotation
    return origin


def declared(claims: type[Claims]) -> Mapping[str, Claim]:
    """The declarations of a kind's claims by name, in the order of its record."""
    declarations: dict[str, Claim] = getattr(claims, "__claims__")  # noqa: B009  # as above
    return {name: declarations[name] for name in names(claims)}


@claims_of("")
class Claims:
    """The claims that every kind of TEE makes. Each kind declares them again with texts of its own."""

    kind: str = claim("The kind of TEE.", decides=HARDWARE)
    measurement: bytes = claim(
        "Digest of the launched image, as the kind computes it.",
        decides=EXECUTABLES,
        hint="another release, or another version of a package that the Keep is made of, or changed files; "
        "on the host `enarx platform` shows what it starts",
    )
    host_data: bytes = claim(
        "What the host bound the launch to: 32 bytes; a wider field is cut to 32 bytes if the rest is zero.",
        supports=CONFIGURATION,
        hint="the Keep was launched for another package, or for none yet (a pool)",
    )
    report_data: bytes = claim(
        "The data that the Keep had the TEE sign. It has no rule: it must equal what was asked for."
    )
    debug: bool = claim("Whether the host can read the Keep's memory.", decides=OPAQUE, hint="the host can look inside")
    svn: int = claim("Security version number.", supports=EXECUTABLES, hint="the platform lacks an update")
    chip_id: bytes | Unknown = claim("The machine's identity.", decides=INSTANCE)
