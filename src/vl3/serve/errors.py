"""Errors as the OpenAI API writes them: {"error": {"message", "type", "param", "code"}}."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from vl3.errors import UserError

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
NO_RETRY = {"x-should-retry": "false"}
"""Tells the `openai` client that asking again would end the same way."""


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


class ApiError(HTTPException):
    """An error with the status that it is answered with."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code
        self.param = param

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        kind = TYPES.get(self.status_code, "invalid_request_error" if self.status_code < 500 else "server_error")
        detail = ErrorDetail(message=self.detail, type=kind, param=self.param, code=self.code)
        return ErrorBody(error=detail).model_dump()

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(self.body(), self.status_code, self.headers)


def busy(retry_after_s: int = 1) -> ApiError:
    """429: there is no room now."""
    message = f"the server is full; try again in {retry_after_s} s"
    return ApiError(429, message, code="server_busy", headers={"Retry-After": str(retry_after_s)})


def install(app: FastAPI) -> None:
    """Makes all errors of an app leave in this form."""

    @app.exception_handler(HTTPException)
    async def of_http(_request: Request, error: HTTPException) -> JSONResponse:
        if not isinstance(error, ApiError):
            error = ApiError(error.status_code, str(error.detail), headers=error.headers)
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def of_validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return ApiError(
                400, f"the body is not JSON: {first['ctx']['error']} at character {first['loc'][1]}"
            ).response()
        name, message = _deepest(error.errors())
        return ApiError(400, f"{name}: {message}" if name else message, param=name or None).response()

    @app.exception_handler(UserError)
    async def of_user(_request: Request, error: UserError) -> JSONResponse:
        return ApiError(400, _printable(str(error))).response()

    @app.exception_handler(Exception)
    async def of_bug(_request: Request, _error: Exception) -> JSONResponse:
        # the traceback goes to the log (Starlette raises the error again); strangers are not shown it
        return ApiError(500, "the server failed on this request; its log says why").response()


def _deepest(found: Sequence[Any]) -> tuple[str, str]:
    """(field, what is wrong with it). Where a field may have several forms, the form that was meant is the one that
    fits furthest."""
    about = [error for error in found if error["loc"][:2] == found[0]["loc"][:2]]
    error = max(about, key=lambda error: len(error["loc"]))
    steps = [str(step) for step in error["loc"][1:]]
    name = ".".join(step for step in steps if step != "str" and "[" not in step)
    if error["type"] == "too_long" and error["ctx"]["max_length"] == 0:
        message = "not supported here; leave it out"
    else:
        message = str(error["msg"]).removeprefix("Value error, ")
    return _printable(name[:200]), _printable(message)


def _printable(text: str) -> str:
    """Half of a surrogate pair, as broken JSON escapes give it, cannot be sent."""
    return text.encode("utf-8", "replace").decode()
