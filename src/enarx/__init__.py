"""Enarx: WebAssembly workloads in Keeps, on machines that their owner does not trust.

    import enarx

    with enarx.run("hello.wasm", simulate=True) as job:
        result = job.wait()
    print(result.stdout.decode(), result.exit_code)

docs/guides/python.md has more. Importing this loads nothing else: each name is loaded when it is first used. Type checkers
read `__init__.pyi`.
"""

VERSION = "0.1.0"

PUBLIC = {
    "enarx.api.sync": ("attach", "deploy", "logs", "run"),
    "enarx.api.data": ("Contribution", "Preview"),
    "enarx.api.data_sync": ("contribute", "preview", "receive"),
    "enarx.api.jobs": ("Job", "Result"),
    "enarx.api.keeps": ("Logs",),
    "enarx.api.start": ("Hooks",),
    "enarx.tenant.connection": ("Endpoint",),
    "enarx.tenant.invitations": ("Invitation",),
    "enarx.formats.config": ("Config", "Dir"),
    "enarx.formats.parties": ("Provider", "Recipient"),
    "enarx.errors": (
        *("AppraisalError", "BackendError", "DeliveryError", "EnarxError"),
        *("ParseError", "UnavailableError", "UsageError", "VerificationError"),
    ),
}
"""The public names by their modules; the module `enarx.api.aio` comes on top, as `aio`."""

__all__ = ["VERSION", "aio", *(name for names in PUBLIC.values() for name in names)]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "aio":
        return import_module("enarx.api.aio")
    for module, names in PUBLIC.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'enarx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
