"""What a policy file says of a set, such as advisories."""

from __future__ import annotations

import pytest

from enarx.errors import UsageError
from enarx.verify.matchers import Exactly
from enarx.verify.policy_file import read_policy, template


def test_an_array_of_texts() -> None:
    policy = read_policy(template("sgx").replace("advisories = {", 'advisories = ["A"] #'), "p")
    assert policy.advisories == Exactly(("A",))  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="an array of texts"):
        read_policy(template("sgx").replace("advisories = {", 'advisories = "A" #'), "p")
