"""`vl3 serve`: the OpenAI API on a port."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vl3.cli.options import loaded_assistant, model_options
from vl3.errors import UserError
from vl3.log import logger

if TYPE_CHECKING:
    from fastapi import FastAPI

    from vl3.serve.serving import Serving

F = TypeVar("F", bound=Callable[..., Any])
FOLDER = click.Path(file_okay=False, path_type=Path)
MIB = 1 << 20

_SERVER = [
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is everyone."),
    click.option("--port", type=int, default=8000, show_default=True, help="0 takes a free one."),
    click.option("--name", metavar="NAME", help="What requests call the model. [default: as --model]"),
    click.option(
        "--api-keys",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File of API keys, one a line. [env: VL3_API_KEYS, keys with commas; default: everyone may ask]",
    ),
    click.option("--media", type=FOLDER, help="Requests may name local files under this folder. [default: none]"),
    click.option("--files", type=FOLDER, help="Keep uploads here. [default: a temporary folder]"),
    click.option("--files-quota", type=int, default=10240, show_default=True, help="Most MiB of uploads kept."),
    click.option("--files-expiry", type=float, default=24.0, show_default=True, help="Hours an unused upload is kept."),
    click.option("--max-body", type=int, default=32, show_default=True, help="Largest request, in MiB."),
    click.option("--max-upload", type=int, default=2048, show_default=True, help="Largest upload or download, in MiB."),
    click.option("--max-running", type=int, default=8, show_default=True, help="Requests answered side by side."),
    click.option("--max-waiting", type=int, default=64, show_default=True, help="Requests that wait; more get 429."),
    click.option(
        "--prefix-cache",
        type=click.IntRange(min=0),
        default=1024,
        show_default=True,
        help="Most MiB of prompts kept as read, for questions that begin alike.",
    ),
    click.option(
        "--vision-cache",
        type=click.IntRange(min=0),
        default=256,
        show_default=True,
        help="Most MiB of images and videos kept as seen, for further questions about them.",
    ),
    click.option("--fetch-timeout", type=float, default=60.0, show_default=True, help="Most seconds of a download."),
    click.option("--request-timeout", type=float, default=600.0, show_default=True, help="Most seconds of a request."),
    click.option("--drain", type=float, default=60.0, show_default=True, help="Seconds to finish in when stopped."),
    click.option("--allow-private", is_flag=True, help="Also fetch from loopback and private addresses."),
    click.option("--cors", multiple=True, metavar="ORIGIN", help="Web origin that may ask. Can be given often."),
]


def server_options(function: F) -> F:
    """Where to listen, who may ask, and how much."""
    for option in reversed(_SERVER):
        function = option(function)
    return function


@click.command("serve")
@server_options
@model_options
def command(**given: Any) -> None:
    """Answer requests in the form of the OpenAI API, until Ctrl-C or SIGTERM; what was accepted is finished first.

    Standard output says where; standard error has one JSON line for each request. Needs: pip install 'vl3[serve]'

    \b
    Examples:
      vl3 serve
      vl3 serve --model DAMO-NLP-SG/VideoLLaMA3-2B --host 0.0.0.0 --api-keys keys.txt
      vl3 serve --media ~/videos --port 9000
    """
    serve(given, lambda _app, _serving: "API: /v1, documentation: /docs")


def serve(given: dict[str, Any], finish: "Callable[[FastAPI, Serving], str]") -> None:
    """Serves until a signal; `finish` may add to the app, and says what there is to see."""
    try:
        import fastapi  # noqa: F401
        import llguidance  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"the server needs {error.name}: pip install 'vl3[serve]'") from error
    from vl3.generate.service import Service
    from vl3.generate.service_config import ServiceConfig
    from vl3.serve.app import app_of
    from vl3.serve.keys import read_keys
    from vl3.serve.logs import setup_server_logging
    from vl3.serve.run import Server, address, bind
    from vl3.serve.serving import Serving

    config, keys = _config(given), read_keys(given["api_keys"])
    # before the model is loaded, so that what is wrong is said at once
    if config.media_folder is not None and not config.media_folder.is_dir():
        raise UserError(f"{config.media_folder}: the folder of local media does not exist")
    listener = bind(given["host"], given["port"])
    limits = ServiceConfig(
        max_running=given["max_running"],
        max_waiting=given["max_waiting"],
        prefix_bytes=given["prefix_cache"] * MIB,
        vision_bytes=given["vision_cache"] * MIB,
    )
    kept = min(limits.prefix_bytes, limits.vision_bytes)
    with (
        listener,
        loaded_assistant(
            given, side_by_side=limits.max_running, decoders=limits.num_decoders, kept_bytes=kept
        ) as assistant,
        Service(assistant, limits) as service,
    ):
        setup_server_logging(given["verbose"])
        if not len(keys) and given["host"] not in ("127.0.0.1", "localhost", "::1"):
            logger.warning("everyone who reaches %s may ask: there are no API keys (--api-keys)", given["host"])
        serving = Serving(service, assistant.checkpoint, config, keys)
        app = app_of(serving)
        what = finish(app, serving)
        server = Server(app, serving)
        click.echo(f"serving {config.model_name} at {address(listener)} ({what})")
        server.run(sockets=[listener])


def _config(given: dict[str, Any]) -> Any:
    """The options as the server's config."""
    from vl3.config import decode
    from vl3.serve.config import ServerConfig

    plain = {
        "model_name": given["name"] or given["model"],
        "media_folder": given["media"],
        "files_folder": given["files"],
        "files_quota_bytes": given["files_quota"] * MIB,
        "files_expiry_s": given["files_expiry"] * 3600,
        "max_body_bytes": given["max_body"] * MIB,
        "max_upload_bytes": given["max_upload"] * MIB,
        "request_timeout_s": given["request_timeout"],
        "max_requests": given["max_running"] + given["max_waiting"],
        "drain_s": given["drain"],
        "cors_origins": given["cors"],
        "fetch": {
            "allow_private": given["allow_private"],
            "max_bytes": given["max_upload"] * MIB,
            "timeout_s": given["fetch_timeout"],
        },
    }
    return decode(ServerConfig, plain, "options")
