"""`vl3 ui`: the web page, beside the API, on a port."""

from typing import TYPE_CHECKING, Any

import click

from vl3.cli.options import model_options
from vl3.cli.serve import serve, server_options
from vl3.errors import UserError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from vl3.serve.serving import Serving


@click.command("ui")
@server_options
@click.option("--share", is_flag=True, help="Not offered: see --host and --api-keys.")
@model_options
def command(share: bool, **given: Any) -> None:
    """A web page to drop images or a video on and ask about them; the API of `vl3 serve` is there too.

    With API keys the page asks for one. Needs: pip install 'vl3[ui]'

    \b
    Examples:
      vl3 ui
      vl3 ui --model DAMO-NLP-SG/VideoLLaMA3-2B
      vl3 ui --host 0.0.0.0 --api-keys keys.txt
    """
    if share:
        raise UserError(
            "--share is not offered, since files and answers would pass through another company's servers: use "
            "--host 0.0.0.0 with --api-keys, or ssh -L 8000:127.0.0.1:8000 THIS_MACHINE"
        )
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"the page needs {error.name}: pip install 'vl3[ui]'") from error
    from vl3.config import decode
    from vl3.media import Decoder, FetchLimits
    from vl3.ui.config import PageConfig
    from vl3.ui.desk import Desk
    from vl3.ui.mount import mount, page_folder

    with page_folder() as folder, Decoder(given["decode_timeout"], FetchLimits(allow_private=False)) as decoder:

        def add_page(app: "FastAPI", serving: "Serving") -> str:
            limits = serving.config
            config = decode(
                PageConfig,
                {
                    "model_name": limits.model_name,
                    "max_files": limits.max_media,
                    "max_file_bytes": limits.max_upload_bytes,
                    "quota_bytes": limits.files_quota_bytes,
                    "file_expiry_s": limits.files_expiry_s,
                    "request_timeout_s": limits.request_timeout_s,
                    "max_requests": limits.max_requests,
                },
                "options",
            )
            desk = Desk(serving.service, serving.checkpoint, decoder, config, folder)
            keys = serving.keys
            login = (lambda key: keys.owner(f"Bearer {key}") is not None) if len(keys) else None
            serving.when_stopping.append(mount(app, desk, folder, login))
            return "the page; API: /v1, documentation: /docs"

        serve(given, add_page)
