"""The synchronous API: what `start` describes, started at once in the caller's thread."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from enarx.api import start
from enarx.api.jobs import Job
from enarx.api.keeps import logs
from enarx.api.start import Start

__all__ = ["attach", "deploy", "logs", "run"]

P = ParamSpec("P")


def _started(describe: Callable[P, Start]) -> Callable[P, Job]:
    @functools.wraps(describe)
    def begin(*args: P.args, **kwargs: P.kwargs) -> Job:
        return describe(*args, **kwargs).start()

    return begin


run = _started(start.run)
deploy = _started(start.deploy)
attach = _started(start.attach)
