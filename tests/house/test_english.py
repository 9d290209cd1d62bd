"""Plain English: no unidiomatic phrases, no empty docstrings, no overlong lines of prose."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_invariants import ROOT, SRC, committed, modules

PHRASES = {
    r"can not\b": "cannot",
    r"who(so)?ever\b": "name who: the holder, the caller, anyone who",
    r"nothing of (?!value\b|the kind\b)": "no part of, none of",
    r"(that|what|than|which) there (is|are)( not)?(?= [^a-z]|[.,;:)\"]|$)": "existing, present; or leave it out",
    r"(what|that|which|it|they) (is|are|was|were) none\b": "is not a ...",
    r"(?<!there )(?<!which )(is|are) no (?!longer\b|more\b|less\b|way\b|better\b|worse\b|\w+er than\b)[a-z]": "is not a ...",
    r"be had\b|(?:is|are) had\b": "available, obtained",
    r"of (ours|theirs)\b": "our, their",
    r"(is|are|was|were) said\b(?! to\b)": "name who says it, or describe it",
    r"(?<=[.;:] )Who (has|holds|knows|can|owns|plays|reads|wants|gives)\b[^?.]*\.": "The holder ..., Anyone who ...",
    r"beside all\b": "besides, in the background",
    r"unasked\b": "without a request",
    r"are about\b(?! to\b)": "occur",
    r"else than\b": "other than",
    r"(is|are) at (its|an|their) end\b": "has ended",
    r"the one of\b(?! the\b| these\b| those\b)": "name it again",
    r"(what|that|which) (is|are) of\b": "belongs to",
    r"mend(s|ed|ing)?\b": "fix",
    r"stands? twice\b": "occurs twice, is repeated",
    r"(is|are) there already\b": "already exists",
    r"(that|which|what) (is|are|was|were) there\b": "existing",
    r"it is its\b": "name both",
    r"in hand\b": "with access to, at hand",
    r"not any more\b": "no longer",
    r"h(o|e)ld(s|ing)?( \w+){0,3} against\b": "compare with, check against",
    r"(bytes|padding|zeros|certificates|nothing) behind\b": "after",
    r"behind the end\b": "after the end",
    r"(he|him|his|himself)\b": "the holder, the host, they",
    r"what (he|she|it|one|they) likes?\b": "anything, arbitrary",
    r"is nothing that\b": "is not a ... that",
    r"one that is (none|no|there)\b": "name it",
    r"what (\w+ ){0,3}(is|are) of\b": "name the thing that it describes",
    r"judg(e|es|ed|ing|ement)\b": "verify, appraise, examine (docs/glossary.md)",
    r"the one encoding\b": "the canonical encoding",
    r"for ever\b": "forever",
    r"so many (bytes|seconds|items|frames|records)\b(?! that\b)": "this many, or name the number",
    r"what(ever)? (\w+ ){1,3}came to\b": "the result, the outcome, even if",
    r"in the place of\b": "in place of",
    r"of no known\b": "of unknown",
    r"passe[sd] over\b(?! all\b)": "skipped",
    r"(as|what|which) (\w+ ){1,3}(has|have) it\b": "as in, in the form of",
}
"""Patterns of phrases that are not idiomatic or hide the subject, with replacements."""

RIDDLES = ("The same", "As ", "Likewise", "Those ")
"""How a docstring must not begin, because its reader may not see what it refers to."""

NAMES = {"found", "said", "told"}
"""Identifiers that describe how a value came about, not what it is."""

WORDS = 5
"""The minimum for a docstring; a shorter one repeats the name of its object."""

WIDTH = 100
"""The maximum columns of prose in a document."""

TO_REWRITE: set[str] = set()
"""Files and directories that do not follow these rules yet."""

PATTERN = re.compile("|".join(rf"(?P<_{i}>\b{phrase})" for i, phrase in enumerate(PHRASES)), re.IGNORECASE)


def written() -> list[Path]:
    """All files with English text: documents, programs, build files."""
    return [p for p in committed() if p.suffix in (".md", ".py", ".c", ".h", ".toml") or p.name == "Makefile"]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def to_rewrite(path: Path) -> bool:
    name = relative(path)
    return any(name == zone or name.startswith(f"{zone}/") for zone in TO_REWRITE)


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Docstrings of all objects, constants included, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The pieces of English in a file, with the lines at which they start."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from ((line, piece) for line, piece in document(text))
    elif path.suffix == ".py":
        yield from python(text, strings=path.is_relative_to(SRC))
    else:
        yield from ((i, line) for i, line in enumerate(text.splitlines(), 1) if re.search(r"#|//|\*|echo", line))


def document(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs of a Markdown text, without code blocks and inline code."""
    blank = re.sub(r"^```.*?^```", lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL | re.MULTILINE)
    blank = re.sub(r"`[^`\n]+`", "`code`", blank)
    for found in re.finditer(r"(?:[^\n]+\n?)+", blank):
        yield blank.count("\n", 0, found.start()) + 1, found[0]


def python(text: str, *, strings: bool) -> Iterator[tuple[int, str]]:
    """Docstrings and comments; with `strings` also error and help texts."""
    for line, piece in docstrings(ast.parse(text)):
        yield line, re.sub(r"`[^`\n]+`", "`code`", piece)
    comment = ""
    start = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if not comment:
                start = token.start[0]
            comment += token.string.lstrip("#") + " "
        elif token.type not in (tokenize.NL, tokenize.NEWLINE) and comment:
            yield start, comment
            comment = ""
    if strings:
        yield from texts(ast.parse(text))


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Strings of several words in expressions, which are error and help texts or parts of them."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in alone else None
        if isinstance(text, str) and text.count(" ") >= 2:
            yield node.lineno, text  # type: ignore[attr-defined]  # a Constant


def phrases(text: str) -> list[str]:
    """The unidiomatic phrases of a text, each with its replacement."""
    flat = re.sub(r"\s+", " ", text)
    remedies = list(PHRASES.values())
    return [f"{match[0]!r}: {remedies[int((match.lastgroup or '_0')[1:])]}" for match in PATTERN.finditer(flat)]


def faults(path: Path) -> list[str]:
    """All violations in a file, with line and remedy."""
    if path.name == "test_english.py":
        return []
    wrong = [f"{relative(path)}:{line}: {each}" for line, piece in prose(path) for each in phrases(piece)]
    if path.is_relative_to(SRC) and path.suffix == ".py":
        wrong += [f"{relative(path)}:{line}: {why}" for line, why in in_programs(path.read_text(encoding="utf-8"))]
    if path.suffix == ".md":
        wrong += [f"{relative(path)}:{line}: more than {WIDTH} columns" for line in too_wide(path.read_text())]
    return wrong


def in_programs(text: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
        if name in NAMES and (isinstance(node, ast.arg) or isinstance(getattr(node, "ctx", None), ast.Store)):
            yield node.lineno, f"{name}: name what it is"  # type: ignore[attr-defined]  # both have a line
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)):
            docstring = ast.get_docstring(node)
            if docstring is not None and len(docstring.split()) < WORDS:
                yield getattr(node, "lineno", 1), f"{docstring!r}: fewer than {WORDS} words"
            if docstring is not None and docstring.startswith(RIDDLES):
                yield getattr(node, "lineno", 1), f"{docstring[:30]!r}: name the thing, or begin with `Like`"


def too_wide(text: str) -> Iterator[int]:
    """The numbers of overlong lines, except for table rows, code, and links, which cannot be wrapped."""
    code = False
    for i, line in enumerate(text.splitlines(), 1):
        code ^= line.startswith("```")
        exempt = code or line.startswith(("|", "    ")) or " " not in line.strip().lstrip("*-> ")
        if len(line) > WIDTH and not exempt:
            yield i


@pytest.mark.parametrize("path", written(), ids=relative)
def test_is_written_in_plain_english(path: Path) -> None:
    wrong = faults(path)
    if wrong and to_rewrite(path):
        pytest.skip(f"to be rewritten: {len(wrong)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("zone", sorted(TO_REWRITE) or [""])
def test_what_is_to_be_rewritten_still_has_faults(zone: str) -> None:
    assert not zone or any(faults(path) for path in written() if to_rewrite(path) and relative(path).startswith(zone))


@pytest.mark.parametrize(
    "text",
    [
        "It can\nnot be read.",
        "Whoever reads it",
        "nothing of the way is skipped",
        "registers that there are not",
        "a frame of no size that there is.",
        "what is none is refused",
        "'x' is no directory",
        "the best that is to be had",
        "an error of ours",
        "as is said below",
        "Keys leak. Who has a machine in hand can sign.",
        "Both are about.",
        "the link is at its end",
        "the file is there already",
        "We judge evidence.",
        "each is held against its vector",
        "7 bytes behind the end",
        "he signs what he likes",
        "ParseError on anything but the one encoding.",
        "no such Keep can be had",
        "The socket took so many bytes.",
        "a frame of no known type was passed over",
        "every check is made, whatever the others came to",
        "a Keep waits for ever",
        "the check as JSON has it",
    ],
)
def test_unidiomatic_phrases_are_noticed(text: str) -> None:
    assert phrases(text)


@pytest.mark.parametrize(
    "text",
    [
        "There is no directory, and there are no others.",
        "It cannot be read; it is no longer than the bound.",
        "Of which there is no copy, nothing of value is lost.",
        "It is said to be safe. Is this about to end?",
        "Who can read it? Anyone who holds the key.",
        "The number of processes that there are room for",
        "one of the keys, the one of the two that is newer",
        "the trust anchor behind it, which defends against replay",
        "It has so many bytes that it does not fit, and a pass over all of it takes long.",
    ],
)
def test_good_english_is_not(text: str) -> None:
    assert not phrases(text)


def test_what_a_program_says_is_read() -> None:
    text = 'def f():\n    """Two words."""\n    said = f"{1}: it can not be"  # whoever\n    # reads'
    assert [line for line, _ in in_programs(text)] == [1, 3]
    assert [line for line, piece in python(text, strings=True) if phrases(piece)] == [3, 3]
    assert len(list(python(text, strings=False))) == 2


def test_only_prose_has_a_width() -> None:
    long = "word " * 25
    assert list(too_wide(f"{long}\n| {long}\n    {long}\n```\n{long}\n```\n* {'x' * 120}\n{long}\n")) == [1, 8]
    assert [line for line, piece in document(f"a\n\n```\n{long}\n```\n`whoever` b\n") if phrases(piece)] == []


def test_modules_are_among_what_is_read() -> None:
    assert {path for path in modules() if path.stat().st_size} <= set(written())
