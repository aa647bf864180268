"""What is measured on held-out samples, against answers that are really generated."""

from pathlib import Path

import torch

from tests.train.runs import materials, tiny_run
from vl3.data import Loader, Pack
from vl3.processing import Processor
from vl3.train.distributed import World
from vl3.train.held_out import _exact, answer, figures, first_questions
from vl3.train.objective import Objective
from vl3.weights import load_checkpoint

ALONE = World(0, 1, torch.device("cpu"))


def test_an_exact_answer_is_one_that_greedy_decoding_gives(tmp_path: Path) -> None:
    materials(tmp_path)
    start = load_checkpoint(tmp_path / "model", dtype=torch.float32)
    data = tiny_run(tmp_path, tmp_path / "run").data
    packs = Loader(data, Processor(start.processor, start.tokenizer, start.config)).first(30)
    objective, stop = Objective(start.model.eval()), set(start.eos_token_ids)
    optimizer = torch.optim.AdamW(start.model.parameters(), lr=3e-3)
    for _ in range(6):  # half-learnt: some answers are right, some are not
        for pack in packs:
            terms = objective(pack)
            (terms.answers / len(terms.per_token)).backward()
            optimizer.step()
            optimizer.zero_grad()
    questions = first_questions(packs, 30)
    said = [answer(objective, q, 12, stop, ALONE) == [t for t in q.truth if t not in stop] for q in questions]
    assert 0 < sum(said) < len(said)
    assert figures(objective, packs, ALONE, False)["held_out_exact"] == sum(said) / len(said)


def test_answers_are_counted_apart() -> None:
    labels = torch.tensor([-100, 5, 6, -100, 7, -100, 8, 9])
    pack = Pack(torch.zeros(8, dtype=torch.long), labels, torch.zeros(8, dtype=torch.bool), [5, 3])
    # answers: (5, 6), (7) and, in the second sample, (8, 9)
    assert _exact(pack, torch.tensor([True, True, True, True, True])) == (3, 3)
    assert _exact(pack, torch.tensor([True, False, True, True, True])) == (2, 3)
    assert _exact(pack, torch.tensor([True, True, False, False, True])) == (1, 3)
