from __future__ import annotations

import re
from pathlib import Path

import pytest

from enarx.keep.sandbox import syscalls


def test_numbers_are_those_of_the_headers() -> None:
    header = Path("/usr/include/asm-generic/unistd.h")
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    text = header.read_text(encoding="ascii")
    generic = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    generic["newfstatat"] = generic["fstatat"]
    table = syscalls.numbers("aarch64")
    assert {name: number for name, number in table.items() if generic.get(name, number) != number} == {}
    assert sum(name in generic for name in table) > 150


def test_numbers_of_this_machine_are_those_of_the_headers() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("the headers of x86_64 are not installed")
    known = {x: int(n) for x, n in re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read_text(encoding="ascii"))}
    table = syscalls.numbers("x86_64")
    assert {name: number for name, number in table.items() if known.get(name, number) != number} == {}
    assert sum(name in known for name in table) > 150


def test_calls_that_only_one_architecture_has() -> None:
    other = syscalls.numbers("aarch64")
    assert {"open", "fork", "poll", "epoll_wait"} & syscalls.numbers("x86_64").keys() == {
        "open",
        "fork",
        "poll",
        "epoll_wait",
    }
    assert not {"open", "fork", "poll", "epoll_wait"} & other.keys()
    assert other["openat"] == 56
