"""The daemon's log: one JSON object a line on stderr. It names Keeps, never what is in them."""

from __future__ import annotations

import json
import sys
import time


def log(event: str, *, level: str = "info", **fields: object) -> None:
    """One line. Nothing that a client sent may be among the fields but ids that the daemon made itself."""
    line = {"time": round(time.time(), 3), "level": level, "event": event, **fields}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()
