"""A client of OpenAI-compatible chat servers: one call, which waits and tries again where that may help."""

import random
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2 as httpx

from vl3.config import configclass, decode
from vl3.errors import UserError


@configclass
class ServerConfig:
    """Where a server is, and how patient to be with it."""

    url: str
    """Up to and without /chat/completions, such as http://localhost:8000/v1."""
    model: str = ""
    """Its name for the model; empty takes the first that it lists."""
    key: str = ""
    """API key, sent as a bearer token."""
    timeout_s: float = 600.0
    """Longest wait for one answer."""
    tries: int = 6
    """How often a request is sent before it counts as failed: busy (429), failing (5xx) or silent servers only."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"an endpoint is a URL such as http://localhost:8000/v1, not {self.url!r}")


class BadRequest(UserError):  # noqa: N818 (HTTP's name for it)
    """The server will not answer this request, but may well answer others."""


class Unreachable(UserError):  # noqa: N818
    """The server is not there: no request can be answered."""


_THIS_REQUEST = (400, 413, 415, 422)
"""Statuses that say so."""


@dataclass(frozen=True)
class Completion:
    """What a server answered."""

    text: str
    finish_reason: str
    prompt_tokens: int
    """0 where the server does not say."""
    completion_tokens: int = 0
    """The same."""


class ChatClient:
    """Asks one model of one server. For several threads; a context manager."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.base = config.url.rstrip("/").removesuffix("/chat/completions")
        headers = {"Authorization": f"Bearer {config.key}"} if config.key else {}
        self._http = httpx.Client(timeout=config.timeout_s, headers=headers, follow_redirects=True)
        self.model = config.model or self._first_model()

    def complete(self, body: dict[str, Any]) -> Completion:
        """The first choice of a chat completion. UserError with the server's words if it refuses, BadRequest if that
        is for this request's sake."""
        data = self._post({"model": self.model, **body})
        try:
            choice = data["choices"][0]
            text = _text(choice["message"].get("content"))
            usage = data.get("usage") or {}
            tokens = [int(usage.get(key) or 0) for key in ("prompt_tokens", "completion_tokens")]
            return Completion(text, str(choice.get("finish_reason") or "stop"), *tokens)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{self.base}: its answer is no chat completion: {str(data)[:200]}") from error

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_model(self) -> str:
        try:
            found = self._json(self._http.get(f"{self.base}/models"))
            return str(found["data"][0]["id"])
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self.base}: cannot be reached ({error}); is the server running?") from error
        except (KeyError, IndexError, TypeError) as error:
            raise UserError(f"{self.base}/models: lists no model; name one with --model") from error

    def _post(self, body: dict[str, Any]) -> Any:
        for attempt in range(1, self.config.tries + 1):
            last = attempt == self.config.tries
            wait_s = min(30.0, 0.5 * 2**attempt) * random.uniform(0.5, 1)
            try:
                response = self._http.post(f"{self.base}/chat/completions", json=body)
            except httpx.InvalidURL as error:
                raise UserError(f"{self.base}: no URL: {error}") from error
            except httpx.TransportError as error:
                if last:
                    gone = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                    raise (Unreachable if gone else UserError)(
                        f"{self.base}: no answer ({type(error).__name__}: {error})"
                    ) from error
            else:
                if (response.status_code not in (408, 429) and response.status_code < 500) or last:
                    return self._json(response)
                wait_s = _retry_after(response, wait_s)
            time.sleep(wait_s)
        raise AssertionError("unreachable")

    def _json(self, response: httpx.Response) -> Any:
        if response.is_success:
            try:
                return response.json()
            except ValueError as error:
                raise UserError(f"{self.base}: answered something else than JSON; is the URL right?") from error
        kind = BadRequest if response.status_code in _THIS_REQUEST else UserError
        raise kind(f"{self.base}: {response.status_code}: {_message(response)}")


def _text(content: Any) -> str:
    """The words of a message: text, parts of type text, or none. TypeError for anything else."""
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    return "".join(part["text"] for part in parts)


def _retry_after(response: httpx.Response, otherwise_s: float) -> float:
    """How long the server asks to wait, one minute at most."""
    try:
        return min(60.0, max(0.0, float(response.headers["retry-after"])))
    except (KeyError, ValueError):
        return otherwise_s


def _message(response: httpx.Response) -> str:
    """What an error response says."""
    try:
        error = response.json()["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return response.text[:200] or response.reason_phrase


def server_config(url: str, model: str, key: str) -> ServerConfig:
    """UserError for what is no URL."""
    return decode(ServerConfig, {"url": url, "model": model, "key": key}, "endpoint")
