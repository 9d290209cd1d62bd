"""Runs one scenario in a process of its own, started with `python -I -S` as a Keep is.

    python -I -S -c "..." PATHS SCENARIO USER ARGUMENTS...        prints what it found as one line of JSON

USER is 'self' or 'nobody' (root drops to it first). Nobody may read the interpreter's files then, so all is imported.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from inside import order, rules

from enarx.keep.sandbox import kernel

SCENARIOS: dict[str, Callable[..., Any]] = {
    "whole": order.whole,
    "keeper": order.work_of_keeper,
    "dangerous": rules.dangerous,
    "gentle": rules.gentle,
    "foreign": rules.foreign,
    "scopes": rules.scopes,
    "without": rules.without,
    "refused": rules.refused,
    "probe": rules.probed,
    "resized": rules.resized,
    "misnamed": rules.misnamed,
    "crowd": rules.crowd,
}


def main() -> None:
    name, user, *arguments = sys.argv[2:]
    if user == "nobody":
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    print(json.dumps(SCENARIOS[name](*arguments)))
