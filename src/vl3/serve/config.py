"""What the operator of a server decides."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from vl3.config import Count, Positive, configclass
from vl3.media import FetchLimits

Bytes = Annotated[int, Field(ge=1)]


@configclass
class ServerConfig:
    """Limits and places. The defaults suit a server that strangers may reach."""

    model_name: str = "nano"
    """What requests call the model."""
    media_folder: Path | None = None
    """Requests may name local files under this folder, and no others; None: no local files at all."""
    files_folder: Path | None = None
    """Where uploads are kept; None: a temporary folder that goes with the server."""
    files_quota_bytes: Bytes = 10 << 30
    """Most bytes of uploads that are kept at once, all owners together."""
    files_expiry_s: Positive = 24 * 3600.0
    """An upload is deleted so long after it was last used."""
    max_body_bytes: Bytes = 32 << 20
    """Largest request, in bytes; base64 media count."""
    max_upload_bytes: Bytes = 2 << 30
    """Largest uploaded file, in bytes."""
    header_timeout_s: Positive = 20.0
    """Most seconds until a connection has sent the whole header of a request."""
    write_timeout_s: Positive = 60.0
    """Most seconds in which a client takes nothing of an answer that is ready for it."""
    body_timeout_s: Positive = 60.0
    """Most seconds until a request has arrived whole."""
    upload_timeout_s: Positive = 3600.0
    """The same for an upload."""
    request_timeout_s: Positive = 600.0
    """Most seconds for an answer, from the arrival of the request to the last token."""
    max_requests: Count = 128
    """Most requests that are read, waited for or answered at once; more are told to come again (429)."""
    max_fetches: Count = 16
    """Most downloads at once."""
    fetch: FetchLimits = FetchLimits(allow_private=False, max_bytes=2 << 30, timeout_s=60.0)
    """What may be downloaded, and from where."""
    max_media: Count = 32
    """Most images and videos of a request."""
    drain_s: Positive = 60.0
    """How long a server that was told to stop finishes what it has accepted."""
    cors_origins: tuple[str, ...] = ()
    """Web origins whose pages may call the server from a browser."""
