"""Questions put to an OpenAI-compatible server."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from vl3.errors import UserError
from vl3.eval.log import Reply
from vl3.eval.task import Item
from vl3.generate import Options
from vl3.media import Decoder
from vl3.remote import ChatClient, RequestWriter, Unreachable, VideoForm
from vl3.remote.request import shown_prompt


class EndpointAnswerer:
    """Answers by asking a server, `num_parallel` questions at a time."""

    def __init__(
        self, client: ChatClient, decoder: Decoder, options: Options, video: VideoForm, num_parallel: int
    ) -> None:
        self._client, self._num_parallel = client, num_parallel
        self._writer = RequestWriter(decoder, options, video)

    def __call__(self, items: Sequence[Item], on_reply: Any) -> None:
        """See `vl3.eval.answerers.Answerer`."""
        with ThreadPoolExecutor(self._num_parallel) as pool:
            waiting = {pool.submit(self._ask, item): item for item in items}
            try:
                for done in as_completed(waiting):
                    reply = done.result()
                    if isinstance(reply, Unreachable):
                        raise UserError(f"{reply}; the answers so far are kept, and the same call goes on")
                    on_reply(waiting[done], reply)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, item: Item) -> Reply | UserError:
        start = time.perf_counter()
        try:
            frames: list[list[float]] = []
            body = self._writer.body(item.messages, frames)
            found = self._client.complete(body)
        except UserError as error:
            return error
        return Reply(
            text=found.text,
            prompt=shown_prompt(body["messages"]),
            seconds=time.perf_counter() - start,
            finish_reason=found.finish_reason,
            frames_s=frames,
        )
