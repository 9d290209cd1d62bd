"""The host's log: one JSON object per line on stderr. It names Keeps and never their content."""

from __future__ import annotations

import json
import sys
import time


def log(event: str, *, level: str = "info", **fields: object) -> None:
    """Write one line. Of what clients send, only ids that the host made itself may be in the fields."""
    line = {"time": round(time.time(), 3), "level": level, "event": event, **fields}
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


def log_bug(where: str, e: BaseException) -> None:
    """Log an unexpected exception by type and place. Its text is left out, because it may contain anything."""
    trace = e.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    log("bug", level="error", where=where, type=type(e).__name__, place=place)
