"""The sandbox, each test in processes of its own (`inside/`), as this user and, if that is root, as nobody."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cbor2
import pytest
import wasmtime

import enarx
from enarx.keep.sandbox import LAYERS, STOPS

HERE = Path(__file__).parent
PATHS = (HERE, Path(enarx.__file__).parents[1], Path(wasmtime.__file__).parents[1], Path(cbor2.__file__).parents[1])
START = "import sys; sys.path[:0] = sys.argv[1].split(':'); from inside.main import main; main()"
"""As the processes of a Keep are started: without the site module, from listed paths, in an empty environment."""

USERS = ("self", "nobody") if os.geteuid() == 0 else ("self",)
as_each_user = pytest.mark.parametrize("user", USERS)
EACH_CAPABILITY_SET = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
ISOLATED = LAYERS[:7]
RESTED_UPON = ("user-namespace", "mount-namespace", "no-new-privs")


def scenario(name: str, user: str, *arguments: str) -> Any:
    """What the scenario found."""
    paths = ":".join(dict.fromkeys(map(str, PATHS)))
    command = [sys.executable, "-I", "-S", "-c", START, paths, name, user, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env={"LANG": "C.UTF-8"})
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=USERS)
def whole(request: pytest.FixtureRequest) -> Any:
    return scenario("whole", request.param)


def test_the_workload_does_all_of_wasi(whole: Any) -> None:
    for name, got, wanted in whole["wasi"]:
        assert got == wanted, name
    assert len(whole["wasi"]) > 30
    assert whole["keeper"]["files"] == ["hard", "soft"]


def test_every_layer_is_on_and_told(whole: Any) -> None:
    told = whole["isolated"] | whole["keeper"]["boot"]
    assert sorted(told) == sorted(LAYERS)
    assert all(on and detail and not remedy for on, detail, remedy in told.values())
    assert all(on for on, _, _ in whole["keeper"]["runner"]["layers"].values())


def test_what_the_host_sees_of_each_process(whole: Any) -> None:
    *_, keeper, runner = whole["seen"]
    assert keeper["NSpid"].split()[-1] == "1"
    assert runner["PPid"] == keeper["Pid"]
    for status in (keeper, runner):
        assert {status[name].strip("0") for name in EACH_CAPABILITY_SET} == {""}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert "0" not in status["Uid"].split()


def test_the_runner_is_shut_in(whole: Any) -> None:
    found = whole["keeper"]["runner"]
    assert found["attempts"] == {
        "open": "ENOENT",
        "list": "EACCES",
        "create": "EROFS",
        "proc": "ENOENT",
        "kill": "EPERM",
        "mknod": "ENOSYS",
        "chown": "ENOSYS",
        "clone3": "ENOSYS",
        "hostname": "keep",
        "uid": 65534,
        "secret": "done",
        "secret-write": "EACCES",
        "elsewhere": "EACCES",
        "core": [0, 0],
        "stack": [8 << 20, 8 << 20],
        "space": [64 << 30, 64 << 30],
    }
    assert found["inherited"] == 3  # its report, its standard output, and what it waits on


def test_no_new_code_after_loading(whole: Any) -> None:
    found = whole["keeper"]["runner"]
    assert found["new-code"]["mdwe"][0]
    assert (found["page"], found["reload"]) == ("EACCES", "refused")


def test_traps_and_the_epoch_work_in_the_sandbox(whole: Any) -> None:
    assert whole["keeper"]["runner"]["traps"] == {
        "unreachable": "UNREACHABLE",
        "beyond": "MEMORY_OUT_OF_BOUNDS",
        "deep": "STACK_OVERFLOW",
        "spin": "INTERRUPT",
    }


def test_the_host_can_watch_every_process(whole: Any) -> None:
    assert whole["ended"] == len(whole["seen"]) == 3


def test_the_keeper_bounds_the_data(whole: Any) -> None:
    assert whole["keeper"]["size"] == 2 << 20
    assert whole["keeper"]["pid"] == 1


def test_it_is_quick(whole: Any) -> None:
    assert whole["seconds"] < 0.25
    assert whole["keeper"]["seconds"] < 0.25


@as_each_user
def test_the_sealed_keeper_does_its_work(user: str) -> None:
    assert scenario("keeper", user) == {
        "ready": True,
        "thread": [{"a": [1]}],
        "crypto": True,
        "full": "ENOSPC",
        "killed": signal.SIGKILL,
        "fork": "ENOSYS",
        "exec-memory": "EACCES",
        "ioctl": "ENOTTY",
        "etc": "ENOENT",
    }


# --- system calls ----------------------------------------------------------------------------------------------------


def test_dangerous_calls_kill() -> None:
    found = scenario("dangerous", USERS[-1])
    exceptions = {("keeper-boot", "socketpair"): {"result": "EFAULT"}}
    for profile, calls in found.items():
        for name, end in calls.items():
            if end != {"result": "absent"}:
                assert end == exceptions.get((profile, name), {"signal": signal.SIGSYS}), (profile, name)


@pytest.mark.parametrize("profile", ["keeper-boot", "keeper", "attester", "compiler", "runner"])
def test_harmless_calls_are_refused_gently(profile: str) -> None:
    found = scenario("gentle", USERS[-1])[profile]
    uncounted = "done" if profile in ("keeper-boot", "keeper") else "EPERM"
    unlisted = dict.fromkeys(("terminal", "limits-of-others", "signal-owner", "pipe-size", "seccomp-off"), "ENOSYS")
    may_make_code = profile in ("keeper-boot", "runner")
    assert found["calls"]["result"] == {
        "unknown": "ENOSYS",
        "terminal": "ENOTTY",
        "limits-of-others": "EPERM",
        "signal-owner": "EINVAL",
        "pipe-size": "EINVAL",
        "memfd": "ENOSYS",
        "send-descriptors": "ENOSYS",
        "timer": "ENOSYS",
        "shared": uncounted,
        "growing": uncounted,
        "seccomp-off": "EPERM",
        "clone3": "ENOSYS",
        "open": {"keeper-boot": "done", "compiler": "ENOSYS", "attester": "ENOSYS"}.get(profile, "EACCES"),
        "code": "done" if may_make_code or profile == "compiler" else "EACCES",  # the compiler is told so
    } | (unlisted if profile == "attester" else {})
    assert found["fork"] == ({"result": 0} if profile == "keeper-boot" else {"signal": signal.SIGSYS})


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86_64 has twin calls")
def test_calls_by_another_table_kill() -> None:
    assert scenario("foreign", USERS[-1]) == {"signal": signal.SIGSYS}


def test_the_keeper_signals_its_runner_and_not_the_other_way() -> None:
    found = scenario("scopes", USERS[-1])["result"]
    assert found["downwards"] == "done"
    if found["version"] >= 6:
        assert found["upwards"] == "EPERM"


# --- layers left out, missing, or asked for --------------------------------------------------------------------------


@as_each_user
def test_a_probe_finds_every_layer_and_changes_nothing(user: str) -> None:
    found = scenario("probe", user)
    assert list(found["layers"]) == list(LAYERS) == list(STOPS)
    assert all(on and not remedy for on, _, remedy in found["layers"].values())
    assert found["dumpable"] == 0
    assert found["seconds"] < 0.1


@as_each_user
def test_without_a_mount_namespace_data_stays_in_memory(user: str) -> None:
    found = scenario("without", user, "mount-namespace")["result"]
    try:
        assert found["layers"]["mount-namespace"][:2] == [False, "left out, as asked"]
        assert re.fullmatch(r"/dev/shm/enarx-keep-[0-9a-f]{16}", found["scratch"])
        assert (found["data"], found["mode"]) == (f"{found['scratch']}/data", "0o700")
        assert found["etc"] == "EACCES"
        assert found["resized"]["error"] == "data-size"
    finally:
        shutil.rmtree(found["scratch"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has the other namespaces without it")
def test_root_without_a_user_namespace_becomes_nobody() -> None:
    found = scenario("without", "self", "user-namespace")["result"]
    on = {name for name, (on, _, _) in found["layers"].items() if on}
    assert on == set(LAYERS) - {"user-namespace"}
    assert (found["uid"], found["mode"], found["etc"]) == (65534, "0o700", "ENOENT")
    assert found["resized"]["error"] == "data-size"


@as_each_user
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in RESTED_UPON])
def test_any_other_layer_can_be_left_out_alone(user: str, name: str) -> None:
    found = scenario("without", user, name)["result"]
    assert {x for x, (on, _, _) in found["layers"].items() if not on} == {name}


@as_each_user
def test_landlock_and_seccomp_rest_on_no_new_privs(user: str) -> None:
    assert "the sandbox lacks landlock, seccomp" in scenario("without", user, "no-new-privs")["message"]


@as_each_user
def test_all_layers_can_be_left_out(user: str) -> None:
    found = scenario("without", user, *LAYERS)["result"]
    shutil.rmtree(found["scratch"])
    assert not any(on for on, _, _ in found["layers"].values())
    assert found["etc"] == "done"


@pytest.fixture(scope="module")
def refused() -> Any:
    return scenario("refused", USERS[-1])


def test_missing_namespaces_are_refused_with_remedies(refused: Any) -> None:
    found = refused["no_unshare"]
    assert found["error"] == "layers-missing"
    assert [name for name, _, _ in found["checks"]] == list(ISOLATED[1:])
    assert all(missing and remedy for _, missing, remedy in found["checks"])
    assert "unshare: operation not permitted" in found["checks"][0][1]


def test_a_missing_landlock_is_refused_unless_named(refused: Any) -> None:
    assert [name for name, _, _ in refused["no_landlock"]["checks"]] == ["landlock"]
    assert "5.19" in refused["no_landlock"]["checks"][0][2]
    assert not refused["no_landlock_named"]["result"]["landlock"][0]


def test_without_mdwe_the_filter_alone_refuses_new_code(refused: Any) -> None:
    found = refused["no_mdwe"]["result"]
    assert found == {"layer": {"mdwe": [True, "a filter alone: Linux is older than 6.3", ""]}, "page": "EACCES"}


def test_a_misnamed_layer_is_the_callers_fault() -> None:
    assert scenario("misnamed", "self") == "unknown-layer"


def test_threads_would_stay_free_and_are_refused(refused: Any) -> None:
    assert refused["threaded"]["error"] == "threads"


@as_each_user
def test_data_is_bounded_and_nothing_else_can_be_mounted(user: str) -> None:
    found = scenario("resized", user)["result"]
    assert found["full"] == "ENOSPC"
    assert found["small"]["error"] == "data-size"
    assert found["other"] == {"signal": signal.SIGSYS}
    assert found["many"] == "ENOSPC"


@as_each_user
def test_threads_and_files_are_bounded(user: str) -> None:
    assert scenario("crowd", user) == {"result": {"threads": 8 - 1, "files": "EMFILE"}}  # process 1's parent counts


def test_it_needs_only_the_standard_library() -> None:
    code = "import sys; sys.path[:0] = [sys.argv[1]]; import enarx.keep.sandbox; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, str(PATHS[1])]
    loaded = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"enarx", "__main__"}
    assert {name for name in foreign if not name.startswith("_")} == set()
    assert {"subprocess", "asyncio", "socket", "json"}.isdisjoint(loaded)
