"""Frozen records: `dataclass(frozen=True, slots=True, kw_only=True)` without its imports.

Importing `dataclasses` loads `inspect`, `ast`, `dis` and `tokenize`, and each dataclass compiles half a dozen functions.
Together they take a fifth of a Keep's start, and a Keep has no use for a disassembler (docs/adr/0005-records.md).

    @record()
    class Point:
        x: int
        y: int = 0

    replace(Point(x=1), y=2) == Point(x=1, y=2)
"""

from __future__ import annotations

from typing import Any, TypeVar, cast, dataclass_transform

TYPE_CHECKING = False  # type checkers know this name; nothing else needs collections.abc
if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=True)
def record(*, kw_only: bool = True, hidden: tuple[str, ...] = ()) -> Callable[[type[_T]], type[_T]]:
    """A class decorator that turns annotated names into fields, in order; an assigned value is a default.

    Instances share defaults, so these must be immutable. `hidden` fields do not appear in repr. `__post_init__` runs last;
    it may store derived values in names that the class lists in `__slots__`. The fields of a base record come first.
    """

    def make(cls: type[_T]) -> type[_T]:
        own = tuple(cls.__annotations__) if "__annotations__" in cls.__dict__ else ()
        inherited: tuple[str, ...] = getattr(cls, "__fields__", ())
        fields = (*inherited, *(name for name in own if name not in inherited))
        body = dict(cls.__dict__)
        slots: list[Any] = []
        defaults = {**getattr(cls, "__defaults__", {}), **{name: body.pop(name) for name in own if name in body}}
        extra: tuple[str, ...] = cls.__dict__.get("__slots__", ())
        for name in ("__dict__", "__weakref__", "__annotations__", *extra):
            body.pop(name, None)
        body |= {
            "__slots__": (*(name for name in own if name not in inherited), *extra),
            "__match_args__": () if kw_only else fields,
            "__init__": _initializer(
                cls.__name__, fields, defaults, kw_only, getattr(cls, "__post_init__", None), slots
            ),
            "__setattr__": _refuse,
            "__delattr__": _refuse,
            "__eq__": _equal,
            "__hash__": _hash,
            "__fields__": fields,
            "__defaults__": defaults,
        }
        if "__repr__" not in cls.__dict__:
            body["__repr__"] = _representer(tuple(name for name in fields if name not in hidden))
        new = cast("type[_T]", type(cls.__name__, cls.__bases__, body))
        slots += (getattr(new, name).__set__ for name in fields)
        return new

    return make


def _initializer(
    kind: str, fields: tuple[str, ...], defaults: dict[str, Any], kw_only: bool, check: Any, slots: list[Any]
) -> Any:
    known = frozenset(fields)
    count = len(fields)
    put = object.__setattr__

    def __init__(self: Any, *args: Any, **given: Any) -> None:
        by_name = not args and tuple(given) == fields
        if by_name or (len(args) == count and not given and not kw_only):  # the common case: all fields, in order
            for put_slot, value in zip(slots, given.values() if by_name else args, strict=True):
                put_slot(self, value)
            if check is not None:
                check(self)
            return
        if args:
            if kw_only or len(args) > len(fields):
                raise TypeError(f"{kind}() takes its fields by name" if kw_only else f"{kind}() got too many values")
            given |= zip(fields, args, strict=False)
        if not given.keys() <= known:
            raise TypeError(f"{kind}() has no field {', '.join(sorted(given.keys() - known))}")
        for name in fields:
            if name in given:
                put(self, name, given[name])
            elif name in defaults:
                put(self, name, defaults[name])
            else:
                raise TypeError(f"{kind}() needs {name}")
        if check is not None:
            check(self)

    return __init__


def _representer(shown: tuple[str, ...]) -> Any:
    def __repr__(self: Any) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return __repr__


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")


def _equal(self: Any, other: Any) -> bool:
    return type(other) is type(self) and [getattr(self, name) for name in self.__fields__] == [
        getattr(other, name) for name in self.__fields__
    ]


def _hash(self: Any) -> int:
    return hash(tuple([getattr(self, name) for name in self.__fields__]))


def replace(value: _T, **changes: Any) -> _T:
    """A copy of a record with some fields changed; `__post_init__` runs again."""
    return type(value)(**{**as_dict(value), **changes})


def names(kind: Any) -> tuple[str, ...]:
    """The field names of a record, or of a record class, in order."""
    fields: tuple[str, ...] = kind.__fields__
    return fields


def as_dict(value: Any) -> dict[str, Any]:
    """The fields of a record, by name; nested records stay records."""
    return {name: getattr(value, name) for name in names(value)}
