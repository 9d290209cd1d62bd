"""Explanations of files that are not core modules: another path, another format, a component.

Each function returns the UsageError to raise. `enarx.tenant.module` loads this file only for such a fault; here the work may
take longer, and guess.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import islice

from enarx.errors import UsageError
from enarx.formats import wasi, wasm

TARGETS = "Rust: --target wasm32-wasip1; Go: GOOS=wasip1 GOARCH=wasm; C: wasi-sdk, or zig cc -target wasm32-wasi"
"""How to build a core module with WASI preview 1."""

BUILD = f"build it for WASI preview 1 ({TARGETS})"
AGAIN = "build it again, or download it again"

MAX_NAMES = 10_000
"""Names of a directory that are read to suggest one."""

SHOWN = 5
"""Names that a message lists."""


def unreadable(path: str, message: str) -> UsageError:
    """The path does not lead to a file that can be read; `message` says why."""
    scheme, is_url, rest = path.partition("://")
    if is_url and scheme.replace("+", "").replace("-", "").isalnum():
        return _url(path, scheme.lower(), rest)
    if os.path.isdir(path):
        names = _modules_in(path)
        hint = f"name the module in it: {', '.join(os.path.join(path, n) for n in names)}" if names else BUILD
        return UsageError("wasm-file", f"{path}: a directory, wanted a WebAssembly module", hint=hint)
    if os.path.exists(path) and not os.path.isfile(path):
        hint = "pipe the module in: give - as its name"
        return UsageError("wasm-file", f"{path}: not a regular file", hint=hint)
    return UsageError("wasm-file", message, hint=_near(path))


def _url(url: str, scheme: str, rest: str) -> UsageError:
    hint = "download it, and compare its SHA-256 with one that you trust; then give its path"
    if scheme == "file":
        hint = f"give the path: {rest}"
    elif scheme == "oci":
        hint = "pull it from its registry first, for example with oras pull; then give its path"
    return UsageError("wasm-url", f"{url}: a URL, wanted the path of a WebAssembly module", hint=hint)


def _modules_in(directory: str) -> list[str]:
    return sorted(name for name in _names(directory) if name.endswith((".wasm", ".wat")))[:SHOWN]


def _names(directory: str) -> list[str]:
    try:
        with os.scandir(directory or ".") as entries:
            return [entry.name for entry in islice(entries, MAX_NAMES)]
    except OSError:
        return []


def _near(path: str) -> str:
    """A hint with the name in the same directory that is nearest to a missing one."""
    directory, name = os.path.split(path)
    if os.path.lexists(path):
        return ""
    if directory and not os.path.isdir(directory):
        return f"the directory {directory} does not exist"
    names = [each for each in _names(directory) if each.endswith((".wasm", ".wat"))]
    near = nearest(name, names) or nearest(f"{name}.wasm", names)
    return f"did you mean {os.path.join(directory, near)}?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is nearest to this one; empty if none is near."""
    import difflib

    return next(iter(difflib.get_close_matches(word[:255], known, n=1)), "")


def _starts(*prefixes: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(prefixes)


def _is_text(data: bytes) -> bool:
    start = data[:1024]
    try:
        text = start.decode()
    except UnicodeDecodeError as e:
        if e.start < len(start) - 3:  # it may only have cut the last character
            return False
        text = start[: e.start].decode()
    return all(c.isprintable() or c in "\t\r\n\f\ufeff" for c in text)


COMPRESSED = "decompress it first"
NATIVE = f"a program for this kind of machine cannot run in a Keep: {BUILD}"
FORMATS: tuple[tuple[Callable[[bytes], bool], str, str], ...] = (
    (lambda data: not data, "an empty file", AGAIN),
    (_starts(b"\x1f\x8b"), "gzip data", f"{COMPRESSED}: gunzip"),
    (_starts(b"\x28\xb5\x2f\xfd"), "zstd data", f"{COMPRESSED}: unzstd"),
    (_starts(b"\xfd7zXZ\0"), "xz data", f"{COMPRESSED}: unxz"),
    (_starts(b"BZh"), "bzip2 data", f"{COMPRESSED}: bunzip2"),
    (_starts(b"PK\3\4", b"PK\5\6"), "a ZIP archive", "unpack it, and give the module in it"),
    (lambda data: data[257:262] == b"ustar", "a tar archive", "unpack it, and give the module in it"),
    (
        lambda data: data.startswith(b"\x7fELF") and b".wasmtime." in data,
        "a module that wasmtime has compiled",
        "give the module from which it was compiled: a Keep compiles by itself",
    ),
    (_starts(b"\x7fELF"), "an ELF file", NATIVE),
    (_starts(b"MZ"), "a Windows program", NATIVE),
    (
        _starts(b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xfe\xed\xfa\xce"),
        "a Mach-O file",
        NATIVE,
    ),
    (_starts(b"\xca\xfe\xba\xbe"), "a Mach-O file or a Java class", NATIVE),
    (_starts(b"!<arch>\n"), "a static library", "link it into a program"),
    (_starts(b"BC\xc0\xde"), "LLVM bitcode", "link it into a program, without -flto=... and -emit-llvm"),
    (_starts(b"#!"), "a script", "run its interpreter, built for WASI, with the script as an argument and in --dir"),
    (_starts(b"version https://git-lfs"), "a Git LFS pointer", "fetch the file itself: git lfs pull"),
    (
        lambda data: data[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")),
        "an HTML page",
        "the download led to a web page: download the file itself",
    ),
    (_starts(b"\xff\xfe", b"\xfe\xff"), "UTF-16 text", f"wanted the binary format; {BUILD}"),
    (_is_text, "text", f"if it is source code, compile it; {BUILD}"),
)
"""Other formats that people pass by mistake: a test for each, its name, and what to do."""


PROGRAM = "pass the program's directory with --dir, and its path after --"
SOURCES = (
    ((".py",), f"run CPython, built for wasm32-wasip1, as the module; {PROGRAM}"),
    ((".js", ".mjs", ".cjs"), f"run QuickJS, built for wasm32-wasip1, as the module; {PROGRAM}"),
    ((".rs", "Cargo.toml"), "compile it: cargo build --target wasm32-wasip1, or rustc --target wasm32-wasip1"),
    ((".go", "go.mod"), "compile it: GOOS=wasip1 GOARCH=wasm go build -o program.wasm"),
    ((".c", ".cc", ".cpp"), "compile it: zig cc -target wasm32-wasi -o program.wasm, or with wasi-sdk"),
    ((".zig",), "compile it: zig build-exe -target wasm32-wasi"),
    (
        (".ts",),
        "AssemblyScript: compile it with @assemblyscript/wasi-shim; JavaScript: run QuickJS, built for wasm32-wasip1",
    ),
    ((".toml",), "name the module here; --config names the configuration"),
)
"""What to do with source code, by the end of its file name."""


def no_module(data: bytes, name: str) -> UsageError:
    """The bytes do not start as a core module does."""
    if data.startswith(wasm.MAGIC):
        return _other_version(data, name)
    if wasm.MAGIC.startswith(data[:4]) and data:
        return UsageError("wasm-malformed", f"{name}: truncated: {len(data)} bytes", hint=AGAIN)
    for matches, what, hint in FORMATS:
        if matches(data):
            hint = next((h for suffixes, h in SOURCES if what == "text" and name.endswith(suffixes)), hint)
            return UsageError("wasm-magic", f"{name}: {what}, wanted a WebAssembly module", hint=hint)
    return UsageError("wasm-magic", f"{name}: not a WebAssembly module in the binary format", hint=BUILD)


def _other_version(data: bytes, name: str) -> UsageError:
    if len(data) < len(wasm.HEADER):
        return UsageError("wasm-malformed", f"{name}: truncated: {len(data)} bytes", hint=AGAIN)
    if data[6:8] == wasm.COMPONENT:
        message = f"{name}: a WebAssembly component, wanted a core module with WASI preview 1"
        return UsageError("wasm-component", message, hint=_component(data))
    version = int.from_bytes(data[4:8], "little")
    return UsageError("wasm-version", f"{name}: WebAssembly of version {version:#x}, wanted 1", hint=BUILD)


def _component(data: bytes) -> str:
    if b"componentize-py" in data:
        return (
            "Python components cannot run in a Keep yet: run CPython, built for wasm32-wasip1, as the module, "
            "and pass the program with --dir"
        )
    if b"ComponentizeJS" in data or b"componentize-js" in data:
        return (
            "JavaScript components cannot run in a Keep yet: run QuickJS, built for wasm32-wasip1, as the module, "
            "and pass the program with --dir"
        )
    hint = f"components cannot run in a Keep yet: {BUILD}"
    if wasi.PREVIEW1.encode() in data:
        hint += "; its core module may run by itself: wasm-tools component unbundle --module-dir DIR"
    return hint
