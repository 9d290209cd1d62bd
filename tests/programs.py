"""Small guests in the text format, for tests that need to control every call of a guest."""

from __future__ import annotations

import functools

import wasmtime

_PRELUDE = """
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func $write (param $fd i32) (param $at i32) (param $size i32)
    (local $done i32)
    (loop $more
      (i32.store (i32.const 0) (i32.add (local.get $at) (local.get $done)))
      (i32.store (i32.const 4) (i32.sub (local.get $size) (local.get $done)))
      (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $proc_exit (i32.const 70))))
      (local.set $done (i32.add (local.get $done) (i32.load (i32.const 8))))
      (br_if $more (i32.lt_u (local.get $done) (local.get $size)))))
  (func $read (param $at i32) (param $size i32) (result i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $size))
    (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $proc_exit (i32.const 71))))
    (i32.load (i32.const 8)))
  (func $sleep (param $nanoseconds i64)
    (i64.store (i32.const 64) (i64.const 0))
    (i64.store (i32.const 72) (i64.const 0))
    (i64.store (i32.const 80) (i64.const 1))
    (i64.store (i32.const 88) (local.get $nanoseconds))
    (i64.store (i32.const 96) (i64.const 0))
    (i64.store (i32.const 104) (i64.const 0))
    (i64.store (i32.const 112) (i64.const 0))
    (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8))))
"""

BODIES = {
    "hello": """
      (data (i32.const 1024) "hello\\n")
      (func (export "_start") (call $write (i32.const 1) (i32.const 1024) (i32.const 6)))""",
    "exit31": '(func (export "_start") (call $proc_exit (i32.const 31)))',
    "trap": """
      (func $innermost (unreachable)) (func $middle (call $innermost)) (func (export "_start") (call $middle))""",
    "spin": '(func (export "_start") (loop $l (br $l)))',
    "sleep": '(func (export "_start") (loop $l (call $sleep (i64.const 3600000000000)) (br $l)))',
    "cat": """
      (func (export "_start") (local $n i32)
        (block $end (loop $more
          (local.set $n (call $read (i32.const 4096) (i32.const 131072)))
          (br_if $end (i32.eqz (local.get $n)))
          (call $write (i32.const 1) (i32.const 4096) (local.get $n))
          (br $more))))""",
    "hog": """
      (func (export "_start")
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (unreachable))""",
    "hog-handled": """
      (data (i32.const 1024) "refused\\n")
      (func (export "_start")
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (call $write (i32.const 1) (i32.const 1024) (i32.const 8)))""",
    "both": """
      (data (i32.const 1024) "out\\nerr\\n")
      (func (export "_start")
        (call $write (i32.const 1) (i32.const 1024) (i32.const 4))
        (call $write (i32.const 2) (i32.const 1028) (i32.const 4)))""",
    "flood": """
      (func (export "_start") (loop $more (call $write (i32.const 1) (i32.const 4096) (i32.const 65536)) (br $more)))""",
    "slow": """
      (data (i32.const 1024) "tick\\n")
      (func (export "_start") (local $n i32)
        (loop $more
          (call $write (i32.const 1) (i32.const 1024) (i32.const 5))
          (call $sleep (i64.const 200000000))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $n) (i32.const 10)))))""",
    "no-start": '(func (export "main"))',
    "invalid": '(func (export "_start") (drop (i32.add)))',
}


@functools.cache
def module(name: str) -> bytes:
    """The module of the entry `name` of BODIES, as a binary."""
    return bytes(wasmtime.wat2wasm(f"(module {_PRELUDE} {BODIES[name]})"))
