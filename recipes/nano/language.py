"""Is the language kept? The 20 questions of KEPT, answered by two models side by side, as a Markdown table.

python -m recipes.nano.language build/nano/start nano
"""

import argparse
from collections.abc import Sequence

import vl3
from recipes.nano.data.text import KEPT
from vl3.chat import Message
from vl3.generate import Answer


def answers(model: str, questions: Sequence[str]) -> list[str]:
    """One line each, at most 60 tokens, the likeliest ones."""
    assistant = vl3.load(model, dtype="float32")
    requests: list[list[Message]] = [[{"role": "user", "content": text}] for text in questions]
    found = assistant.batch(requests, max_new_tokens=60)
    assistant.close()
    return [" ".join(answer.text.split()) + _mark(answer) for answer in found if isinstance(answer, Answer)]


def _mark(answer: Answer) -> str:
    return "" if answer.finish_reason == "stop" else " ..."


def table(questions: Sequence[str], before: Sequence[str], after: Sequence[str]) -> str:
    """Rows of question, before and after."""
    rows = [["question", "before", "after"], ["---"] * 3, *map(list, zip(questions, before, after, strict=True))]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="the checkpoint before any training")
    parser.add_argument("after", nargs="?", default="nano")
    given = parser.parse_args()
    print(table(KEPT, answers(given.before, KEPT), answers(given.after, KEPT)))


if __name__ == "__main__":
    main()
