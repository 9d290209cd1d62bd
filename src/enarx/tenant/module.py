"""The module of a workload, read on the tenant's side before anything is sent: would a Keep start it?

A mistake is named at once, instead of after a delivery and a compilation. The check accepts every module that a Keep runs;
what only a compiler can see is left to the Keep, which checks everything itself. The explanations are in
`module_files` and `module_faults`, which are loaded only for a module that has a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from enarx.errors import ParseError, UsageError
from enarx.formats import wasi, wasm
from enarx.formats.bounds import TABLE_COUNT, TABLE_ELEMENTS
from enarx.formats.package import MAX_WASM
from enarx.tenant.paths import read_file

COMMAND = ("_start", "")
"""The exports that a Keep runs. The second is the default export of older toolchains."""

UNKNOWN = 1000
"""Unknown imports that are kept for an explanation."""

Assemble = Callable[[bytes, str], bytes]
"""Turns the text format into a module; the second argument names it in errors. UsageError."""


def load(source: str | bytes, *, memory: int, assemble: Assemble | None = None) -> bytes:
    """The module in a file, or in bytes, which a Keep whose limit on memory is `memory` bytes would start. UsageError.

    `assemble` takes the text format. Without it, text is refused.
    """
    data, name = read(source, assemble=assemble)
    require(data, name, memory=memory)
    return data


def read(source: str | bytes, *, assemble: Assemble | None = None) -> tuple[bytes, str]:
    """The bytes of a module, assembled if it is text, and a name for messages. UsageError."""
    data, name = (source, "the module") if isinstance(source, bytes) else (_file(source), source)
    if len(data) > MAX_WASM:
        raise UsageError("wasm-size", f"{name}: over {MAX_WASM >> 20} MiB")
    if assemble is not None and is_text(data):
        data = assemble(data, name)
    return data, name


def _file(path: str) -> bytes:
    try:
        return read_file(path, MAX_WASM + 1, code="wasm-file")
    except UsageError as e:
        from enarx.tenant import module_files

        raise module_files.unreadable(path, e.message) from None


def is_text(data: bytes) -> bool:
    """Whether the bytes look like the text format: a parenthesis or a comment comes first."""
    return data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"(", b";;"))


def require(data: bytes, name: str, *, memory: int) -> None:
    """UsageError if a Keep would not start this module. `memory` is the Keep's limit in bytes; `name` is for messages."""
    if not data.startswith(wasm.HEADER):
        from enarx.tenant import module_files

        raise module_files.no_module(data, name)
    try:
        module = wasm.Module.from_bytes(data)
        _require_whole(module)
        _require_imports(module, name)
        _require_command(module, name)
        _require_memories(module, name, memory)
        _require_tables(module, name)
    except wasm.TooLong:
        return  # the Keep decides
    except ParseError as e:
        raise UsageError(
            "wasm-malformed",
            f"{name}: malformed WebAssembly at byte {e.offset}: {e.message.removeprefix('WebAssembly module: ')}",
            hint="the file is truncated or damaged: build it again, or download it again",
        ) from None


def _require_whole(module: wasm.Module) -> None:
    """ParseError for a file that was cut between two sections: the bodies of its functions, or its data, are missing."""
    for declared, defined in ((wasm.FUNCTION, wasm.CODE), (wasm.DATA_COUNT, wasm.DATA)):
        wanted, got = module.count(declared), module.count(defined)
        if declared in module.spans and wanted != got:
            first, second = wasm.SECTIONS[declared], wasm.SECTIONS[defined]
            message = f"the {first} section declares {wanted} entries, the {second} section has {got}"
            raise ParseError("wasm-cut", message, what="WebAssembly module", offset=len(module.data))


def _require_imports(module: wasm.Module, name: str) -> None:
    provided: dict[tuple[int, str], wasm.Import] = {}
    unknown: list[wasm.Import] = []
    count = 0
    for each in module.imports():
        if each.kind == "function" and each.type is not None and wasi.provided(each.module, each.name):
            provided.setdefault((each.type, each.name), each)
        else:
            count += 1
            unknown += [each] if count <= UNKNOWN else []
    if unknown:
        from enarx.tenant import module_faults

        raise module_faults.unknown_imports(module, name, unknown, count)
    _require_types(module, name, provided)


def _require_types(module: wasm.Module, name: str, provided: dict[tuple[int, str], wasm.Import]) -> None:
    """Compare the types of imported functions with those that a Keep provides. Later types are not read."""
    last = max((index for index, _ in provided), default=0)
    types = list(islice(module.types(), last + 1))
    if types and types[-1] is None:
        from enarx.tenant import module_faults

        raise module_faults.garbage_collected(name)
    for (index, function), each in provided.items():
        if index < len(types) and types[index] != wasi.type_of(function):
            from enarx.tenant import module_faults

            raise module_faults.other_type(name, each, types[index])


def _require_command(module: wasm.Module, name: str) -> None:
    for export, kind in module.exports():
        if export in COMMAND and kind == "function":
            return
    from enarx.tenant import module_faults

    raise module_faults.no_command(module, name)


def _require_memories(module: wasm.Module, name: str, limit: int) -> None:
    memories = list(islice(module.memories(), 2))
    if len(memories) > 1 or any(not _fits(each, limit) for each in memories):
        from enarx.tenant import module_faults

        raise module_faults.memory(name, memories, module.count(wasm.MEMORY), limit)


def _fits(memory: wasm.Limits, limit: int) -> bool:
    """Whether a Keep supports this kind of memory, and its limit of `limit` bytes leaves room for it."""
    plain = not memory.flags & ~wasm.HAS_MAXIMUM
    return plain and memory.minimum <= wasm.MAX_PAGES and memory.minimum * wasm.PAGE <= limit


def _require_tables(module: wasm.Module, name: str) -> None:
    for count, each in enumerate(module.tables(), 1):
        if each is None or each.flags & ~wasm.HAS_MAXIMUM or each.minimum > TABLE_ELEMENTS or count > TABLE_COUNT:
            from enarx.tenant import module_faults

            raise module_faults.table(name, each, module.count(wasm.TABLE))
