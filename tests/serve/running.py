"""A server on a real port, in a thread of the test's process."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import openai
from fastapi import FastAPI

from tests.tiny import tiny_checkpoint
from vl3.generate import Assistant
from vl3.generate.service import Service
from vl3.generate.service_config import ServiceConfig
from vl3.media import Decoder
from vl3.serve.app import app_of
from vl3.serve.config import ServerConfig
from vl3.serve.keys import Keys
from vl3.serve.run import Server, address, bind
from vl3.serve.serving import Serving

MODEL = "tiny"
DEFAULTS, SERVICE_DEFAULTS = ServerConfig(), ServiceConfig()


@dataclass(frozen=True)
class Running:
    """A server that can be asked."""

    url: str
    serving: Serving
    server: Server

    def client(self, key: str = "none", **options: object) -> openai.OpenAI:
        """The official client; it does not try again, so that tests see what the server says."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=60, **options)  # type: ignore[arg-type]

    def idle(self, within_s: float = 10.0) -> bool:
        """Whether the engine has nothing left to do, soon."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            stats = self.serving.service.stats()
            if stats.running == stats.waiting == stats.kv_bytes == 0:
                return True
            time.sleep(0.02)
        return False


@contextmanager
def running(
    config: ServerConfig = DEFAULTS,
    keys: tuple[str, ...] = (),
    service_config: ServiceConfig = SERVICE_DEFAULTS,
    make_service: Callable[[Assistant, ServiceConfig], Service] = Service,
    finish: Callable[[FastAPI, Serving], None] = lambda _app, _serving: None,
) -> Iterator[Running]:
    """Serves the tiny model until the block ends; `finish` may add to the app."""
    checkpoint = tiny_checkpoint()
    with Decoder(time_limit_s=20) as decoder:
        assistant = Assistant(checkpoint, decoder)
        with make_service(assistant, service_config) as service:
            serving = Serving(service, checkpoint, replace(config, model_name=MODEL), Keys(keys))
            app = app_of(serving)
            finish(app, serving)
            server = Server(app, serving)
            listener = bind("127.0.0.1", 0)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            while not server.started:
                time.sleep(0.01)
            try:
                yield Running(address(listener), serving, server)
            finally:
                serving.drain()
                server.should_exit = True
                thread.join(30)
                assert not thread.is_alive()
