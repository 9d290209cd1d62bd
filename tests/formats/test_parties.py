from __future__ import annotations

import pytest

from enarx.errors import UsageError
from enarx.formats.config import Config, Dir, Secret
from enarx.formats.parties import Provider, Recipient, check, provided

TWO = """
[secrets]
pepper = {}
own = {}

[[dirs]]
guest = "/north"
[[dirs]]
guest = "/south"
[[dirs]]
guest = "/tmp"
mode = "rw"

[[providers]]
name = "North Hospital"
key = "north.pub"
dirs = ["/north"]
secrets = ["pepper"]
[[providers]]
name = "South Hospital"
key = "south.pub"
dirs = ["/south"]

[[recipients]]
name = "Institute"
key = "institute.pub"
"""


def test_parties() -> None:
    config = Config.from_toml(TWO)
    assert config.providers == (
        Provider(name="North Hospital", key="north.pub", dirs=("/north",), secrets=("pepper",)),
        Provider(name="South Hospital", key="south.pub", dirs=("/south",)),
    )
    assert config.recipients == (Recipient(name="Institute", key="institute.pub"),)
    assert provided(config) == {
        "dir /north": "North Hospital",
        "dir /south": "South Hospital",
        "secret pepper": "North Hospital",
    }
    check(config)


def test_without_parties() -> None:
    config = Config.from_toml("")
    assert (config.providers, config.recipients) == ((), ())
    assert provided(config) == {}


DIRS = '[[dirs]]\nguest = "/a"\n[[dirs]]\nguest = "/b"\nmode = "rw"\n'
MANY = "".join(f'[[recipients]]\nname = "r{i}"\nkey = "k"\n' for i in range(9))


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        ("[[provider]]\nname = 'x'", "1:1", "unknown key 'provider'", "providers"),
        ("providers = 3", "1:1", "providers is an integer, wanted an array", ""),
        ("[[providers]]\nname = 'x'\nkey = 'k'\ndir = ['/a']", "4:1", "unknown key 'dir'", "dirs"),
        ("[[providers]]\nname = 'x'\ndirs = ['/a']", "1:1", "a provider without key", ""),
        ("[[providers]]\nname = 'x'\nkey = 'k'", "1:1", "a provider without dirs and secrets", "dirs ="),
        ("[[providers]]\nname = ''\nkey = 'k'\ndirs = ['/a']", "2:1", "name is empty", ""),
        ('[[providers]]\nname = "a\\u001b"\nkey = "k"\ndirs = ["/a"]', "2:1", "printable characters", ""),
        ("[[providers]]\nname = '" + 65 * "x" + "'\nkey = 'k'\ndirs = ['/a']", "2:1", "at most 64", ""),
        ("[[providers]]\nname = 'x'\nkey = 7\ndirs = ['/a']", "3:1", "providers.0.key is an integer", ""),
        ("[[providers]]\nname = 'x'\nkey = 'k'\ndirs = [1]", "4:9", "providers.0.dirs.0 is an integer", ""),
        (DIRS + "[[providers]]\nname = 'x'\nkey = 'k'\ndirs = ['/a', '/c']", "9:15", "'/c' is not in [[dirs]]", ""),
        (DIRS + "[[providers]]\nname = 'x'\nkey = 'k'\nsecrets = ['s']", "9:12", "'s' is not in [secrets]", ""),
        (DIRS + "[[providers]]\nname = 'x'\nkey = 'k'\ndirs = ['/a', '/a']", "9:1", "/a is provided twice", ""),
        (
            DIRS + "[[providers]]\nname='x'\nkey='k'\ndirs=['/a']\n[[providers]]\nname='y'\nkey='l'\ndirs=['/a']",
            "13:1",
            "/a is provided twice, by x and by y",
            "",
        ),
        (
            DIRS + "[[providers]]\nname='x'\nkey='k'\ndirs=['/a']\n[[providers]]\nname='x'\nkey='l'\ndirs=['/b']",
            "11:1",
            "'x' is repeated in providers",
            "",
        ),
        (
            "[[dirs]]\nguest = '/a'\nhost = 'h'\n[[providers]]\nname = 'x'\nkey = 'k'\ndirs = ['/a']",
            "3:1",
            "/a has a host, and provider x brings it",
            "remove host",
        ),
        ("[[dirs]]\nguest = '/a'", "1:1", "an empty read-only directory", "a provider"),
        ("[[recipients]]\nname = 'x'", "1:1", "a recipient without key", ""),
        ("[[recipients]]\nname = 'x'\nkey = 'k'\ndirs = []", "4:1", "unknown key 'dirs'", ""),
        (MANY, "25:1", "9 recipients, wanted at most 8", ""),
    ],
)
def test_errors_name_the_place(text: str, where: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        Config.from_toml(text)
    assert raised.value.message.startswith(f"Enarx.toml:{where}: "), raised.value.message
    assert message in raised.value.message
    assert hint in raised.value.hint


def test_a_programs_configuration_follows_the_same_rules() -> None:
    directory = Dir(guest="/a")
    config = Config(dirs=(directory,), secrets=(Secret(name="s"),))
    with pytest.raises(UsageError, match="an empty read-only directory"):
        check(config)
    check(config.replace(providers=(Provider(name="x", key="k", dirs=("/a",), secrets=("s",)),)))
    with pytest.raises(UsageError, match="without dirs and secrets"):
        check(config.replace(providers=(Provider(name="x", key="k"),)))
