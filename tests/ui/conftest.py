"""A desk over the tiny model, and a page with an API beside it on a port."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from PIL import Image

from tests.media.clips import picture, write_clip
from tests.saying import Saying
from tests.serve.running import Running, running
from tests.tiny import tiny_checkpoint
from vl3.generate import Assistant
from vl3.media import Decoder
from vl3.serve.config import ServerConfig
from vl3.serve.serving import Serving
from vl3.ui.config import PageConfig
from vl3.ui.desk import Desk
from vl3.ui.mount import mount, page_folder


@pytest.fixture(scope="session")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clip.mp4, four seconds of numbered frames, and a.png."""
    folder = tmp_path_factory.mktemp("dropped")
    write_clip(folder / "clip.mp4", [250 * number for number in range(16)])
    Image.fromarray(picture(5)).save(folder / "a.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Saying]]:
    checkpoint = tiny_checkpoint()
    with Decoder(20) as decoder, Decoder(20) as own, Saying(Assistant(checkpoint, decoder)) as service:
        yield Desk(service, checkpoint, own, PageConfig(max_files=3), tmp_path_factory.mktemp("boxes")), service


@contextmanager
def page_running(config: ServerConfig = ServerConfig(), keys: tuple[str, ...] = ()) -> Iterator[Running]:  # noqa: B008
    """The page on a port; `serving.service` is a `Saying`."""
    with page_folder() as folder, Decoder(20) as decoder:

        def add_page(app: FastAPI, serving: Serving) -> None:
            limits = PageConfig(
                model_name="tiny", max_file_bytes=config.max_upload_bytes, quota_bytes=config.files_quota_bytes
            )
            desk = Desk(serving.service, serving.checkpoint, decoder, limits, folder)
            login = (lambda key: serving.keys.owner(f"Bearer {key}") is not None) if keys else None
            serving.when_stopping.append(mount(app, desk, folder, login))

        with running(config, keys, make_service=Saying, finish=add_page) as server:
            yield server


@pytest.fixture(scope="module")
def page() -> Iterator[Running]:
    """A page that everyone may use."""
    with page_running() as server:
        yield server
