"""What the operator of a page decides."""

from typing import Annotated

from pydantic import Field

from vl3.config import Count, Positive, configclass

Bytes = Annotated[int, Field(ge=1)]


@configclass
class PageConfig:
    """Limits of a page that strangers may reach."""

    model_name: str = "nano"
    """What the page calls the model."""
    max_files: Count = 32
    """Most images and videos at once."""
    max_file_bytes: Bytes = 2 << 30
    """Largest file that may be dropped on the page."""
    quota_bytes: Bytes = 10 << 30
    """Most bytes of dropped files that are kept at once."""
    file_expiry_s: Positive = 24 * 3600.0
    """A dropped file is deleted so long after it came."""
    request_timeout_s: Positive = 600.0
    """Most seconds for an answer."""
    max_new_tokens: Count = 2048
    """Most tokens of an answer that can be chosen."""
    max_requests: Count = 128
    """Most questions that wait or are answered at once."""
