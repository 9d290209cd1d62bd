"""What the sandbox tests run inside: scenarios for a process of its own, started with `python -I -S` as a Keep is.

    python -I -S -c "..." PATHS SCENARIO USER        prints what it found as one line of JSON

USER is 'self' or 'nobody' (root drops to it first). Nobody may read the interpreter's files then, so all is imported.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import cbor2
import cryptography.hazmat.backends.openssl.backend  # some functions import it when called
import wasmtime
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enarx.delivery.suite import HPKE_SEED_SIZE, HpkeKey, hpke_seal
from enarx.errors import BackendError, UsageError
from enarx.keep import sandbox
from enarx.keep.sandbox import bpf, kernel, landlock
from enarx.keep.sandbox.syscalls import ARCH, NUMBERS

NONE: frozenset[str] = frozenset()
DISK = 1 << 20
LIMITS = {"nofile": 64, "nproc": 128}
NEWER = {"clone3": 435, "unknown": 4000}
LIBC = ctypes.CDLL(None, use_errno=True)


def config() -> wasmtime.Config:
    result = wasmtime.Config()
    result.epoch_interruption = True
    return result


ENGINE = wasmtime.Engine(config())
PROFILES = {
    profile.name: profile for profile in (sandbox.KEEPER_BOOT, sandbox.KEEPER, sandbox.COMPILER, sandbox.RUNNER)
}


def begin(work: Callable[[], Any], keep: frozenset[int] | None = None) -> tuple[int, int]:
    """Fork a child that does `work`, with no descriptor but those in `keep`: its id, and where its finding is read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if keep is not None:
            sandbox.close_others(keep | {writer})
        write_all(writer, json.dumps(found(work)).encode())
        os._exit(0)
    os.close(writer)
    return child, reader


def found(work: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"result": work()}
    except BackendError as e:
        return {"error": e.code, "message": e.message, "checks": e.checks}
    except BaseException as e:
        return {"error": type(e).__name__, "message": str(e)}


def end(child: int, reader: int) -> dict[str, Any]:
    """What the child found: {"result"}, {"error"} or {"signal"}."""
    text = read_all(reader)
    status = os.waitpid(child, 0)[1]
    return {"signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else json.loads(text)


def in_child(work: Callable[[], Any]) -> dict[str, Any]:
    return end(*begin(work))


def unwrap(found: dict[str, Any]) -> Any:
    if "result" not in found:
        raise RuntimeError(f"child: {found}")
    return found["result"]


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.close(fd)


def read_all(fd: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read()


def layers(found: tuple[sandbox.Layer, ...]) -> dict[str, list[Any]]:
    return {layer.name: [layer.on, layer.detail, layer.remedy] for layer in found}


def tried(action: Callable[[], Any]) -> str:
    """The error that `action` fails with; 'done' if it does not."""
    try:
        action()
    except OSError as e:
        return errno.errorcode.get(e.errno or 0, str(e.errno))
    return "done"


def called(name: str, *arguments: int) -> str:
    """The same for a raw system call."""
    if name not in NUMBERS | NEWER:
        return "absent"
    ctypes.set_errno(0)
    words = [ctypes.c_ulong(x & (1 << 64) - 1) for x in arguments]
    result = LIBC.syscall(ctypes.c_long((NUMBERS | NEWER)[name]), *words)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "done"


# --- the whole order, with real wasmtime -----------------------------------------------------------------------------


def compiler(wasm: bytes, out: int) -> None:
    sandbox.close_others(frozenset((out,)))
    sandbox.confine(sandbox.COMPILER, skip=NONE, **LIMITS)
    write_all(out, wasmtime.Module(ENGINE, wasm).serialize())


def compiled(wasm: bytes) -> bytes:
    """Compile in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            compiler(wasm, writer)
        finally:
            os._exit(0)
    os.close(writer)
    code = read_all(reader)
    os.waitpid(child, 0)
    return code


def run(code: bytes, isolation: sandbox.Isolation, mapped: str) -> dict[str, Any]:
    """Load, refuse new code, run; what became of it."""
    module = wasmtime.Module.deserialize(ENGINE, code)
    new_code = layers((sandbox.forbid_new_code(),))
    store = wasmtime.Store(ENGINE)
    store.set_epoch_deadline(1000)
    store.set_limits(memory_size=8 << 20)
    wasi = wasmtime.WasiConfig()
    wasi.inherit_stdout()
    wasi.preopen_dir(isolation.data + mapped, "/")
    store.set_wasi(wasi)
    linker = wasmtime.Linker(ENGINE)
    linker.define_wasi()
    exports = linker.instantiate(store, module).exports(store)
    exports["_start"](store)
    traps = {name: trapped(store, exports[name]) for name in ("unreachable", "beyond", "deep", "spin")}
    again = tried(executable_page)
    try:
        wasmtime.Module.deserialize(ENGINE, code)
        again = f"{again} deserialized"
    except wasmtime.WasmtimeError:
        again = f"{again} refused"
    return {"new-code": new_code, "again": again, "traps": traps}


def trapped(store: wasmtime.Store, function: Any) -> str:
    """How the function ends if this process's clock thread gives it 20 ms."""
    store.set_epoch_deadline(1)
    clock = threading.Timer(0.02, ENGINE.increment_epoch)
    clock.start()
    try:
        function(store)
    except wasmtime.Trap as e:
        return str(e.trap_code).removeprefix("TrapCode.")
    finally:
        clock.join()
    return "done"


def executable_page() -> None:
    """Try to make a writable page executable."""
    PAGE, PRIVATE_ANONYMOUS = 4096, 0x22
    LIBC.mmap.restype = ctypes.c_void_p
    page = LIBC.mmap(None, ctypes.c_size_t(PAGE), 3, PRIVATE_ANONYMOUS, -1, ctypes.c_long(0))
    if LIBC.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 5) == -1:
        raise OSError(ctypes.get_errno(), "mprotect")


def attempts() -> dict[str, Any]:
    """What a runner finds if it goes beyond its job, in ways that do not kill it."""
    return {
        "open": tried(lambda: os.open("/etc/passwd", os.O_RDONLY)),
        "list": tried(lambda: os.listdir("/")),
        "create": tried(lambda: os.open("/x", os.O_CREAT | os.O_WRONLY)),
        "proc": tried(lambda: os.open("/proc/self/status", os.O_RDONLY)),
        "kill": tried(lambda: os.kill(1, signal.SIGTERM)),
        "mknod": tried(lambda: os.mknod("/data/box/n", 0o20666, 0x103)),
        "chown": tried(lambda: os.chown("/data/box/hard", 0, 0)),
        "clone3": called("clone3", 0, 0),
        "hostname": socket.gethostname(),
        "uid": os.getuid(),
        "descriptors": descriptors(),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
    }


def descriptors() -> list[int]:
    return [fd for fd in range(LIMITS["nofile"]) if tried(lambda fd=fd: fcntl.fcntl(fd, fcntl.F_GETFD)) == "done"]


def runner(wasm: bytes, isolation: sandbox.Isolation, stdout: int, hold: int) -> dict[str, Any]:
    """R: has the module compiled, runs it, then tries its walls; waits for `hold` to close in between."""
    inherited = len(descriptors())
    code = compiled(wasm)
    own = layers(
        sandbox.confine(
            sandbox.RUNNER,
            skip=NONE,
            **LIMITS,
            data=1 << 28,
            read_only=(isolation.secrets,),
            read_write=(f"{isolation.data}/box",),
        )
    )
    os.dup2(stdout, 1)
    os.close(stdout)
    outcome = run(code, isolation, "/box")
    os.close(1)
    secret = tried(lambda: os.open(f"{isolation.secrets}/s", os.O_RDONLY))
    write_secret = tried(lambda: os.open(f"{isolation.secrets}/s", os.O_WRONLY))
    elsewhere = tried(lambda: os.open(f"{isolation.data}/other", os.O_RDONLY))
    read_all(hold)
    found = {
        "layers": own,
        "inherited": inherited,
        "secret": secret,
        "secret-write": write_secret,
        "elsewhere": elsewhere,
    }
    return found | outcome | {"attempts": attempts()}


def keeper(wasm: bytes, isolation: sandbox.Isolation, stdout: int, hold: int) -> dict[str, Any]:
    """K, process 1: boots, forks R, seals itself while R runs."""
    start = time.perf_counter()
    boot = layers(sandbox.confine(sandbox.KEEPER_BOOT, skip=NONE, **LIMITS))
    confined = time.perf_counter() - start
    os.makedirs(f"{isolation.data}/box")
    for path in (f"{isolation.secrets}/s", f"{isolation.data}/other"):
        write_all(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), b"s")
    child = begin(lambda: runner(wasm, isolation, stdout, hold), frozenset((stdout, hold)))
    os.close(stdout)
    sandbox.resize(isolation, 2 * DISK)
    sealed = sandbox.confine(sandbox.KEEPER, skip=NONE, **LIMITS, read_write=(isolation.data, isolation.secrets))
    return {
        "runner": unwrap(end(*child)),
        "pid": os.getpid(),
        "boot": boot,
        "sealed": layers(sealed),
        "seconds": confined,
        "size": os.statvfs(isolation.data).f_blocks * os.statvfs(isolation.data).f_frsize,
        "files": sorted(os.listdir(f"{isolation.data}/box")),
    }


def whole() -> dict[str, Any]:
    """Z forks O, which isolates itself and forks K; meanwhile Z looks at all of them from outside."""
    wasm = sys.stdin.buffer.read()
    stdout_reader, stdout = os.pipe()
    hold, release = os.pipe()

    def outer() -> Any:
        start = time.perf_counter()
        isolation = sandbox.isolate(skip=NONE, disk=DISK)
        isolated = time.perf_counter() - start
        child = begin(lambda: keeper(wasm, isolation, stdout, hold), frozenset((stdout, hold)))
        os.close(stdout)
        return {"isolated": layers(isolation.layers), "seconds": isolated, "keeper": unwrap(end(*child))}

    child = begin(outer, frozenset((stdout, hold)))
    os.close(stdout)
    output = read_all(stdout_reader)  # ends when the workload has; then R waits
    seen = outside_view()
    handles = [os.pidfd_open(int(status["Pid"])) for status in seen]
    os.close(release)
    found = unwrap(end(*child))
    ended = len(select.select(handles, [], [], 5)[0])
    return found | {"output": output.hex(), "seen": seen, "ended": ended}


def outside_view() -> list[dict[str, str]]:
    """/proc/PID/status of our descendants, youngest last."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/status", encoding="utf-8") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        except OSError:
            continue
        parents[status["Pid"]] = status
    family, ours = [], {str(os.getpid())}
    for status in sorted(parents.values(), key=lambda x: int(x["Pid"])):
        if status["PPid"] in ours:
            ours.add(status["Pid"])
            family.append(status)
    return family


# --- the keeper's own work -------------------------------------------------------------------------------------------


def crypto() -> bool:
    """All that the protocol uses, keys made here."""
    key = HpkeKey(os.urandom(HPKE_SEED_SIZE))
    opened = key.open(hpke_seal(b"key", key.public, info=b"info"), info=b"info")
    signer = Ed25519PrivateKey.generate()
    signer.public_key().verify(signer.sign(b"x"), b"x")
    cipher = AESGCM(AESGCM.generate_key(256))
    chunk = cipher.encrypt(bytes(12), bytes(1 << 20), None)
    return opened == b"key" and cipher.decrypt(bytes(12), chunk, None) == bytes(1 << 20)


def work_of_keeper() -> dict[str, Any]:
    """Isolated and sealed: keys, files, threads, polling, watching and killing the runner."""

    def first() -> Any:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sandbox.confine(sandbox.KEEPER_BOOT, skip=NONE, **LIMITS)
        child = os.fork()
        if child == 0:
            sandbox.confine(sandbox.RUNNER, skip=NONE, **LIMITS)
            far.send(b"ready")
            signal.pause()
        far.close()
        sandbox.confine(sandbox.KEEPER, skip=NONE, **LIMITS, read_write=("/data", "/run/secrets"))
        return sealed_work(near, child)

    def outer() -> Any:
        sandbox.isolate(skip=NONE, disk=DISK)
        return unwrap(in_child(first))

    return unwrap(in_child(outer))


def sealed_work(link: socket.socket, child: int) -> dict[str, Any]:
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        ready = bool(selector.select(5)) and link.recv(16) == b"ready"
    done = []
    thread = threading.Thread(target=lambda: done.append(cbor2.loads(cbor2.dumps({"a": [1]}))))
    thread.start()
    thread.join()
    os.makedirs("/data/a/b")
    with open("/data/a/b/file", "w", encoding="utf-8") as file:
        file.write("text")
    os.rename("/data/a/b/file", "/data/a/file")
    full = tried(lambda: write_all(os.open("/data/big", os.O_CREAT | os.O_WRONLY), b"x" * 2 * DISK))
    pidfd = os.pidfd_open(child)
    os.kill(child, signal.SIGKILL)
    select.select([pidfd], [], [], 5)
    status = os.waitpid(child, 0)[1]
    return {
        "ready": ready,
        "thread": done,
        "crypto": crypto(),
        "full": full,
        "killed": os.WTERMSIG(status),
        "fork": called("clone3", 0, 0),
        "exec-memory": tried(executable_page),
        "ioctl": called("ioctl", 0, 0x5412, 0),
        "etc": tried(lambda: os.open("/etc/passwd", os.O_RDONLY)),
    }


# --- single rules ----------------------------------------------------------------------------------------------------


CALLS = {
    "socket": (1, 1, 0),
    "socketpair": (1, 1, 0, 0),
    "connect": (0, 0, 0),
    "execve": (0, 0, 0),
    "execveat": (0, 0, 0, 0, 0),
    "ptrace": (0, 0, 0, 0),
    "process_vm_readv": (1, 0, 0, 0, 0, 0),
    "bpf": (0, 0, 0),
    "mount": (0, 0, 0, 0, 0),
    "umount2": (0, 0),
    "setns": (0, 0),
    "unshare": (kernel.CLONE_NEWUSER,),
    "clone": (kernel.CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0),
    "fork": (),
    "vfork": (),
    "io_uring_setup": (1, 0),
    "keyctl": (0, 0, 0, 0, 0),
    "userfaultfd": (0,),
    "perf_event_open": (0, 0, 0, 0, 0),
    "open_by_handle_at": (0, 0, 0),
}


def dangerous() -> dict[str, dict[str, Any]]:
    """How each dangerous call ends in each profile."""

    def ends(profile: sandbox.Profile, name: str) -> Any:
        def confined() -> str:
            sandbox.confine(profile, skip=NONE, **LIMITS)
            return called(name, *CALLS[name])

        return in_child(confined)

    return {key: {name: ends(profile, name) for name in CALLS} for key, profile in PROFILES.items()}


def gentle() -> dict[str, Any]:
    """Calls that are refused without a kill, and forking, in each profile."""

    def confined(profile: sandbox.Profile) -> dict[str, str]:
        sandbox.confine(profile, skip=NONE, **LIMITS)
        return {
            "unknown": called("unknown"),
            "terminal": called("ioctl", 0, 0x5412, 0),
            "limits-of-others": called("prlimit64", 1, 7, 0, 0),
            "seccomp-off": tried(lambda: kernel.prctl(22, 0)),
            "clone3": called("clone3", 0, 0),
            "open": tried(lambda: os.open("/etc/passwd", os.O_RDONLY)),
            "code": tried(executable_page),
        }

    def forks(profile: sandbox.Profile) -> str:
        sandbox.confine(profile, skip=NONE, **LIMITS)
        child = os.fork()
        if child == 0:
            os._exit(0)
        return str(os.waitpid(child, 0)[1])

    return {
        name: {"calls": in_child(lambda p=profile: confined(p)), "fork": in_child(lambda p=profile: forks(p))}
        for name, profile in PROFILES.items()
    }


def foreign() -> dict[str, Any]:
    """x86_64's x32 twin of getpid, and its 32-bit entry, which count from another table."""

    def twin() -> str:
        sandbox.confine(sandbox.COMPILER, skip=NONE, **LIMITS)
        return str(LIBC.syscall(ctypes.c_long(NUMBERS["getpid"] | 0x40000000)))

    return in_child(twin)


def scopes() -> dict[str, Any]:
    """Without a pid namespace and without a filter a runner still cannot signal the keeper, who can signal it."""

    abi = landlock.version()

    def first() -> Any:
        sandbox.confine(sandbox.KEEPER_BOOT, skip=NONE, **LIMITS)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            sandbox.confine(sandbox.RUNNER, skip=frozenset(("seccomp",)), **LIMITS)
            os.write(writer, tried(lambda: os.kill(os.getppid(), 0)).encode())
            signal.pause()
        sandbox.confine(sandbox.KEEPER, skip=NONE, **LIMITS)
        upwards = os.read(reader, 64).decode()
        downwards = tried(lambda: os.kill(child, signal.SIGKILL))
        os.waitpid(child, 0)
        return {"upwards": upwards, "downwards": downwards, "version": abi}

    return in_child(first)


def without(*names: str) -> dict[str, Any]:
    """Isolation and confinement with the named layers left out."""
    skip = frozenset(names)

    def outer() -> Any:
        isolation = sandbox.isolate(skip=skip, disk=DISK)

        def first() -> Any:
            boot = sandbox.confine(sandbox.KEEPER_BOOT, skip=skip, **LIMITS)
            resized = in_child(lambda: sandbox.resize(isolation, 1 << 16))
            sandbox.confine(sandbox.KEEPER, skip=skip, **LIMITS, read_write=(isolation.data, isolation.secrets))
            write_all(os.open(f"{isolation.data}/f", os.O_CREAT | os.O_WRONLY, 0o600), b"x")
            return {
                "layers": layers(isolation.layers + boot),
                "resized": resized,
                "crowd": crowd,
                "uid": os.getuid(),
                "data": isolation.data,
                "scratch": isolation.scratch,
                "memory": os.statvfs(isolation.data).f_frsize,
                "mode": oct(os.stat(isolation.data).st_mode & 0o777),
                "etc": tried(lambda: os.open("/etc/passwd", os.O_RDONLY)),
            }

        return unwrap(in_child(first))

    return in_child(outer)


def refused() -> dict[str, Any]:
    """What happens where user namespaces are forbidden: a filter plays the kernel that forbids them."""

    def forbid(name: str, code: int) -> None:
        program = bpf.assemble(
            sandbox_arch(),
            checks={NUMBERS[name]: bpf.Check(0, 0, (1,), bpf.fail(code))},
            allowed=(),
            killed=(),
            default=bpf.ALLOW,
        )
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.set_filter(program)

    def isolated() -> Any:
        forbid("unshare", errno.EPERM)
        return layers(sandbox.isolate(skip=NONE, disk=DISK).layers)

    def confined() -> Any:
        forbid("landlock_create_ruleset", errno.ENOSYS)
        return layers(sandbox.confine(sandbox.KEEPER, skip=NONE, **LIMITS))

    def without_landlock() -> Any:
        forbid("landlock_create_ruleset", errno.ENOSYS)
        return layers(sandbox.confine(sandbox.KEEPER, skip=frozenset(("landlock",)), **LIMITS))

    def old_mdwe() -> Any:
        sandbox.confine(sandbox.RUNNER, skip=NONE, **LIMITS)
        program = mdwe_filter()
        kernel.set_filter(program)
        found = layers((sandbox.forbid_new_code(),))
        return {"layers": found, "page": tried(executable_page)}

    def misnamed() -> str:
        try:
            sandbox.isolate(skip=frozenset(("landlok",)), disk=DISK)
        except UsageError as e:
            return e.code
        return "done"

    def threaded() -> Any:
        threading.Thread(target=time.sleep, args=(1,)).start()
        return layers(sandbox.confine(sandbox.KEEPER, skip=NONE, **LIMITS))

    return {
        "isolated": in_child(isolated),
        "confined": in_child(confined),
        "without-landlock": in_child(without_landlock),
        "old-mdwe": in_child(old_mdwe),
        "misnamed": in_child(misnamed),
        "threaded": in_child(threaded),
    }


def mdwe_filter() -> bytes:
    others = tuple(x for x in (kernel.PR_SET_NAME, kernel.PR_SET_NO_NEW_PRIVS))
    checks = {NUMBERS["prctl"]: bpf.Check(0, bpf.WORD, others, bpf.fail(errno.EINVAL))}
    return bpf.assemble(sandbox_arch(), checks=checks, allowed=(), killed=(), default=bpf.ALLOW)


def sandbox_arch() -> int:
    assert ARCH is not None
    return ARCH


def probed() -> dict[str, Any]:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        found = sandbox.probe()
        times.append(time.perf_counter() - start)
    return {"layers": layers(found), "seconds": min(times), "dumpable": kernel.prctl(kernel.PR_GET_DUMPABLE)}


def crowd() -> dict[str, Any]:
    """How many threads and files a process gets, of 8 and 16."""

    def first() -> Any:
        sandbox.confine(sandbox.KEEPER, skip=NONE, nofile=16, nproc=8)
        count, gate = 1, threading.Event()
        try:
            while True:
                threading.Thread(target=gate.wait, daemon=True).start()
                count += 1
        except RuntimeError:
            pass
        files = tried(lambda: [os.dup(0) for _ in range(17)])
        return {"threads": count, "files": files}

    def outer() -> Any:
        sandbox.isolate(skip=NONE, disk=DISK)
        return unwrap(in_child(first))

    return in_child(outer)


def resized() -> dict[str, Any]:
    """A keeper bounds its data twice; not below what it holds, and not once sealed."""

    def outer() -> Any:
        isolation = sandbox.isolate(skip=NONE, disk=DISK)

        def first() -> Any:
            sandbox.confine(sandbox.KEEPER_BOOT, skip=NONE, **LIMITS)
            sandbox.resize(isolation, 1 << 16)
            write_all(os.open("/data/f", os.O_CREAT | os.O_WRONLY), b"x" * (1 << 16))
            full = tried(lambda: write_all(os.open("/data/g", os.O_CREAT | os.O_WRONLY), b"x"))
            small = in_child(lambda: sandbox.resize(isolation, 1 << 13))
            sandbox.resize(isolation, 1 << 17)
            write_all(os.open("/data/g", os.O_CREAT | os.O_WRONLY), b"x")
            other = in_child(lambda: kernel.mount("x", "/data", "tmpfs", 0))
            many = tried(lambda: [os.mkdir(f"/data/{i}") for i in range(100_000)])
            return {"full": full, "small": small, "other": other, "many": many}

        return unwrap(in_child(first))

    return in_child(outer)


SCENARIOS: dict[str, Callable[..., Any]] = {
    "whole": whole,
    "keeper": work_of_keeper,
    "dangerous": dangerous,
    "gentle": gentle,
    "foreign": foreign,
    "scopes": scopes,
    "without": without,
    "refused": refused,
    "probe": probed,
    "resized": resized,
    "crowd": crowd,
}


def main() -> None:
    name, user, *arguments = sys.argv[2:]
    if user == "nobody":
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
    found = SCENARIOS[name](*arguments)
    print(json.dumps(found))
