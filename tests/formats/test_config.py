from __future__ import annotations

import copy
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enarx.errors import ParseError, UsageError
from enarx.formats.config import Config, Dir, Secret
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

STD = "".join(f"[[files]]\nkind='{kind}'\n" for kind in ("stdin", "stdout", "stderr"))


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
    """Each commented-out line of the template is valid."""
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
    assert len(config.dirs) == 3
    assert [f.kind for f in config.files or ()] == ["stdin", "stdout", "stderr", "listen", "connect", "null"]


@pytest.mark.parametrize(
    ("text", "where", "said", "hint"),
    [
        ("argz = []", "1:1", "unknown key 'argz'", "args"),
        ("\n[limits]\nmemroy = 1", "3:1", "unknown key 'memroy'", "memory"),
        ("[[files]]\nkind = 'stdin'\nnmae = 'x'", "3:1", "unknown key 'nmae'", "name"),
        ("[[files]]\nkind = 'stdni'", "2:1", "kind is 'stdni'", "stdin"),
        ("args = 'x'", "1:1", "args is a text, wanted an array", ""),
        ("args = ['a',\n 3]", "2:2", "args.1 is an integer, wanted a text", ""),
        ("limits.memory = '5QiB'", "1:1", "'5QiB' is not a size", "64MiB"),
        ("limits.memory = 5", "1:1", "wanted 65536 to", ""),
        ("limits.time = true", "1:1", "a boolean", ""),
        ("limits.open_files = 1", "1:1", "wanted 8 to 65536", ""),
        ("[env]\n'A=B' = 'x'", "2:1", "not a variable name", ""),
        ("[secrets]\nkey = 'value'", "2:1", "must not be in a configuration file", "--secret key=@FILE"),
        ("[secrets]\n'a/b' = {}", "2:1", "not a secret name", ""),
        ("[secrets]\nk = {env = 'E'}\n[env]\nE = 'x'", "2:6", "E is set twice", ""),
        ("[secrets]\na = {env = 'E'}\nb = {env = 'E'}", "3:6", "E is set twice", ""),
        ("[secrets.a]\nevn = 'E'", "2:1", "unknown key 'evn'", "env"),
        ("[[dirs]]\nguest = '/a'\nhost = ''", "3:1", "host is empty", ""),
        ("[[dirs]]\nguest = '/a'\nhost = 'x'\nmode = 'rww'", "4:1", "mode is 'rww'", "'rw'"),
        ("[[dirs]]\nguest = '/" + 2000 * "a" + "'\nmode = 'rw'", "2:1", "wanted at most 1024", ""),
        ("limits.memory = '1.5'", "1:1", "not a whole number", "64MiB"),
        ("limits.fuel = 0x" + 5000 * "f", "1:1", "of more than 64 bits", ""),
        ("limits.time = 0x" + 5000 * "f", "1:1", "of more than 64 bits", ""),
        ("limits.time = inf", "1:1", "wanted 0.001 to 1000000000 seconds", ""),
        ("args = ['a', '\ud800']", "1:14", "args.1 is not UTF-8", ""),
        ("[[dirs]]\nguest = '/\ud800'\nmode = 'rw'", "2:1", "not UTF-8", ""),
        ('[env]\n"a\\u001b" = 1', "2:1", r"env.'a\x1b' is an integer", ""),
        ("steward = 3", "1:1", "steward is an integer", ""),
        ("steward = 'https://'", "1:1", "https://", ""),
        ("steward = 'https://a b'", "1:1", "https://", ""),
        ("[[files]]\nname = 'x'", "1:1", "a file without kind", ""),
        ("[[files]]\nkind = ['stdin']", "2:1", "kind is an array", ""),
        (STD + "[[files]]\nkind='listen'\nname='x'\nprot=['tcp']", "10:1", "prot is an array", ""),
        (STD + "[[files]]\nkind='listen'\nname='x'\nprot='tcp'\naddr=''", "11:1", "addr is empty", ""),
        (STD + "[[files]]\nkind='listen'\nname='x'\nprot='tcp'\nport=0", "11:1", "wanted 1 to 65535", ""),
        (STD + "[[files]]\nkind='listen'\nname='x'\nprot='tcp'\nhost='x'", "11:1", "unknown key 'host'", ""),
        (STD + "[[files]]\nkind='connect'\nname='x'\nprot='tcp'\nhost=''", "11:1", "host is empty", ""),
        (STD + "[[files]]\nkind='connect'\nprot='tcp'\nhost='::1'", "7:1", "wanted a text without :", "joined"),
        (STD + "[[files]]\nkind='null'\nname='stdin'", "9:1", "'stdin' is repeated", ""),
        (STD + "[[files]]\nkind='stdin'\nname='x'", "7:1", "descriptor 3 is a file", "order"),
        ("[[dirs]]\nguest = 'rel'\nhost = 'x'", "2:1", "wanted an absolute path", ""),
        ("[[dirs]]\nguest = '/a/../b'\nhost = 'x'", "2:1", "wanted an absolute path", ""),
        ("[[dirs]]\nguest = '/run/secrets'\nhost = 'x'", "2:1", "reserved for secrets", ""),
        ("[[dirs]]\nguest = '/a'\nhost = 'x'\n[[dirs]]\nguest = '/a'\nhost = 'y'", "5:1", "is repeated", ""),
        ("[[dirs]]\nguest = '/a/b'\nhost = 'x'\n[[dirs]]\nguest = '/a'\nhost = 'y'", "2:1", "lies within /a", ""),
        ("[[dirs]]\nguest = '/a'", "1:1", "read-only", "rw"),
        ("[[files]]\nkind = 'stdout'", "1:1", "descriptor 0 is a file", "order"),
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


@pytest.mark.parametrize("text", ["args = 1", "files = 1", "limits = 1", "dirs = {}", "secrets = []", "files = [3]"])
def test_wrong_types_have_a_code_of_their_own(text: str) -> None:
    with pytest.raises(UsageError, check=lambda e: e.code == "config-type"):
        Config.from_toml(text)


def test_nulls_without_a_name_and_stdout_twice_are_no_duplicates() -> None:
    nulls = Config.from_toml("[[files]]\nkind='null'\n" * 4)
    assert [f.name for f in nulls.files or ()] == ["null"] * 4
    both = "[[files]]\nkind='stdin'\n[[files]]\nkind='stdout'\n[[files]]\nkind='stdout'\n"
    assert Config.from_toml(both + "name='two'").files
    with pytest.raises(UsageError, check=lambda e: e.code == "config-duplicate"):
        Config.from_toml(both)


@pytest.mark.parametrize(
    "changes",
    [
        {"args": ("a", "\udcff")},
        {"args": ("a\0",)},
        {"env": (("A", "\udcff"),)},
        {"env": (("", "x"),)},
        {"env": (("A", "1"), ("A", "2"))},
        {"env": (("A", "1"),), "secrets": (Secret(name="s", env="A"),)},
        {"dirs": (Dir(guest="/a", host="x"), Dir(guest="/a/b", host="y"))},
    ],
)
def test_what_a_command_line_changes_is_checked_too(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Config().replace(**changes)


def test_duplicate_names_of_files() -> None:
    twice = "[[files]]\nkind='listen'\nname='w'\nprot='tcp'\n" * 2
    with pytest.raises(UsageError, check=lambda e: e.code == "config-duplicate"):
        Config.from_toml(STD + twice)


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=200))
def test_any_text_gives_a_config_or_our_error(text: str) -> None:
    try:
        Config.from_toml(text)
    except UsageError as e:
        assert ":" in e.message


NUMBERS = ["0", "-1", "0x" + 5000 * "f", "9" * 5000, "1.5", "nan", "true", "1979-05-27"]
TEXTS = ["''", "'/a'", "'null'", "'tcp'", "'a:b'", "'64MiB'", "'1s'", "'stdin'", "'rw'", "'\ud800'", '"\\u0000"']
VALUES = st.recursive(
    st.sampled_from(NUMBERS + TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(("kind", "guest", "mode", "env", "prot", "name", "host")), inner, max_size=5
        ).map(lambda table: f"{{{', '.join(f'{k} = {v}' for k, v in table.items())}}}"),
    ),
    max_leaves=8,
)
KEYS = (
    "steward",
    "args",
    "env",
    "files",
    "limits",
    "secrets",
    "dirs",
    "limits.time",
    "limits.memory",
    "secrets.s",
    "env.A",
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_known_keys_with_any_value(table: dict[str, str]) -> None:
    try:
        config = Config.from_toml("\n".join(f"{key} = {value}" for key, value in table.items()))
    except UsageError as e:
        assert e.message.startswith("Enarx.toml:")
    else:
        assert Config.from_public(config.public()).public() == config.public()


@given(st.text(alphabet="[]{}=.,'\"#\n \\abcfiles01", max_size=80))
def test_any_toml_like_text(text: str) -> None:
    try:
        Config.from_toml(text)
    except UsageError as e:
        assert ":" in e.message


def test_a_terminal_is_asked_for_by_the_tenant_and_no_file() -> None:
    with pytest.raises(UsageError, check=lambda e: e.code == "config-unknown-key"):
        Config.from_toml("tty = true")
    public = Config().replace(tty=True).public()
    assert Config.from_public(public).tty
    assert not Config.from_public(Config().public()).tty
    for value in (1, None, "yes"):
        with pytest.raises(ParseError):
            Config.from_public(public | {"tty": value})


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
        limits: tuple[object, ...] = (-1, "x", True, 1 << 64, 1 << 50000, [], 1.5)
        for limit in limits:
            changed = copy.deepcopy(base)
            changed["limits"][key] = limit
            found.append(changed)
    wrong: tuple[tuple[str, str, object], ...] = (
        ("dirs", "guest", "/run/secrets/x"),
        ("dirs", "mode", "rwx"),
        ("dirs", "host", "/etc"),
        ("files", "kind", "stdout"),
        ("secrets", "name", "../x"),
        ("secrets", "env", 3),
        ("secrets", "more", object()),
        ("dirs", "guest", "/\ud800"),
        ("dirs", "guest", b"/a"),
        ("files", "name", "a:b"),
    )
    for table, key, value in wrong:
        changed = copy.deepcopy(base)
        changed[table][0][key] = value
        found.append(changed)
    many = {
        "secrets": [{"name": f"{i}", "env": None} for i in range(2000)],
        "dirs": [{"guest": f"/{i}", "mode": "ro"} for i in range(2000)],
    }
    found += [{**base, key: entries} for key, entries in many.items()]
    found += [{**base, "more": object()}, dict([*base.items(), (3, 3)]), {**base, "dirs": tuple(base["dirs"])}]
    return found


@pytest.mark.parametrize("value", mutations(), ids=lambda _: "value")
def test_hostile_public_values(value: object) -> None:
    with pytest.raises(ParseError):
        Config.from_public(value)


def test_a_keep_refuses_without_loading_more_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Keep cannot import more code: only the program that prints a hint looks for the nearest known key."""
    monkeypatch.setitem(sys.modules, "difflib", None)
    base = Config().public()
    for value in ({**base, "limits": {**base["limits"], "memroy": 1}}, {**base, "files": [{"kind": "stdni"}]}):
        with pytest.raises(ParseError):
            Config.from_public(value)
