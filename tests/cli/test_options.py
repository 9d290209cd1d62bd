"""How a command line is read: options as they are written, help that fits, and a hint for each slip."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from enarx.cli.main import main
from enarx.cli.options import Parser
from enarx.cli.parser import COMMANDS, build_parser


def parsers(parser: Parser, *words: str) -> Iterator[tuple[tuple[str, ...], Parser]]:
    """Every parser, with the words that lead to it."""
    yield words, parser
    for name, below in parser.below.items():
        yield from parsers(below, *words, name)


ALL = list(parsers(build_parser()))
LEAVES = [(words, parser) for words, parser in ALL if not parser.below]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command line is refused with, on stderr alone."""
    with pytest.raises(SystemExit) as ended:
        main([*words])
    out, err = capsys.readouterr()
    assert ended.value.code == 125
    assert out == ""
    return err


@pytest.mark.parametrize(
    ("words", "parser"), LEAVES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_no_option_can_be_abbreviated(
    words: tuple[str, ...], parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {word for word in parser.words if word.startswith("--")}
    assert "--help" in options
    for option in options:
        short = option[:-1]
        if short in options or len(short) < 4:
            continue
        err = refused(capsys, *words, short)
        assert err.startswith(f"error: {parser.prog} has no option '{short}'\nhint: did you mean --"), err


def test_the_weaker_option_is_not_taken_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean --simulate?" in refused(capsys, "run", "--simulat", "x.wasm")
    assert "did you mean --simulated-root=x?" in refused(capsys, "deploy", "--simulated-roof=x", "x.wasm")
    assert "no option '--unsafe'" in refused(capsys, "run", "--unsafe", "landlock", "x.wasm")
    assert main(["run", "--simulate", "missing.wasm"]) == 125
    assert "missing.wasm" in capsys.readouterr().err, "the whole option is taken"


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("rnu x", "enarx has no command 'rnu'", "did you mean enarx run?"),
        ("keep lsit", "enarx keep has no command 'lsit'", "did you mean enarx keep list?"),
        ("HELP", "enarx has no command 'HELP'", "did you mean enarx help?"),
        ("simulate x.wasm", "enarx has no command 'simulate'", "enarx --help lists the commands"),
        ("./x.wasm", "enarx has no command './x.wasm'", "to run a module: enarx run ./x.wasm"),
        (
            "run --simulate x.wasm --month 10",
            "enarx run has no option '--month'",
            "arguments of the workload follow --: enarx run WORKLOAD.wasm -- ARGS",
        ),
        (
            "run x.wasm -n 10",
            "enarx run has no option '-n'",
            "arguments of the workload follow --: enarx run WORKLOAD.wasm -- ARGS",
        ),
        ("qqq", "enarx has no command 'qqq'", "enarx --help lists the commands"),
        ("--simulate run x", "enarx has no option '--simulate'", "options follow their command; enarx --help"),
        ("keep list --host a --host b", "--host is given twice, wanted once", "enarx keep list --help"),
        (
            "image measure --kind snp -o a --output b",
            "--output is given twice, wanted once",
            "enarx image measure --help",
        ),
        ("keep list --host=", "--host has an empty value", "enarx keep list --help"),
        ("keep list --host ''", "--host has an empty value", "enarx keep list --help"),
        ("keep list --host", "argument --host: expected one argument", "enarx keep list --help"),
        ("run --simulate=yes x", "argument --simulate takes no value, got 'yes'", "enarx run --help"),
        ("platform x", "unexpected argument 'x'", "enarx platform --help"),
        ("keep wait", "the following arguments are required: KEEP", "enarx keep wait --help"),
        ("help nope", "enarx has no command 'nope'", "enarx --help lists the commands"),
        ("help keep lits", "enarx keep has no command 'lits'", "did you mean enarx keep list?"),
        ("version now", "unexpected argument 'now'", "enarx version --help"),
    ],
)
def test_slips(capsys: pytest.CaptureFixture[str], line: str, message: str, hint: str) -> None:
    assert refused(capsys, *shlex.split(line)) == f"error: {message}\nhint: {hint}\n"


def test_an_option_that_drives_a_terminal_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(capsys, "run", "--\x1b[2J\nx", "x.wasm")
    assert "\x1b" not in err
    assert err.count("\n") == 2


def test_options_that_may_be_repeated_still_are() -> None:
    options = build_parser().parse_args(["run", "--env", "A=1", "--env", "B=2", "--dir", "a::/a", "x.wasm"])
    assert (options.env, options.dir) == (["A=1", "B=2"], ["a::/a"])
    assert build_parser().parse_args(["image", "measure", "--kind", "snp", "--append", ""]).append == [""]


@pytest.mark.parametrize("words", [[], ["keep"], ["image"]])
def test_an_incomplete_command_shows_its_help_on_stderr(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    err = refused(capsys, *words)
    assert err.startswith(" ".join(["usage: enarx", *words]))
    assert "run a workload" in err or "list the Keeps" in err or "measurement" in err


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints on stdout; it ends with 0."""
    try:
        code = main([*words])
    except SystemExit as e:
        code = int(e.code or 0)
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize("words", [[], ["run"], ["keep"], ["keep", "attach"], ["help"]])
def test_help_is_a_command_too(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert shown(capsys, "help", *words) == shown(capsys, *words, "--help") != ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "version") == shown(capsys, "--version") == shown(capsys, "-V") == "enarx 0.1.0\n"


@pytest.mark.parametrize(
    ("words", "parser"), ALL, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_help_fits_a_narrow_terminal(words: tuple[str, ...], parser: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in parser.format_help().splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("words", "parser"), LEAVES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_examples_parse(words: tuple[str, ...], parser: Parser) -> None:
    assert parser.epilog is not None
    lines = parser.epilog.removeprefix("examples:\n").replace("\\\n", "").splitlines()
    assert lines
    for line in lines:
        name, *rest = shlex.split(line)
        if name == "enarx":
            build_parser().parse_args(rest[: rest.index("--")] if "--" in rest else rest)


def test_every_command_is_listed_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    listed = shown(capsys, "--help")
    assert all(f"\n    {name}" in listed for name in COMMANDS)


def test_a_salt_beside_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty value of a repeatable option is left to the command, which names it."""
    (tmp_path / "x.wasm").write_bytes(b"\0asm\1\0\0\0")
    assert main(["package", "digest", str(tmp_path / "x.wasm"), "--env", ""]) == 125
    assert "a variable without =" in capsys.readouterr().err
