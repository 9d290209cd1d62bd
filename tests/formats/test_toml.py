from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import UsageError
from enarx.formats.toml import loads

ODD = '''# comment with [brackets] = "and" quotes
"quoted key" = 1
a.b."c d" = { x = [1, 2, { y = "}" }], 'z' = """
multi "line" ]
""" } # trailing
[table."with.dot".sub]  # header
key = [
  "one", # first
  [ "nested" , ],
]
date = 1979-05-27T07:32:00Z
[[array]]
n = 1
[array.inner]
deep = true
[[array]]
n = \'\'\'
raw ' text\'\'\'
[[array.more]]
m = -1.5e3
'''


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("quoted key",), (2, 1)),
        (("a", "b", "c d", "x", 2, "y"), (3, 28)),
        (("a", "b", "c d", "z"), (3, 40)),
        (("table", "with.dot", "sub"), (6, 1)),
        (("table", "with.dot", "sub", "key", 1), (9, 3)),
        (("table", "with.dot", "sub", "date"), (11, 1)),
        (("array", 0, "n"), (13, 1)),
        (("array", 0, "inner", "deep"), (15, 1)),
        (("array", 1, "n"), (17, 1)),
        (("array", 1, "more", 0, "m"), (20, 1)),
        (("array", 1, "missing", "below"), (16, 1)),
        ((), (1, 1)),
    ],
)
def test_places(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    value, where = loads(ODD, "odd.toml")
    assert value == tomllib.loads(ODD)
    assert where(path) == place


def paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [at]
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, (*at, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            found += paths(item, (*at, i))
    return found


def test_every_path_has_a_place_of_its_own_line() -> None:
    value, where = loads(ODD, "odd.toml")
    for path in paths(value):
        line, column = where(path)
        assert 1 <= line <= ODD.count("\n")
        assert column >= 1


@given(st.text(alphabet="[]{}=.,'\"#\n\r \\ab1-:T", max_size=60))
def test_a_text_is_refused_with_a_place_or_walked_to_its_end(text: str) -> None:
    try:
        value, where = loads(text, "x")
    except UsageError as e:
        assert e.code == "config-toml"
        return
    for path in paths(value):
        where(path)


def test_an_integer_that_python_does_not_take_has_a_place() -> None:
    with pytest.raises(UsageError, match=r"^x:2:5: not TOML: an integer of too many digits$"):
        loads(f"a = 1\nb = {'9' * 5000}", "x")


def test_names_in_errors_are_as_written() -> None:
    with pytest.raises(UsageError, match="'Foo'"):
        loads("[Foo]\n[Foo]", "x")


PART = {"bare": "a", "quoted": '"a.b"', "literal": "'a=b'"}


@pytest.mark.parametrize("part", PART.values(), ids=PART)
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "[[ {} ]]", "x = {{ {} = 1 }}", "x = 1.5 # '\n{} = 1"])
def test_a_key_has_so_many_parts_and_no_more(form: str, part: str) -> None:
    """Longer keys are refused before tomllib parses them, which would take minutes."""
    loads(form.format(" . ".join([part] * 31)), "x")
    for more in (33, 200_000):
        with pytest.raises(UsageError, match=r"^x:[12]:\d+: a key of more than 32 parts$"):
            loads(form.format(".".join([part] * more)), "x")


def test_dots_that_part_no_keys() -> None:
    dots = "a." * 100
    loads(f'# {dots}\nx = [\'{dots}\', 1.5, "{dots}", """\n\'{dots}""", {",".join(["1.5"] * 100)}]', "x")


@pytest.mark.parametrize("unit", ['"""x"\\', "'''x'", '"\\', '""', "'", "\n", "[", "=."])
def test_what_is_no_toml_is_refused_at_once(unit: str) -> None:
    """Refusal never takes quadratic time."""
    with pytest.raises(UsageError):
        loads(unit * 100_000 + "?", "x")


@pytest.mark.parametrize(
    "number", [f"0x{'f' * 5000}", f"0o7{'7' * 5000}", "18446744073709551616", "9" * 4000, "-" + "9" * 30]
)
def test_an_integer_has_64_bits(number: str) -> None:
    with pytest.raises(UsageError, match=r"^x:3:2: a\.b\.1 is an integer of more than 64 bits$"):
        loads(f"[a]\nb = [1,\n {number}]", "x")
    assert loads("a = 0xffff_ffff_ffff_ffff", "x")[0] == {"a": 2**64 - 1}


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a=", "}"), ("[{a=", "}]")])
def test_depth_is_refused_where_it_is_too_much(opening: str, closing: str) -> None:
    for depth in (33, 100, 490, 100_000):
        with pytest.raises(UsageError, match=r"^x:1:\d+: nested more than 32 deep$"):
            loads(f"x = {opening * depth}0{closing * depth}", "x")


@pytest.mark.parametrize("opening", ["[", "{a=", "[{a="])
def test_any_depth_is_read_or_refused(opening: str) -> None:
    closing = opening[::-1].translate(str.maketrans("[{", "]}", "a="))
    for depth in (1, 50, 150, 200, 250, 300, 330, 400, 480, 500, 2000):
        try:
            loads(f"x = {opening * depth}0{closing * depth}", "x")
        except UsageError as e:
            assert e.code == "config-toml"
