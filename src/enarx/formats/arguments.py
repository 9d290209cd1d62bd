"""Parts of a configuration as a command line has them: NAME=VALUE and HOST::GUEST."""

from __future__ import annotations

from enarx.errors import UsageError
from enarx.formats.config import Config, Dir


def parse_env(text: str) -> tuple[str, str]:
    """Name and value of NAME=VALUE; UsageError, which never contains the value."""
    name, given, value = text.partition("=")
    try:
        if not given:
            raise UsageError("env", "a variable without =")
        Config().replace(env=((name, value),))
    except UsageError as e:
        raise UsageError("env", e.message, hint="as NAME=VALUE") from None
    return name, value


def parse_dir(text: str) -> Dir:
    """The directory that HOST::GUEST or HOST::GUEST:rw stands for; UsageError."""
    host, given, guest = text.rpartition("::")
    guest, mode = (guest[:-3], guest[-2:]) if guest.endswith((":ro", ":rw")) else (guest, "ro")
    directory = Dir(guest=guest, host=host, mode=mode)
    try:
        if not given or not host:
            raise UsageError("dir", f"{text!r} does not say both places, wanted HOST::GUEST")
        Config().replace(dirs=(directory,))
    except UsageError as e:
        raise UsageError(
            "dir", e.message, hint="as data::/data, or data::/data:rw for a copy that the workload can change"
        ) from None
    return directory
