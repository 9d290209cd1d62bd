"""Configuration files in another format, or with keys that people expect: the hint names what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from enarx.api.workloads import read_config
from enarx.errors import UsageError
from enarx.tenant import config_faults


def refused(tmp_path: Path, data: str | bytes) -> UsageError:
    path = tmp_path / "Enarx.toml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(UsageError) as caught:
        read_config(str(path))
    assert str(path) in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ('{"limits": {"memory": "64MiB"}}', "JSON, wanted TOML"),
        ('\n  {\n  "limits": {}\n}\n', "JSON, wanted TOML"),
        ('[{"limits": 1}]', "JSON, wanted TOML"),
        ("limits:\n  memory: 64MiB\n", "YAML, wanted TOML"),
        ("# a comment\n---\nlimits: {}\n", "YAML, wanted TOML"),
        ("<!DOCTYPE html>\n<html></html>", "HTML or XML, wanted TOML"),
        ('<?xml version="1.0"?>', "HTML or XML, wanted TOML"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, text: str, format: str) -> None:
    error = refused(tmp_path, text)
    assert format in error.message
    assert error.code == "config-toml"
    assert error.hint


@pytest.mark.parametrize("text", ["[limits", "memory 64MiB", 'x = "unterminated', "= 1", "a.b: = 1", "x = {a: 1}"])
def test_faulty_toml_keeps_its_place(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, text)
    assert "not TOML" in error.message
    assert "/Enarx.toml:1:" in error.message


def test_encodings(tmp_path: Path) -> None:
    assert "UTF-16, wanted UTF-8" in refused(tmp_path, "[limits]\n".encode("utf-16")).message
    assert "not UTF-8 at byte 3" in refused(tmp_path, b'x="\xe9"').message
    assert "not UTF-8 at byte 3" in refused(tmp_path, b'x="\xe9"').message


def test_the_mark_that_some_editors_write_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "Enarx.toml"
    path.write_bytes(b'\xef\xbb\xbf[limits]\nmemory = "64MiB"\n')
    assert read_config(str(path)).limits.memory == 64 << 20
    assert ":2:1" in refused(tmp_path, b"\xef\xbb\xbf[limits]\nmemry = 1\n").message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[network]\nallow = true", "[[files]]"),
        ("network = true", "[[files]]"),
        ('memory = "64MiB"', "[limits]"),
        ("[environment]\nA = 1", "[env]"),
        ("volumes = []", "[[dirs]]"),
        ('[[mounts]]\nguest = "/x"', "[[dirs]]"),
        ('argv = ["x"]', "args"),
        ("fils = []", "did you mean 'files'?"),
        ('[limits]\nmemry = "1GiB"', "did you mean 'memory'?"),
    ],
)
def test_keys_that_are_elsewhere(tmp_path: Path, text: str, hint: str) -> None:
    error = refused(tmp_path, text)
    assert error.code == "config-unknown-key"
    assert hint in error.hint


def test_no_hint_is_for_a_key_that_exists() -> None:
    from enarx.formats.config import Config
    from enarx.record import names

    assert not set(config_faults.ELSEWHERE) & {*names(Config), "limits", "secrets"}
