"""Models behind OpenAI-compatible servers: what a request says, and a client that is patient with a busy server."""

from vl3.remote.client import BadRequest, ChatClient, Completion, ServerConfig, Unreachable, server_config
from vl3.remote.request import RequestWriter, VideoForm

__all__ = [
    "BadRequest",
    "ChatClient",
    "Completion",
    "RequestWriter",
    "ServerConfig",
    "Unreachable",
    "VideoForm",
    "server_config",
]
