"""Filters do what the tables say: every instruction of them is run."""

from __future__ import annotations

import errno

import pytest

from enarx.keep.sandbox.bpf import ALLOW, KILL, WORD, X32_BIT, Check, assemble, fail
from tests.keep.sandbox.filters import verdict

ARCH, OTHER_ARCH = 0xC000003E, 0x40000003
DEFAULT = fail(errno.ENOSYS)
SIMPLE = Check(1, 0xFF, (3, 4), fail(errno.EPERM))
TWO = Check(2, 4, (0,), fail(errno.EACCES), (Check(3, WORD, (0x22,), KILL), SIMPLE))
NEVER = Check(0, 0, (), fail(errno.EINVAL))
PROGRAM = assemble(ARCH, checks={9: SIMPLE, 10: TWO, 11: NEVER}, allowed=(1, 2), killed=(5,), default=DEFAULT)


def of(number: int, *arguments: int, arch: int = ARCH) -> int:
    return verdict(PROGRAM, arch, number, *arguments)


def test_it_is_eight_bytes_an_instruction() -> None:
    program = assemble(ARCH, checks={9: SIMPLE}, allowed=(1, 2), killed=(5,), default=DEFAULT)
    head, checked, listed, tail = 6, 1 + 2 + 2 + 1 + 1, 2 * 3, 1
    assert len(program) == 8 * (head + checked + listed + tail)


def test_listed_calls_and_all_others() -> None:
    assert [of(number) for number in (0, 1, 2, 3, 5, 6, 1 << 20)] == [
        DEFAULT,
        ALLOW,
        ALLOW,
        DEFAULT,
        KILL,
        DEFAULT,
        DEFAULT,
    ]


@pytest.mark.parametrize("number", [0, 1, 5, 9, 100])
def test_another_architecture_kills(number: int) -> None:
    assert of(number, arch=OTHER_ARCH) == KILL


@pytest.mark.parametrize("number", [0, 1, 5, 9])
def test_twin_calls_kill(number: int) -> None:
    assert of(number | X32_BIT) == KILL
    assert of(-1 - number) == KILL


@pytest.mark.parametrize(
    ("argument", "allowed"),
    [
        (3, True),
        (4, True),
        (5, False),
        (0, False),
        (0x103, True),
        (0x105, False),
        (3 | 1 << 40, True),
        (1 << 40, False),
    ],
)
def test_an_argument(argument: int, allowed: bool) -> None:
    """Under the mask, and of its low 32 bits."""
    assert of(9, 99, argument) == (ALLOW if allowed else fail(errno.EPERM))


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ((0, 3, 0, 0x22), ALLOW),
        ((0, 3, 3, 0x22), ALLOW),
        ((0, 3, 4, 0x22), fail(errno.EACCES)),
        ((0, 3, 0, 0x21), KILL),
        ((0, 5, 0, 0x22), fail(errno.EPERM)),
        ((0, 5, 7, 0x21), fail(errno.EACCES)),
    ],
)
def test_several_arguments_in_order(arguments: tuple[int, ...], result: int) -> None:
    assert of(10, *arguments) == result


def test_no_value_is_ever_right() -> None:
    assert {of(11, value) for value in (0, 1, WORD)} == {fail(errno.EINVAL)}


def test_pretending_success() -> None:
    assert fail(0) == 0x00050000
    assert fail(errno.ENOSYS) == 0x00050000 | errno.ENOSYS
