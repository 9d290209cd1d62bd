"""Guests that use more than stdio."""

from __future__ import annotations

import struct

import wasmtime


def secret_reader() -> bytes:
    """A module that opens `key` in the first preopened directory (descriptor 3) and prints it."""
    return bytes(
        wasmtime.wat2wasm("""(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "key")
  (func (export "_start")
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 3) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))
      (then (call $exit (i32.const 72))))
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 1000))
    (if (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 16)) (then (call $exit (i32.const 73))))
    (i32.store (i32.const 4) (i32.load (i32.const 16)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))""")
    )


def entry(kind: str, path: str, size: int = 0, *, at: int = 0) -> bytes:
    """An order for `maker`, in the output directory number `at`.

    The kinds: `d` makes a directory, `f` a file of `size` zeros, `w` a file that contains its path, `l` a symbolic link, `x` exits
    with `size`, `t` traps.
    """
    name = path.encode()
    return b"%c%c%s%s" % (ord(kind), 3 + at, struct.pack("<HQ", len(name), size), name)


def maker() -> bytes:
    """A module that makes what its stdin orders (`entry`), and exits with the error number of the first call that fails."""
    return bytes(
        wasmtime.wat2wasm("""(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink" (func $link (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 256)
  (func $must (param $error i32) (if (local.get $error) (then (call $exit (local.get $error)))))
  (func $file (param $kind i32) (param $at i32) (param $size i64) (param $path i32) (param $length i32) (local $fd i32)
    (call $must (call $open (local.get $at) (i32.const 0) (local.get $path) (local.get $length) (i32.const 9)
                            (i64.const 0x400040) (i64.const 0) (i32.const 0) (i32.const 8)))
    (local.set $fd (i32.load (i32.const 8)))
    (if (i32.eq (local.get $kind) (i32.const 119))
      (then
        (i32.store (i32.const 0) (local.get $path))
        (i32.store (i32.const 4) (local.get $length))
        (call $must (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16))))
      (else (call $must (call $size (local.get $fd) (local.get $size)))))
    (call $must (call $close (local.get $fd))))
  (func (export "_start")
    (local $end i32) (local $at i32) (local $kind i32) (local $fd i32) (local $length i32) (local $size i64)
    (local.set $at (i32.const 65536))
    (local.set $end (local.get $at))
    (block $read_all (loop $more
      (i32.store (i32.const 0) (local.get $end))
      (i32.store (i32.const 4) (i32.const 65536))
      (call $must (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
      (br_if $read_all (i32.eqz (i32.load (i32.const 16))))
      (local.set $end (i32.add (local.get $end) (i32.load (i32.const 16))))
      (br $more)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $kind (i32.load8_u (local.get $at)))
      (local.set $fd (i32.load8_u offset=1 (local.get $at)))
      (local.set $length (i32.load16_u offset=2 (local.get $at)))
      (local.set $size (i64.load offset=4 (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 12)))
      (if (i32.eq (local.get $kind) (i32.const 120)) (then (call $exit (i32.wrap_i64 (local.get $size)))))
      (if (i32.eq (local.get $kind) (i32.const 116)) (then (unreachable)))
      (if (i32.eq (local.get $kind) (i32.const 100))
        (then (call $must (call $mkdir (local.get $fd) (local.get $at) (local.get $length)))))
      (if (i32.eq (local.get $kind) (i32.const 108))
        (then (call $must (call $link (local.get $at) (local.get $length) (local.get $fd)
                                      (local.get $at) (local.get $length)))))
      (if (i32.or (i32.eq (local.get $kind) (i32.const 102)) (i32.eq (local.get $kind) (i32.const 119)))
        (then (call $file (local.get $kind) (local.get $fd) (local.get $size) (local.get $at) (local.get $length))))
      (local.set $at (i32.add (local.get $at) (local.get $length)))
      (br $next)))))""")
    )


def reporter() -> bytes:
    """A module that writes `report.txt` to its first directory."""
    return bytes(
        wasmtime.wat2wasm("""(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "report.txt")
  (data (i32.const 200) "all is well\\n")
  (func (export "_start")
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 10) (i32.const 9)
                    (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 8))
      (then (call $exit (i32.const 72))))
    (i32.store (i32.const 0) (i32.const 200))
    (i32.store (i32.const 4) (i32.const 12))
    (if (call $write (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 16)) (then (call $exit (i32.const 73))))))""")
    )
