"""Names that tenants give to their Keeps: labels as in host names (RFC 1123), which fit command lines, URLs and file names."""

from __future__ import annotations

import re

KEEP_NAME = "(?![0-9a-f]{16}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""The pattern of a name. A Keep's id, 16 hexadecimal digits, is not a name."""

WANTED = "1 to 63 of a-z, 0-9 and -, without - at either end, and not 16 hexadecimal digits as an id has"


def is_keep_name(text: str) -> bool:
    """Whether the text can name a Keep."""
    return re.fullmatch(KEEP_NAME, text) is not None
