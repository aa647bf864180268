"""Independent questions of one picture: one sequence with branches learns what separate samples would."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.tiny import tiny_model
from vl3.data import SourceConfig, open_source
from vl3.data.pack import join
from vl3.data.prepare import Preparer, branching
from vl3.data.schema import parse
from vl3.errors import UserError
from vl3.media import Decoder
from vl3.model.attention import branch_mask
from vl3.processing import Processor
from vl3.train.objective import Objective
from vl3.weights.demo import save_demo_model

QUESTIONS = [("Colour?", "red"), ("Colour of it?", "it is red"), ("Colour?", "red"), ("How many?", "1")]


def record(independent: bool, pairs: list[tuple[str, str]]) -> dict[str, object]:
    turns = []
    for index, (question, answer) in enumerate(pairs):
        turns += [
            {"from": "human", "value": "<image>\n" * (index == 0) + question},
            {"from": "gpt", "value": answer},
        ]
    return {"image": "a.png", "conversations": turns, "independent": independent}


def test_branches_learn_what_separate_samples_do(tmp_path: Path) -> None:
    checkpoint = save_demo_model(tmp_path / "model")
    Image.new("RGB", (42, 28), (200, 30, 30)).save(tmp_path / "a.png")
    rows = [record(True, QUESTIONS), *(record(False, [pair]) for pair in QUESTIONS)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    processor = Processor(checkpoint.processor, checkpoint.tokenizer, checkpoint.config)
    source = open_source(SourceConfig(path=str(tmp_path / "a.json")))
    preparer = Preparer(processor, source.config, 2000)
    with Decoder() as decoder:
        together, *alone = [preparer.inputs(source.get(index), decoder) for index in range(len(rows))]
    assert len(together.visuals) == 1 and len(together.branches) == 1 + len(QUESTIONS)
    assert together.num_tokens == sum(inputs.num_tokens for inputs in alone) - 3 * together.branches[0]
    results = []
    for samples in ([together], alone, [alone[0], together, alone[1]]):
        checkpoint.model.zero_grad()
        objective = Objective(checkpoint.model)
        total, per_token, *_ = objective(join([("x", inputs) for inputs in samples]))
        total.backward()
        gradient = checkpoint.model.vision.blocks[0].mlp.fc1.weight.grad
        assert gradient is not None
        results.append((per_token, gradient.clone()))
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-5, rtol=1e-4)
    n = [int((inputs.labels != -100).sum()) for inputs in alone]
    torch.testing.assert_close(results[2][0][n[0] : -n[1]], results[0][0], atol=1e-5, rtol=1e-5)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_branch_gives_what_it_gives_alone(branches: list[int]) -> None:
    model = tiny_model()
    x = torch.randn(sum(branches), model.config.language.hidden_size)
    with torch.no_grad():
        out = model.language(x, [len(x)], branches=[branches])
        trunk, *others = x.split(branches)
        for branch, found in zip(others, out.split(branches)[1:], strict=True):
            alone = model.language(torch.cat([trunk, branch]), [len(trunk) + len(branch)])
            torch.testing.assert_close(found, alone[len(trunk) :], atol=1e-5, rtol=1e-5)


def test_mask_of_a_small_tree() -> None:
    seen = branch_mask([2, 1, 2], torch.device("cpu")).int().tolist()
    assert seen == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [1, 1, 0, 1, 1]]


def test_what_cannot_be_independent() -> None:
    with_media = record(True, QUESTIONS[:2])
    with_media["image"] = ["a.png", "b.png"]
    with_media["conversations"][2]["value"] = "<image>\nAnd?"  # type: ignore[index]
    with pytest.raises(UserError, match="belong to the first"):
        parse(with_media, "x")


def test_one_question_is_a_trunk_and_a_branch(tmp_path: Path) -> None:
    checkpoint = save_demo_model(tmp_path / "model")
    processor = Processor(checkpoint.processor, checkpoint.tokenizer, checkpoint.config)
    messages = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}]
    inputs = processor.inputs(messages, [], [], add_generation_prompt=False)
    whole = branching([inputs])
    assert torch.equal(whole.input_ids, inputs.input_ids) and sum(whole.branches) == inputs.num_tokens
