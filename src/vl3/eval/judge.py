"""A language model as judge of answers that rules cannot compare, with every verdict kept.

FOLDER/judge.jsonl holds a line for each prompt that was judged, so a verdict is asked for once: again only for another
judge, another wording or another answer.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from vl3.errors import UserError
from vl3.eval.parse import yes_or_no
from vl3.eval.task import Item, Score, Verdict
from vl3.lines import appending, whole_lines
from vl3.remote import ChatClient, Unreachable

MOST_TOKENS = 256
"""Length of a verdict."""
LONGEST = 4000
"""Characters of an answer that a judge reads, from its end, where the conclusion is."""


class Judge:
    """Asks a server for verdicts."""

    def __init__(self, client: ChatClient, num_parallel: int = 4) -> None:
        self.client = client
        self._num_parallel = num_parallel

    @property
    def facts(self) -> dict[str, str]:
        """What decides its verdicts; where it runs does not."""
        return {"model": self.client.model}

    def decide(
        self,
        cases: Sequence[tuple[Item, Verdict]],
        cache: Path,
        on_score: Callable[[Item, Score | UserError], None],
    ) -> None:
        """Judges all cases, in any order. A verdict that cannot be had or read is a UserError for its item."""
        known = _verdicts(cache)
        with appending(cache) as append, ThreadPoolExecutor(self._num_parallel) as pool:
            waiting = {}
            for item, verdict in cases:
                key = self._key(verdict.prompt)
                if key in known:
                    on_score(item, self._read(verdict, known[key]))
                else:
                    waiting[pool.submit(self._ask, verdict.prompt)] = (item, verdict, key)
            try:
                for done in as_completed(waiting):
                    item, verdict, key = waiting[done]
                    said = done.result()
                    if isinstance(said, Unreachable):
                        raise UserError(f"judge: {said}; answers and verdicts are kept, and the same call goes on")
                    if isinstance(said, UserError):
                        on_score(item, UserError(f"judge: {said}"))
                        continue
                    if verdict.score(said) is not None:  # a verdict that says nothing is asked for again
                        line = {"key": key, "id": item.id, "prompt": verdict.prompt, "verdict": said}
                        append(line)
                    on_score(item, self._read(verdict, said))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, prompt: str) -> str | UserError:
        messages = [{"role": "user", "content": prompt}]
        try:
            return self.client.complete({"messages": messages, "temperature": 0, "max_tokens": MOST_TOKENS}).text
        except UserError as error:
            return error

    def _key(self, prompt: str) -> str:
        return hashlib.sha256(json.dumps([self.client.model, prompt]).encode()).hexdigest()[:32]

    @staticmethod
    def _read(verdict: Verdict, said: str) -> Score | UserError:
        return verdict.score(said) or UserError(f"judge: its verdict says nothing: {said!r:.80}")


def _verdicts(cache: Path) -> dict[str, str]:
    """The verdicts that are known, by key."""
    found = {}
    for number, line in enumerate(whole_lines(cache, mend=True), 1):
        match line:
            case {"key": str(key), "verdict": str(verdict)}:
                found[key] = verdict
            case _:
                raise UserError(f"{cache}:{number}: not a verdict; delete the file to have all judged again")
    return found


RIGHT_OR_WRONG = """Somebody answered a question about an image or a video. Compare the answer with the true one. \
Other words for the same thing are right; missing, additional or contradicting facts are wrong if the question is \
about them.

Question: {question}
True answer: {truth}
Given answer: {answer}

Is the given answer right? Say yes or no, nothing else."""


def right_or_wrong(item: Item, answer: str) -> Verdict:
    """Asks whether an answer means what the truth says."""
    truth = " / ".join(item.truths)
    question = str(item.facts.get("question", item.question))

    def score(said: str) -> Score | None:
        found = yes_or_no(said)
        return None if found is None else Score(float(found == "yes"), answer.strip() or None)

    return Verdict(RIGHT_OR_WRONG.format(question=question, truth=truth, answer=answer.strip()[-LONGEST:]), score)
