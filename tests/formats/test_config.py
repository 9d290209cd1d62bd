from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, UsageError
from enarx.formats.config import Config, Dir, parse_dir, parse_env
from enarx.formats.quantities import parse_duration, parse_size
from enarx.formats.template import TEMPLATE

FULL = """
steward = "https://steward.example"
args = ["a", "b"]

[env]
NAME = "value"

[limits]
memory = "64MiB"
time = "1.5s"
fuel = 1000
open_files = 16
disk = 0
output = "1kB"

[secrets]
plain = {}
both = { env = "BOTH" }

[[dirs]]
guest = "/"
host = "root"
[[dirs]]
guest = "/tmp"
mode = "rw"

[[files]]
kind = "stdin"
[[files]]
kind = "stdout"
[[files]]
kind = "null"
[[files]]
kind = "listen"
name = "web"
prot = "tls"
[[files]]
kind = "connect"
prot = "tcp"
host = "db.example"
"""


def test_everything() -> None:
    config = Config.from_toml(FULL)
    assert config.args == ("a", "b")
    assert config.env == (("NAME", "value"),)
    limits = config.limits
    assert (limits.memory, limits.time, limits.fuel) == (64 << 20, 1.5, 1000)
    assert (limits.open_files, limits.disk, limits.output) == (16, 0, 1000)
    assert [(s.name, s.env) for s in config.secrets] == [("both", "BOTH"), ("plain", None)]
    assert config.dirs == (Dir(guest="/", host="root"), Dir(guest="/tmp", mode="rw"))
    assert config.files is not None
    web, db = config.sockets()
    assert (web.addr, web.port, web.prot) == ("::", 443, "tls")
    assert (db.name, db.host, db.port) == ("db.example", "db.example", 80)


def test_template_is_the_default() -> None:
    assert Config.from_toml(TEMPLATE) == Config()


def test_template_with_everything_on_is_valid() -> None:
    """Each line that is commented out is a valid line."""
    lines = []
    for line in TEMPLATE.splitlines():
        bare = line.removeprefix("# ")
        comment = line.startswith("# ") and not (
            "=" in bare and bare[0].islower() and bare.split(" =")[0].isidentifier()
        )
        lines.append(bare if not comment or bare.startswith(("[[", "signing-key", "api-token", "LANGUAGE")) else line)
    config = Config.from_toml("\n".join(lines))
    assert config.steward
    assert config.limits.time == 600
    assert len(config.secrets) == 2
    assert len(config.dirs) == 2
    assert len(config.files or ()) == 4


@pytest.mark.parametrize(
    ("text", "where", "said", "hint"),
    [
        ("argz = []", "1:1", "unknown key 'argz'", "args"),
        ("\n[limits]\nmemroy = 1", "3:1", "unknown key 'memroy'", "memory"),
        ("[[files]]\nkind = 'stdin'\nnmae = 'x'", "3:1", "unknown key 'nmae'", "name"),
        ("[[files]]\nkind = 'stdni'", "2:1", "kind is 'stdni'", "stdin"),
        ("args = 'x'", "1:1", "args is a text, wanted an array", ""),
        ("args = ['a',\n 3]", "2:2", "args.1 is an integer, wanted a text", ""),
        ("limits.memory = '5QB'", "1:1", "is no size", "64MiB"),
        ("limits.memory = 5", "1:1", "at least one page", ""),
        ("limits.time = true", "1:1", "a boolean", ""),
        ("limits.open_files = 1", "1:1", "wanted 8 to 65536", ""),
        ("[env]\n'A=B' = 'x'", "2:1", "no name of a variable", ""),
        ("[secrets]\nkey = 'value'", "2:1", "must not be in a file", "--secret key=@FILE"),
        ("[secrets]\n'a/b' = {}", "2:1", "no name of a secret", ""),
        ("[secrets]\nk = {env = 'E'}\n[env]\nE = 'x'", "1:1", "E is set twice", ""),
        ("[[dirs]]\nguest = 'rel'\nhost = 'x'", "2:1", "wanted an absolute path", ""),
        ("[[dirs]]\nguest = '/a/../b'\nhost = 'x'", "2:1", "wanted an absolute path", ""),
        ("[[dirs]]\nguest = '/run/secrets'\nhost = 'x'", "2:1", "where secrets are", ""),
        ("[[dirs]]\nguest = '/a'\nhost = 'x'\n[[dirs]]\nguest = '/a'\nhost = 'y'", "5:1", "stands twice", ""),
        ("[[dirs]]\nguest = '/a/b'\nhost = 'x'\n[[dirs]]\nguest = '/a'\nhost = 'y'", "2:1", "lies in /a", ""),
        ("[[dirs]]\nguest = '/a'", "1:1", "can not be written to", "rw"),
        ("[[files]]\nkind = 'stdout'", "1:1", "as descriptor 0", "order"),
        ("[[files]]\nkind='listen'\nname='x'", "1:1", "without prot", ""),
        ("steward = 'http://x'", "1:1", "https://", ""),
        ("a = ", "1:5", "not TOML", ""),
    ],
)
def test_errors_name_place_and_remedy(text: str, where: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Config.from_toml(text, source="F.toml")
    assert caught.value.message.startswith(f"F.toml:{where}: "), caught.value.message
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_duplicate_names_of_files() -> None:
    std = "".join(f"[[files]]\nkind='{k}'\n" for k in ("stdin", "stdout", "stderr"))
    twice = "[[files]]\nkind='listen'\nname='w'\nprot='tcp'\n" * 2
    with pytest.raises(UsageError, check=lambda e: e.code == "config-duplicate"):
        Config.from_toml(std + twice)


@given(st.text(max_size=200))
def test_any_text_gives_a_config_or_our_error(text: str) -> None:
    try:
        Config.from_toml(text)
    except UsageError as e:
        assert ":" in e.message


@given(st.text(alphabet="[]{}=.,'\"#\n \\abcfiles01", max_size=80))
def test_any_toml_like_text(text: str) -> None:
    try:
        Config.from_toml(text)
    except UsageError as e:
        assert ":" in e.message


def test_public_is_read_back() -> None:
    config = Config.from_toml(FULL)
    back = Config.from_public(config.public())
    assert back.public() == config.public()
    assert (back.args, back.env) == ((), ())
    assert "host" not in str(config.public()["dirs"])


def mutations() -> list[object]:
    base = Config.from_toml(FULL).public()
    found: list[object] = [None, [], 1, "x", {}]
    for key in base:
        found += [{k: v for k, v in base.items() if k != key}, {**base, key: 1}, {**base, key: "x"}, {**base, key: [1]}]
    for key in base["limits"]:
        for value in (-1, "x", True, 1 << 64, [], 1.5):
            changed = copy.deepcopy(base)
            changed["limits"][key] = value
            found.append(changed)
    for table, key, value in (
        ("dirs", "guest", "/run/secrets/x"),
        ("dirs", "mode", "rwx"),
        ("dirs", "host", "/etc"),
        ("files", "kind", "stdout"),
        ("secrets", "name", "../x"),
        ("secrets", "env", 3),
    ):
        changed = copy.deepcopy(base)
        changed[table][0][key] = value
        found.append(changed)
    return found


@pytest.mark.parametrize("value", mutations())
def test_hostile_public_values(value: object) -> None:
    with pytest.raises(ParseError):
        Config.from_public(value)


def test_texts_of_the_command_line() -> None:
    assert [parse_size(t) for t in ("64MiB", "1GiB", "500kB", "4096", "1.5KiB")] == [
        64 << 20,
        1 << 30,
        500000,
        4096,
        1536,
    ]
    assert [parse_duration(t) for t in ("250ms", "1s", "2m", "1h")] == [0.25, 1, 120, 3600]
    assert parse_env("A=b=c") == ("A", "b=c")
    assert parse_dir("./x::/data") == Dir(guest="/data", host="./x", mode="ro")
    assert parse_dir("a::b::/:rw") == Dir(guest="/", host="a::b", mode="rw")
    for call, text in (
        (parse_size, "many"),
        (parse_size, "-1"),
        (parse_duration, "0s"),
        (parse_duration, "1d"),
        (parse_env, "A"),
        (parse_env, "=x"),
        (parse_dir, "/only"),
        (parse_dir, "x::rel"),
        (parse_dir, "::/x"),
    ):
        with pytest.raises(UsageError) as caught:
            call(text)
        assert caught.value.hint
