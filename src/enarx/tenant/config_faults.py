"""Explanations of configuration files with a fault that the parser of TOML cannot name: another format, or another key.

`enarx.api.workloads` loads this module only for a file that is refused.
"""

from __future__ import annotations

from enarx.errors import UsageError

TEMPLATE = "enarx init writes a file to start from"

ELSEWHERE = {
    **dict.fromkeys(("network", "net", "sockets", "ports", "listen", "connect"), "sockets are entries of [[files]]"),
    **dict.fromkeys(("stdin", "stdout", "stderr"), "descriptors are entries of [[files]]"),
    **dict.fromkeys(("memory", "time", "timeout", "fuel", "disk", "compile", "output"), "limits belong under [limits]"),
    **dict.fromkeys(("mounts", "volumes", "mapdirs", "preopens"), "directories are entries of [[dirs]]"),
    **dict.fromkeys(("argv", "arguments", "command"), "arguments are the array args"),
    **dict.fromkeys(("environment", "variables"), "variables belong under [env]"),
}
"""Keys that people expect at the top of the file, and what the file has instead."""


def undecodable(path: str, data: bytes, at: int) -> UsageError:
    """The file is not UTF-8; `at` is the first wrong byte."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return UsageError("config-encoding", f"{path}: UTF-16, wanted UTF-8", hint="save it as UTF-8")
    return UsageError("config-encoding", f"{path}: not UTF-8 at byte {at}", hint="save it as UTF-8")


def refused(error: UsageError, text: str, path: str) -> UsageError:
    """The error of a file that was refused, with a better hint if the reason is known."""
    if error.code == "config-toml":
        other, hint = _format(text)
        message = f"{path}: {other}, wanted TOML ({error.message.rpartition(': ')[2]})" if other else error.message
        return UsageError(error.code, message, hint=hint or error.hint)
    key = error.message.rpartition("unknown key ")[2].strip("'")
    top = error.code == "config-unknown-key" and key in ELSEWHERE
    return UsageError(error.code, error.message, hint=ELSEWHERE[key]) if top else error


def _format(text: str) -> tuple[str, str]:
    """The format of a text that is not TOML, and a hint; empty if it is not known."""
    lines = [line.strip() for line in text.splitlines()[:100]]
    first = next((line for line in lines if line and not line.startswith("#")), "")
    if first.startswith(("{", "[{")):
        return "JSON", f'TOML is written: [limits], then memory = "64MiB" on a line of its own; {TEMPLATE}'
    if first.lower().startswith(("<!doctype", "<html", "<?xml", "<")):
        return "HTML or XML", "the download may have led to a web page: download the file itself"
    name, colon, _ = first.partition(":")
    if first == "---" or (colon and "=" not in first and name.replace("-", "").replace("_", "").isalnum()):
        return "YAML", f'TOML is written: [limits], then memory = "64MiB" on a line of its own; {TEMPLATE}'
    return "", ""
