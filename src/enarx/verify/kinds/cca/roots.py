"""Keys that sign platform tokens. Arm publishes no root: the caller names the key of the platform's maker."""

from __future__ import annotations

from enarx.verify.roots import KEY, RootSet

PLATFORM_KEYS = RootSet(name="cca", form=KEY, user=True)
