"""`vl3 data` as its users meet it."""

import json
from pathlib import Path

from tests.cli.test_cli import PHOTO, model, vl3

__all__ = ["model"]


def annotations(folder: Path) -> str:
    rows = [
        {
            "image": [PHOTO],
            "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A."}],
        },
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]},
        {"image": ["none.png"], "conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "A."}]},
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / "train.jsonl")


def test_check_lists_problems_and_counts_tokens(tmp_path: Path, model: str) -> None:
    path = annotations(tmp_path)
    status, out, _ = vl3("data", "check", path)
    assert status == 1
    assert f"{path}:3: " in out and "none.png" in out
    assert "3 samples: 1 problems; good: 1 image, 1 text" in out
    status, out, _ = vl3("data", "check", path, "--json", "--model", model)
    found = json.loads(out)
    assert (found["samples"], found["kinds"]) == (3, {"image": 1, "text": 1})
    assert len(found["token_lengths"]) == 2 and len(found["problems"]) == 1


def test_show_prints_what_the_model_sees(tmp_path: Path, model: str) -> None:
    path = annotations(tmp_path)
    status, out, _ = vl3("data", "show", path, "0", model=model)
    assert status == 0
    assert "visual tokens>\nWhat?<|im_end|>" in out and "<|im_start|>assistant\nA.<|im_end|>" in out
    assert "3 trained on" in out
    status, _, errors = vl3("data", "show", path, "9", model=model)
    assert status == 2 and "has samples 0 to 2" in errors
