"""Explanations of core modules that no Keep starts: the fault, and what to do about it.

Each function returns the UsageError to raise. `enarx.tenant.module` loads this file only for a module that has a fault; here the
work may take longer, and guess at the toolchain that made the module.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from enarx.errors import ParseError, UsageError
from enarx.formats import wasi, wasm
from enarx.formats.bounds import MIB, TABLE_COUNT, TABLE_ELEMENTS
from enarx.tenant.module_files import BUILD, SHOWN, nearest

LONG = 60
"""Characters of a name that a message shows."""


def unknown_imports(module: wasm.Module, name: str, unknown: list[wasm.Import], count: int) -> UsageError:
    """The module imports what no Keep provides; `unknown` are the first of `count` such imports."""
    if any(each.limits is not None and each.kind == "memory" and each.limits.flags & wasm.SHARED for each in unknown):
        return _threads(name)
    listed = ", ".join(_named(each) for each in unknown[:SHOWN])
    more = f" and {count - SHOWN} more" if count > SHOWN else ""
    message = f"{name}: imports {listed}{more}, which Keeps do not provide"
    return UsageError("wasm-import", message, hint=_toolchain(module, unknown))


def _named(each: wasm.Import) -> str:
    name = ".".join(part if len(part) <= LONG else f"{part[:LONG]}..." for part in (each.module, each.name))
    return name if each.kind == "function" else f"the {each.kind} {name}"


def _threads(name: str) -> UsageError:
    return UsageError(
        "wasm-feature",
        f"{name}: needs threads (a shared memory), which Keeps do not support",
        hint="build it without threads: for wasm32-wasip1, not wasm32-wasip1-threads; C: without -pthread",
    )


EMSCRIPTEN = ("emscripten_", "_emscripten_", "__syscall_", "invoke_", "__cxa_", "_embind_", "_emval_", "__assert_fail")
OBJECT = ("__linear_memory", "__stack_pointer", "__indirect_function_table")
RUST = "build it for wasm32-wasip1, without wasm-bindgen: cargo build --target wasm32-wasip1"
GO = "it is built for JavaScript (GOOS=js): build it with GOOS=wasip1 GOARCH=wasm; TinyGo: -target=wasip1"


def _toolchain(module: wasm.Module, unknown: list[wasm.Import]) -> str:
    """What to do about unknown imports, by the toolchain that they point to."""
    modules = {each.module for each in unknown}
    env = {each.name for each in unknown if each.module == "env"}
    if modules & {"gojs", "go"}:
        return GO
    if any(m.startswith(("__wbindgen", "wbg")) or m.endswith("_bg.js") for m in modules):
        return RUST
    if env & set(OBJECT):
        dynamic = any(custom.startswith("dylink") for custom, _, _ in module.customs)
        what = "a dynamic library: link it statically" if dynamic else "an object file: link it"
        return f"it is {what} into a program"
    if any(_is_assemblyscript_abort(module, each) for each in unknown):
        return (
            "it is built by AssemblyScript for JavaScript: "
            "npm install @assemblyscript/wasi-shim, then asc --config node_modules/@assemblyscript/wasi-shim/asconfig.json"
        )
    if modules == {"a"} or any(each.startswith(EMSCRIPTEN) for each in env):
        return (
            "it is built by Emscripten for JavaScript: build it with wasi-sdk, or zig cc -target wasm32-wasi; "
            "with emcc, -sSTANDALONE_WASM is enough for some programs"
        )
    if any(m.startswith("javy") for m in modules):
        return "it needs Javy's plugin at run time: build it without dynamic linking"
    if any(m.startswith("wasix_") for m in modules):
        return f"it is built for WASIX: {BUILD}"
    if any(m.startswith("wasi:") for m in modules):
        return f"it is built for WASI preview 2: {BUILD}"
    if any(each.module == "wasi" and each.name == "thread-spawn" for each in unknown):
        return _threads("").hint
    return _undefined(unknown[0])


def _is_assemblyscript_abort(module: wasm.Module, each: wasm.Import) -> bool:
    """AssemblyScript's abort takes message, file, line and column; that of other languages takes nothing."""
    if (each.module, each.name) != ("env", "abort") or each.type is None:
        return False
    try:
        return next(islice(module.types(), each.type, None), None) == (b"\x7f" * 4, b"")
    except (ParseError, wasm.TooLong):
        return False


def _undefined(each: wasm.Import) -> str:
    if each.module == "env":
        return f"it is an undefined symbol: link the library that defines it, or {BUILD}"
    if each.module not in wasi.MODULES:
        return "it is made for a host with functions of its own, and Keeps provide WASI preview 1 alone: build it without them"
    if each.name.startswith("sock_"):
        return "Keeps have no sockets yet: build it without them"
    if each.kind != "function":
        return f"WASI preview 1 has functions alone; {BUILD}"
    near = nearest(each.name, wasi.FUNCTIONS)
    return f"did you mean {near}?" if near else "WASI preview 1 has no such function"


TYPES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128", 0x70: "funcref", 0x6F: "externref"}


def _signature(type: tuple[bytes, bytes] | None) -> str:
    parameters, results = (", ".join(TYPES.get(t, f"{t:#x}") for t in each[:20]) for each in type or (b"", b""))
    return f"({parameters}) -> ({results})"


def other_type(name: str, each: wasm.Import, got: tuple[bytes, bytes] | None) -> UsageError:
    """The module imports a WASI function with a type that it does not have."""
    wanted = _signature(wasi.type_of(each.name))
    message = f"{name}: imports {_named(each)} as {_signature(got)}, WASI preview 1 defines it as {wanted}"
    return UsageError("wasm-import", message, hint="correct its declaration in the program")


def garbage_collected(name: str) -> UsageError:
    """The module has types of the garbage collection proposal."""
    return UsageError(
        "wasm-feature",
        f"{name}: needs garbage-collected types, which Keeps do not support",
        hint="languages that rely on them, such as Kotlin, Dart and Java, cannot run in a Keep yet",
    )


def no_command(module: wasm.Module, name: str) -> UsageError:
    """The module exports no function _start."""
    functions: list[str] = []
    start = ""
    count = 0
    for export, kind in module.exports():
        if kind == "function":
            count += 1
            functions += [export[:100]] if len(functions) < SHOWN or export == "_initialize" else []
        elif export == "_start":
            start = f"_start is a {kind}; "
    listed = ", ".join(functions[:SHOWN]) if functions else "no function at all"
    more = f" and {count - SHOWN} more" if count > SHOWN else ""
    message = f"{name}: no program: {start}it exports {listed}{more}, wanted the function _start"
    return UsageError("wasm-start", message, hint=_as_command(functions))


def _as_command(functions: Iterable[str]) -> str:
    command = (
        "Rust: fn main in a binary crate, not crate-type cdylib; C: define main; AssemblyScript: --exportStart _start"
    )
    if "_initialize" in functions:
        return (
            "it is a library (a WASI reactor): build a program; C: without -mexec-model=reactor; "
            "Go: without -buildmode=c-shared; Rust: not crate-type cdylib"
        )
    return f"build it as a program ({command})"


def memory(name: str, memories: list[wasm.Limits], count: int, limit: int) -> UsageError:
    """The module's memory is of a kind that Keeps do not support, or larger than the limit in bytes."""
    if count > 1:
        return UsageError(
            "wasm-feature", f"{name}: has {count} memories, Keeps support one", hint="build it with one memory"
        )
    each = memories[0]
    if each.flags & wasm.SHARED:
        return _threads(name)
    if each.flags & wasm.WIDE:
        message = f"{name}: needs a 64-bit memory (memory64), which Keeps do not support"
        return UsageError("wasm-feature", message, hint="build it for wasm32")
    if each.flags & wasm.CUSTOM_PAGE:
        message = f"{name}: needs memory pages of another size than 64 KiB, which Keeps do not support"
        return UsageError("wasm-feature", message, hint="build it with pages of 64 KiB")
    if each.minimum > wasm.MAX_PAGES:
        message = f"{name}: needs {each.minimum} pages of memory, at most {wasm.MAX_PAGES} (4 GiB)"
        return UsageError("wasm-malformed", message, hint="build it with a smaller initial memory")
    needed = -(-each.minimum * wasm.PAGE // MIB)
    message = f"{name}: needs {needed} MiB of memory at least, limits.memory is {limit / MIB:.4g} MiB"
    return UsageError("wasm-memory", message, hint=f'memory = "{needed}MiB" under [limits], or --memory {needed}MiB')


def table(name: str, each: wasm.Limits | None, count: int) -> UsageError:
    """A table of the module is of a kind that Keeps do not support, or too large, or there are too many tables."""
    if each is None:
        message = f"{name}: needs tables with initializers, which Keeps do not support"
        return UsageError("wasm-feature", message, hint="build it without typed function references")
    if each.flags & ~wasm.HAS_MAXIMUM:
        message = f"{name}: needs a 64-bit or shared table, which Keeps do not support"
        return UsageError("wasm-feature", message, hint="build it for wasm32, without threads")
    if each.minimum > TABLE_ELEMENTS:
        message = f"{name}: needs a table of {each.minimum} elements, Keeps allow {TABLE_ELEMENTS}"
        return UsageError("wasm-table", message, hint="build it with fewer functions that are called by pointer")
    message = f"{name}: has {count} tables, Keeps allow {TABLE_COUNT}"
    return UsageError("wasm-table", message, hint=f"build it with at most {TABLE_COUNT} tables")
