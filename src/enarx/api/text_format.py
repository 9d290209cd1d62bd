"""Modules in the text format (.wat), assembled by wasmtime.

wasmtime comes with the extra `enarx[host]`, as running Keeps needs it. Nothing else on the tenant's side does.
"""

from __future__ import annotations

from enarx.errors import UsageError

MAX_TEXT = 16 << 20
"""Bytes of a text. Assembling takes several times as much memory."""


def assemble(text: bytes, name: str) -> bytes:
    """The module that a text stands for. UsageError, with line and column of the first error in it."""
    if len(text) > MAX_TEXT:
        hint = "assemble it first: wasm-tools parse"
        raise UsageError("wat-size", f"{name}: over {MAX_TEXT >> 20} MiB of WebAssembly text", hint=hint)
    try:
        source = text.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise UsageError("wat-encoding", f"{name}: WebAssembly text that is not UTF-8 at byte {e.start}") from None
    try:
        import wasmtime
    except ImportError:
        raise UsageError(
            "wat-assembler",
            f"{name}: WebAssembly text, which takes wasmtime to assemble",
            hint="pip install 'enarx[host]'; or assemble it first, for example with wasm-tools parse",
        ) from None
    try:
        return bytes(wasmtime.wat2wasm(source))
    except wasmtime.WasmtimeError as e:
        raise UsageError(
            "wat-syntax", _explained(str(e), name), hint="the text format of WebAssembly is wanted"
        ) from None


def _explained(message: str, name: str) -> str:
    """The assembler's message, whose second line is a place: `--> <anon>:1:9`."""
    what, _, rest = message.strip().partition("\n")
    place = rest.partition("<anon>:")[2].partition("\n")[0].strip()
    return f"{name}:{place}: {what}" if place else f"{name}: {what}"
