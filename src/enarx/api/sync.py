"""The synchronous API: what `describe` describes, started at once in the caller's thread."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from enarx.api import describe
from enarx.api.jobs import Job
from enarx.api.keeps import logs
from enarx.api.start import Start

__all__ = ["attach", "deploy", "logs", "run"]

P = ParamSpec("P")


def _started(description: Callable[P, Start]) -> Callable[P, Job]:
    @functools.wraps(description)
    def begin(*args: P.args, **kwargs: P.kwargs) -> Job:
        return description(*args, **kwargs).start()

    return begin


run = _started(describe.run)
deploy = _started(describe.deploy)
attach = _started(describe.attach)
