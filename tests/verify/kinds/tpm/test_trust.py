"""What a TPM, with and without a boot event log, says in a trustworthiness vector."""

from __future__ import annotations

from typing import Any

from enarx.record import replace
from enarx.verify.matchers import Exactly
from enarx.verify.replay import appraise_event_log
from enarx.verify.trust import vector
from tests.controls import Control
from tests.forge import eventlog, tpm
from tests.verify import test_replay
from tests.verify.test_rules import exact
from tests.verify.test_trust import tier, under
from tests.verify.vectors import LEFT


def test_a_tpm_keeps_nobody_out_and_does_not_say_so() -> None:
    assert "runtime-opaque" not in vector(under("tpm", exact("tpm")))


def test_a_log_that_does_not_lead_to_the_registers_contradicts_them() -> None:
    """A log beside the quote does not stand in for a rule."""
    log = test_replay.LOG
    pcrs = tuple(eventlog.extended(log).get(i, bytes(32)) for i in range(24))
    changes: dict[str, Any] = {
        "measurement": LEFT,
        "pcrs": Exactly(tuple(f"{i}:{value.hex()}" for i, value in enumerate(pcrs))),
    }
    quoted = under("tpm", replace(exact("tpm"), **changes), pcrs=pcrs)
    assert len(pcrs) == len(tpm.PCRS)
    beside = Control(appraise_event_log, before=quoted, log=log)
    good_log, bad_log = beside.but(), beside.but(log=test_replay.without(0))
    assert (tier(good_log), vector(good_log)) == ("affirming", vector(quoted))
    assert (tier(bad_log), vector(bad_log)["executables"]) == ("contraindicated", 96)
    unnamed = under("tpm", replace(exact("tpm"), measurement=LEFT, pcrs=LEFT), pcrs=pcrs)
    assert vector(appraise_event_log(unnamed, log))["executables"] == 33
