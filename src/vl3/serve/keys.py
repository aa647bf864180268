"""API keys: who may call, and whose files are whose."""

import hashlib
import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from vl3.errors import UserError

VARIABLE = "VL3_API_KEYS"
SHORTEST = 8
OPEN = "everyone"
"""The owner of files on a server without keys."""


class Keys:
    """The keys of a server; none means that everyone may call. Only digests are kept."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        if short := [key for key in keys if len(key) < SHORTEST]:
            raise UserError(f"{len(short)} of the API keys are shorter than {SHORTEST} characters; make longer ones")
        self._digests = [_digest(key) for key in keys]

    def __len__(self) -> int:
        return len(self._digests)

    def owner(self, authorization: str | None) -> str | None:
        """Whom an Authorization header names; None for nobody. Takes as long whichever key it is, or none."""
        if not self._digests:
            return OPEN
        scheme, _, given = (authorization or "").partition(" ")
        digest = _digest(given.strip())
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return digest.hex()[:32] if any(matches) and scheme.lower() == "bearer" else None


def read_keys(file: Path | None) -> Keys:
    """The keys of a file, one a line, or else of the variable VL3_API_KEYS, separated by commas."""
    if file is None:
        return Keys([key.strip() for key in os.environ.get(VARIABLE, "").split(",") if key.strip()])
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: the API keys cannot be read: {error}") from error
    keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise UserError(f"{file}: holds no API key; write one a line")
    return Keys(keys)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
