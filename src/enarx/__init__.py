"""Enarx: WebAssembly workloads in Keeps, on machines that their owner does not trust.

    import enarx

    with enarx.run("hello.wasm", simulate=True) as job:
        result = job.wait()
    print(result.stdout.decode(), result.exit_code)

docs/guides/python.md has more. Importing this loads nothing else: each name below is loaded when it is first used.
"""

VERSION = "0.1.0"

_PUBLIC = {
    "run": "enarx.api.sync",
    "deploy": "enarx.api.sync",
    "attach": "enarx.api.sync",
    "logs": "enarx.api.sync",
    "Job": "enarx.api.jobs",
    "Result": "enarx.api.jobs",
    "Logs": "enarx.api.keeps",
    "Hooks": "enarx.api.start",
    "Endpoint": "enarx.tenant.connection",
    "Config": "enarx.formats.config",
    "Dir": "enarx.formats.config",
    "EnarxError": "enarx.errors",
    "ParseError": "enarx.errors",
    "VerificationError": "enarx.errors",
    "AppraisalError": "enarx.errors",
    "DeliveryError": "enarx.errors",
    "UnavailableError": "enarx.errors",
    "BackendError": "enarx.errors",
    "UsageError": "enarx.errors",
}
"""Where each public name comes from; `aio` is a module."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.api import aio
    from enarx.api.jobs import Job, Result
    from enarx.api.keeps import Logs
    from enarx.api.start import Hooks
    from enarx.api.sync import attach, deploy, logs, run
    from enarx.errors import (
        AppraisalError,
        BackendError,
        DeliveryError,
        EnarxError,
        ParseError,
        UnavailableError,
        UsageError,
        VerificationError,
    )
    from enarx.formats.config import Config, Dir
    from enarx.tenant.connection import Endpoint

__all__ = [
    "VERSION",
    "AppraisalError",
    "BackendError",
    "Config",
    "DeliveryError",
    "Dir",
    "EnarxError",
    "Endpoint",
    "Hooks",
    "Job",
    "Logs",
    "ParseError",
    "Result",
    "UnavailableError",
    "UsageError",
    "VerificationError",
    "aio",
    "attach",
    "deploy",
    "logs",
    "run",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "aio":
        return import_module("enarx.api.aio")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'enarx' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
