"""The whole order of a Keep's start, with real wasmtime, and the keeper's own work."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import selectors
import signal
import socket
import threading
import time
from typing import Any

import cbor2
import cryptography.hazmat.backends.openssl.backend  # noqa: F401  # some functions import it when called
import wasmtime
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from inside import wasi
from inside.harness import (
    DISK,
    FILES,
    NONE,
    begin,
    called,
    confine,
    end,
    executable_page,
    in_child,
    layers,
    read_all,
    tried,
    unwrap,
    write_all,
)

from enarx.delivery.suite import HPKE_SEED_SIZE, HpkeKey, hpke_seal
from enarx.keep import sandbox


def config() -> wasmtime.Config:
    result = wasmtime.Config()
    result.epoch_interruption = True
    return result


ENGINE = wasmtime.Engine(config())


def compiler(wasm: bytes, out: int) -> None:
    sandbox.close_others(frozenset((out,)))
    confine(sandbox.COMPILER)
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
    """Load, refuse new code, run, trap, try to load again; what became of it."""
    module = wasmtime.Module.deserialize(ENGINE, code)
    new_code = layers((sandbox.forbid_new_code(),))
    store, exports = instantiated(module, isolation.data + mapped)
    exports["_start"](store)
    traps = {name: trapped(store, exports[name]) for name in wasi.TRAPS}
    return {"new-code": new_code, "traps": traps, "page": tried(executable_page), "reload": reloaded(code)}


def instantiated(module: wasmtime.Module, directory: str) -> tuple[wasmtime.Store, Any]:
    store = wasmtime.Store(ENGINE)
    store.set_epoch_deadline(1000)
    store.set_limits(memory_size=wasi.MEMORY)
    grants = wasmtime.WasiConfig()
    grants.inherit_stdout()
    grants.preopen_dir(directory, "/")
    store.set_wasi(grants)
    linker = wasmtime.Linker(ENGINE)
    linker.define_wasi()
    return store, linker.instantiate(store, module).exports(store)


def reloaded(code: bytes) -> str:
    try:
        wasmtime.Module.deserialize(ENGINE, code)
    except wasmtime.WasmtimeError:
        return "refused"
    return "done"


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


def attempts(isolation: sandbox.Isolation) -> dict[str, Any]:
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
        "secret": tried(lambda: os.open(f"{isolation.secrets}/s", os.O_RDONLY)),
        "secret-write": tried(lambda: os.open(f"{isolation.secrets}/s", os.O_WRONLY)),
        "elsewhere": tried(lambda: os.open(f"{isolation.data}/other", os.O_RDONLY)),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "stack": resource.getrlimit(resource.RLIMIT_STACK),
        "space": resource.getrlimit(resource.RLIMIT_AS),
    }


def descriptors() -> list[int]:
    return [fd for fd in range(FILES) if called("fcntl", fd, fcntl.F_GETFD) == "done"]


def runner(wasm: bytes, isolation: sandbox.Isolation, stdout: int, hold: int) -> dict[str, Any]:
    """R: has the module compiled, runs it, then tries its walls; waits for `hold` to close in between."""
    inherited = len(descriptors())
    code = compiled(wasm)
    own = confine(sandbox.RUNNER, data=1 << 28, read_only=(isolation.secrets,), read_write=(f"{isolation.data}/box",))
    os.dup2(stdout, 1)
    os.close(stdout)
    outcome = run(code, isolation, "/box")
    os.close(1)
    read_all(hold)
    return outcome | {"layers": layers(own), "inherited": inherited, "attempts": attempts(isolation)}


def keeper(wasm: bytes, isolation: sandbox.Isolation, stdout: int, hold: int) -> dict[str, Any]:
    """K, process 1: boots, forks R, seals itself while R runs."""
    start = time.perf_counter()
    boot = layers(confine(sandbox.KEEPER_BOOT))
    confined = time.perf_counter() - start
    os.makedirs(f"{isolation.data}/box")
    for path in (f"{isolation.secrets}/s", f"{isolation.data}/other"):
        write_all(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), b"s")
    child = begin(lambda: runner(wasm, isolation, stdout, hold), frozenset((stdout, hold)))
    os.close(stdout)
    sandbox.resize(isolation, 2 * DISK)
    sealed = confine(sandbox.KEEPER, read_write=(isolation.data, isolation.secrets))
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
    wasm = wasi.workload()
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
    found: dict[str, Any] = unwrap(end(*child))
    ended = len(select.select(handles, [], [], 5)[0])
    return found | {"wasi": wasi.told(output), "seen": seen, "ended": ended}


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
        confine(sandbox.KEEPER_BOOT)
        child = os.fork()
        if child == 0:
            confine(sandbox.RUNNER)
            far.send(b"ready")
            signal.pause()
        far.close()
        confine(sandbox.KEEPER, read_write=("/data", "/run/secrets"))
        return sealed_work(near, child)

    def outer() -> Any:
        sandbox.isolate(skip=NONE, disk=DISK)
        return unwrap(in_child(first))

    found: dict[str, Any] = unwrap(in_child(outer))
    return found


def sealed_work(link: socket.socket, child: int) -> dict[str, Any]:
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        ready = bool(selector.select(5)) and link.recv(16) == b"ready"
    done: list[Any] = []
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
