"""Finds out which layers of the sandbox this kernel grants this user: a child process applies all of them, and exits.

Only `enarx platform` does so, on Linux. A Keep does not contain this module.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from enarx.keep.sandbox import Layer

_NONE: frozenset[str] = frozenset()


def probe() -> tuple[Layer, ...]:
    """Return every layer, in the order of LAYERS, as it would be in a Keep. This process stays as it is."""
    from enarx.keep.sandbox import LAYERS

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _report(writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        layers = {layer.name: layer for layer in map(_parsed, file)}
    os.waitpid(child, 0)
    return tuple(layers.get(name) or _unknown(name) for name in LAYERS)


def _report(writer: int) -> None:
    """Apply the layers in the child. Report each group at once, since a later layer might kill the process."""
    try:
        import resource

        from enarx.keep.sandbox import RUNNER, kernel
        from enarx.keep.sandbox.confinement import try_confine, try_forbid_new_code
        from enarx.keep.sandbox.namespaces import PAGE, try_isolate

        # Commands are not dumpable, and /proc/self of such a process belongs to root. A zygote is dumpable.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        _tell(writer, try_isolate(_NONE, PAGE))
        _tell(writer, try_confine(RUNNER, _NONE, {resource.RLIMIT_CORE: 0}, (), ()))
        _tell(writer, (try_forbid_new_code(_NONE),))
    finally:
        os._exit(0)


def _tell(writer: int, layers: tuple[Layer, ...]) -> None:
    for layer in layers:
        os.write(writer, f"{layer.name}\t{int(layer.on)}\t{layer.detail}\t{layer.remedy}\n".encode())


def _parsed(line: str) -> Layer:
    from enarx.keep.sandbox import Layer

    name, on, detail, remedy = line.rstrip("\n").split("\t")
    return Layer(name=name, on=on == "1", detail=detail, remedy=remedy)


def _unknown(name: str) -> Layer:
    from enarx.keep.sandbox.layers import NEEDS, NEEDS_NAMESPACE, Layer

    remedy = NEEDS.get(name, NEEDS_NAMESPACE)
    return Layer(name=name, on=False, detail="the trial ended before this layer was reported", remedy=remedy)
