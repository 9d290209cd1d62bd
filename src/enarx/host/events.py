"""The host's log: one JSON object a line on stderr. It names Keeps, never what is in them."""

from __future__ import annotations

import json
import sys
import time


def log(event: str, *, level: str = "info", **fields: object) -> None:
    """One line. Nothing that a client sent may be among the fields but ids that the host made itself."""
    line = {"time": round(time.time(), 3), "level": level, "event": event, **fields}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


def log_bug(where: str, e: BaseException) -> None:
    """An exception that nobody expected: its type and place. Its text may hold anything, so it is left out."""
    trace = e.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    log("bug", level="error", where=where, type=type(e).__name__, place=place)
