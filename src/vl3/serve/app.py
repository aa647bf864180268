"""The HTTP application: the routes of one server, and what stands before them."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, FastAPI, Path, Request
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response

from vl3 import __version__
from vl3.generate.service import Service
from vl3.serve import answers, chat, completions, errors, reference, upload
from vl3.serve.config import ServerConfig
from vl3.serve.gate import Gate
from vl3.serve.generation import ClientGoneError
from vl3.serve.keys import Keys
from vl3.serve.logs import AccessLog
from vl3.serve.serving import Serving
from vl3.weights import Checkpoint

DEFAULTS = ServerConfig()
SWEEP_EVERY_S = 600.0
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": errors.ErrorBody, "description": "What was wrong, and what to do"}
}


def create_app(
    service: Service, checkpoint: Checkpoint, config: ServerConfig = DEFAULTS, keys: Keys | None = None
) -> FastAPI:
    """An app that answers by `service`, which stays the caller's to close. UserError for folders that cannot be used.

    keys: who may call; None lets everyone.
    """
    return app_of(Serving(service, checkpoint, config, keys or Keys()))


def app_of(serving: Serving) -> FastAPI:
    """The app of what its routes work with."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        sweeper = asyncio.create_task(_sweep(serving))
        yield
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper
        serving.close()

    app = FastAPI(
        title="vl3",
        version=__version__,
        summary="VideoLLaMA3 by OpenAI's API",
        lifespan=lifespan,
        responses=ERRORS,
        docs_url=None,  # FastAPI's come from a network of others
        redoc_url=None,
    )
    errors.install(app)

    @app.exception_handler(ClientGoneError)
    async def of_nobody(_request: Request, _error: ClientGoneError) -> Response:
        return Response(status_code=499)  # for the log; nobody reads it

    guarded = [Depends(HTTPBearer(auto_error=False, description="An API key; the gate has checked it already"))]
    for routes in (chat.routes, completions.routes, upload.routes, _models, _metrics):
        app.include_router(routes(serving), dependencies=guarded)
    app.include_router(_health(serving))
    app.include_router(reference.routes(app))
    # the last one added is the first to see a request
    app.add_middleware(Gate, config=serving.config, keys=serving.keys)
    app.add_middleware(AccessLog, metrics=serving.metrics)
    if serving.config.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=serving.config.cors_origins, allow_methods=["*"], allow_headers=["*"]
        )
    return app


async def _sweep(serving: Serving) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        await anyio.to_thread.run_sync(serving.files.sweep)


def _models(serving: Serving) -> APIRouter:
    router = APIRouter()
    model = answers.Model(
        id=serving.config.model_name,
        created=int(time.time()),
        max_model_len=serving.checkpoint.config.language.max_positions,
    )

    @router.get("/v1/models", response_model=answers.Models, summary="List the models")
    def list_models() -> answers.Models:
        """The one model that the server runs."""
        return answers.Models(data=[model])

    @router.get("/v1/models/{model_id:path}", response_model=answers.Model, summary="Describe a model")
    def get_model(model_id: Annotated[str, Path(max_length=500)]) -> answers.Model:
        """What is known of a model."""
        serving.check_model(model_id)
        return model

    return router


def _metrics(serving: Serving) -> APIRouter:
    router = APIRouter()

    @router.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
    def metrics() -> Response:
        """Requests, durations, tokens, queue and memory, in Prometheus' text form."""
        return Response(serving.metrics.page(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _health(serving: Serving) -> APIRouter:
    router = APIRouter()

    @router.get("/health", response_model=answers.Health, summary="Is the process alive?")
    async def health() -> answers.Health:
        """Answers as long as the server runs, however busy it is."""
        return answers.Health(status="draining" if serving.draining else "ok")

    @router.get(
        "/ready",
        response_model=answers.Health,
        responses={503: {"model": answers.Health, "description": "It is being shut down"}},
        summary="May requests be sent here?",
    )
    async def ready() -> JSONResponse:
        """200 when the model is loaded, 503 once the server was told to stop."""
        state = answers.Health(status="draining" if serving.draining else "ok")
        return JSONResponse(state.model_dump(), 503 if serving.draining else 200)

    return router
