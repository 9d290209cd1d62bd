from __future__ import annotations

import errno

import pytest

from enarx.errors import BackendError, UsageError
from enarx.keep.sandbox import layers
from enarx.keep.sandbox.layers import LAYERS, NEEDS, NEEDS_NAMESPACE, Layer, attempt, check_names, remedy, require

NONE: frozenset[str] = frozenset()
OFF = Layer(name="seccomp", on=False, detail="missing", remedy="another kernel")
ON = Layer(name="landlock", on=True, detail="version 6")


def refusing(code: int, name: str | None = "unshare") -> None:
    raise OSError(code, "Operation not permitted", name)


def test_a_layer_that_is_put_on() -> None:
    assert attempt("seccomp", lambda: "set", NONE) == Layer(name="seccomp", on=True, detail="set")


def test_one_that_is_left_out_is_not_tried() -> None:
    layer = attempt("seccomp", lambda: refusing(1) or "", frozenset(("seccomp",)))  # type: ignore[func-returns-value]
    assert (layer.on, layer.detail, layer.remedy) == (False, "left out, as asked", "do not name seccomp as left out")


@pytest.mark.parametrize(("name", "detail"), [("unshare", "unshare: operation"), (None, "operation")])
def test_one_that_the_kernel_refuses(name: str | None, detail: str) -> None:
    layer = attempt("landlock", lambda: refusing(errno.ENOSYS, name) or "", NONE)  # type: ignore[func-returns-value]
    assert not layer.on
    assert layer.detail == f"{detail} not permitted"
    assert layer.remedy == NEEDS["landlock"]


def test_what_is_missing_is_named_with_its_remedy() -> None:
    with pytest.raises(BackendError) as caught:
        require((OFF, ON), NONE)
    assert caught.value.code == "layers-missing"
    assert caught.value.checks == (("seccomp", "missing", "another kernel"),)
    assert "seccomp" in caught.value.message
    assert "landlock" not in caught.value.message


def test_what_is_named_as_left_out_is_not_missing() -> None:
    require((OFF, ON), frozenset(("seccomp",)))


def test_names() -> None:
    check_names(frozenset(LAYERS))
    with pytest.raises(UsageError, match="no sandbox layer is called landlok, seccmp") as caught:
        check_names(frozenset(("seccmp", "landlok", "rlimits")))
    assert "landlock" in caught.value.hint


SETTINGS = {path: (forbids, what) for path, forbids, what in layers._SETTINGS}


@pytest.mark.parametrize("path", SETTINGS)
def test_a_setting_that_forbids_it_is_the_remedy(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    forbids, what = SETTINGS[path]
    monkeypatch.setattr(layers, "_setting", lambda asked: forbids if asked == path else "")
    assert remedy("user-namespace", errno.EPERM) == what
    assert remedy("seccomp", errno.ENOSYS) == NEEDS["seccomp"]


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("net-namespace", errno.ENOSPC, "user.max_net_namespaces"),
        ("mount-namespace", errno.ENOSPC, "user.max_mnt_namespaces"),
        ("user-namespace", errno.EPERM, "docker run --security-opt seccomp=unconfined"),
        ("user-namespace", errno.EINVAL, "CONFIG_USER_NS"),
        ("mount-namespace", errno.EACCES, "apparmor"),
        ("pid-namespace", errno.EPERM, NEEDS_NAMESPACE),
        ("landlock", errno.EPERM, "no-new-privs"),
        ("landlock", errno.ENOSYS, "5.19"),
    ],
)
def test_otherwise_the_error_says_which(monkeypatch: pytest.MonkeyPatch, name: str, code: int, text: str) -> None:
    monkeypatch.setattr(layers, "_setting", lambda path: "")
    assert text in remedy(name, code)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("code", [errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOSPC, 0])
def test_every_layer_has_a_remedy_for_every_error(name: str, code: int) -> None:
    assert remedy(name, code)


def test_a_setting_that_does_not_exist() -> None:
    assert layers._setting("no/such") == ""
    assert layers._setting("kernel/ostype") == "Linux"
