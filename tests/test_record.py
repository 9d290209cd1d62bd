"""Frozen records: fields, defaults, inheritance, equality, and what they refuse."""

from __future__ import annotations

import pytest

from enarx.record import as_dict, names, record, replace


@record()
class Point:
    """Two numbers, the second with a default."""

    x: int
    y: int = 0


@record(hidden=("key",))
class Named(Point):
    """A point with a name, a key that is not shown, and a length worked out once."""

    __slots__ = ("length",)

    name: str
    key: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.name))


@record(kw_only=False)
class Pair:
    """Two values by position or by name."""

    first: object
    second: object = None


def test_fields_come_by_name_in_any_order_or_by_default() -> None:
    assert as_dict(Point(y=2, x=1)) == as_dict(Point(x=1, y=2)) == {"x": 1, "y": 2}
    assert Point(x=1).y == 0
    assert names(Named) == ("x", "y", "name", "key")


def test_fields_by_position_where_the_kind_allows_it() -> None:
    assert as_dict(Pair(1, 2)) == as_dict(Pair(1, second=2)) == {"first": 1, "second": 2}
    match Pair(1, 2):
        case Pair(first, second):
            assert (first, second) == (1, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Point(), "Point() needs x"),  # type: ignore[call-arg]
        (lambda: Point(x=1, z=2), "Point() has no field z"),  # type: ignore[call-arg]
        (lambda: Point(1, 2), "Point() takes its fields by name"),  # type: ignore[misc]
        (lambda: Pair(1, 2, 3), "Pair() got too many values"),  # type: ignore[call-arg]
    ],
)
def test_wrong_arguments_are_refused(make: object, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        make()  # type: ignore[operator]
    assert str(caught.value) == message


def test_nothing_can_be_changed_or_added() -> None:
    point = Point(x=1)
    for name in ("x", "z"):
        with pytest.raises(AttributeError):
            setattr(point, name, 2)
    with pytest.raises(AttributeError):
        del point.x
    assert not hasattr(point, "__dict__")


def test_equal_by_kind_and_fields() -> None:
    assert Point(x=1) == Point(x=1, y=0)
    assert hash(Point(x=1)) == hash(Point(x=1, y=0))
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != Named(x=1, name="")


def test_replaced_fields_make_another_record() -> None:
    point = Point(x=1, y=2)
    assert replace(point, y=3) == Point(x=1, y=3)
    assert point.y == 2


def test_hidden_fields_are_not_shown() -> None:
    assert repr(Named(x=1, name="n", key=b"secret")) == "Named(x=1, y=0, name='n')"


def test_what_is_worked_out_is_kept_beside_the_fields() -> None:
    named = Named(x=1, name="four")
    assert named.length == 4  # type: ignore[attr-defined]
    assert "length" not in as_dict(named)
