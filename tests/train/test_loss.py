"""The chunked loss against torch's own cross-entropy, and its invariance to packing and splitting."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tests.tiny import tiny_model
from tests.train.runs import materials, tiny_run
from vl3.data import Pack
from vl3.train.distributed import join_world
from vl3.train.loss import IGNORE, cross_entropy, next_token_targets, token_weights
from vl3.train.objective import Objective
from vl3.train.trainer import Run


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_loss_and_gradients_are_those_of_torch(chunk: int, weighted: bool) -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(7, 16, requires_grad=True), torch.randn(50, 16, requires_grad=True)
    targets = torch.randint(0, 50, (7,))
    weights = torch.rand(7) if weighted else None
    total, per_token, likeliest = cross_entropy(hidden, head, targets, chunk, weights)
    (total * 0.3).backward()
    h, w = hidden.detach().requires_grad_(), head.detach().requires_grad_()
    expected = F.cross_entropy(F.linear(h, w), targets, reduction="none")
    assert torch.equal(likeliest, F.linear(h, w).argmax(dim=1) == targets)
    weighted_sum = (expected * (1 if weights is None else weights)).sum()
    torch.testing.assert_close(total.detach(), weighted_sum.detach())
    (weighted_sum * 0.3).backward()
    torch.testing.assert_close(per_token, expected.detach())
    torch.testing.assert_close(hidden.grad, h.grad)
    torch.testing.assert_close(head.grad, w.grad)


def test_no_supervised_token_gives_zero_gradients() -> None:
    hidden, head = torch.randn(4, 8, requires_grad=True), torch.randn(9, 8, requires_grad=True)
    total, per_token, _ = cross_entropy(hidden[:0], head, torch.zeros(0, dtype=torch.long))
    total.backward()
    assert float(total.detach()) == 0 and per_token.shape == (0,)
    assert hidden.grad is not None and not hidden.grad.any()


def test_targets_never_cross_samples() -> None:
    labels = torch.tensor([IGNORE, 5, 6, 7, 8, IGNORE])
    assert next_token_targets(labels, [3, 3]).tolist() == [5, 6, IGNORE, 8, IGNORE, IGNORE]


def test_an_answer_counts_as_the_root_of_its_tokens() -> None:
    targets = torch.tensor([IGNORE, 5, 6, 7, 8, IGNORE, IGNORE, 9, IGNORE, 2, 3])
    of_answers = [4, 1, 2]  # tokens of the three runs
    weights = token_weights(targets, "square_root")
    sums = [float(piece.sum()) for piece in weights.split(of_answers)]
    assert sums == pytest.approx([n**0.5 for n in of_answers])
    assert token_weights(targets, "tokens").tolist() == [1.0] * 7
    assert token_weights(targets[:1], "square_root").shape == (0,)


@pytest.mark.parametrize("weighting", ["tokens", "square_root"])
def test_a_step_follows_the_weighting_of_its_recipe(tmp_path: Path, weighting: str) -> None:
    materials(tmp_path)
    run = Run(tiny_run(tmp_path, tmp_path / "run", weighting=weighting), join_world("cpu"))
    [pack, *_] = run.batches.next_step()
    terms = run.objective(pack)
    answers: list[list[float]] = []  # runs of supervised tokens, found one by one
    losses, before = iter(terms.per_token.tolist()), False
    for target in next_token_targets(pack.labels, pack.lengths).tolist():
        if target != IGNORE:
            if not before:
                answers.append([])
            answers[-1].append(next(losses))
        before = target != IGNORE
    power = {"tokens": 0.0, "square_root": -0.5}[weighting]
    assert float(terms.answers.detach()) == pytest.approx(
        sum(len(one) ** power * sum(one) for one in answers), rel=1e-5
    )
    assert run.objective.answers_weight(pack) == pytest.approx(sum(len(one) ** power * len(one) for one in answers))


def _text_pack(lengths: list[int], ids: torch.Tensor) -> Pack:
    mask = torch.zeros(len(ids), dtype=torch.bool)
    return Pack(ids, ids.clone(), mask, lengths, [], ["x"] * len(lengths))


def test_packing_and_accumulation_do_not_change_loss_or_gradients() -> None:
    torch.manual_seed(0)
    lengths = [5, 9, 3]
    ids = torch.randint(0, 256, (sum(lengths),))
    whole, apart = Objective(tiny_model()), Objective(tiny_model())
    total = whole(_text_pack(lengths, ids)).answers
    total.backward()
    sum_apart = torch.zeros(())
    for piece in ids.split(lengths):
        part = apart(_text_pack([len(piece)], piece)).answers
        part.backward()
        sum_apart += part.detach()
    torch.testing.assert_close(total.detach(), sum_apart, rtol=1e-5, atol=1e-5)
    for (name, a), b in zip(whole.model.named_parameters(), apart.model.parameters(), strict=True):
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5, msg=name)


def test_tied_rows_and_head_have_the_gradient_that_autograd_gives() -> None:
    torch.manual_seed(0)
    ids = torch.randint(0, 40, (12,))
    ours, plain = Objective(tiny_model()), Objective(tiny_model())
    assert ours.model.language.lm_head is None
    plain._embed = plain.model.language.embed_tokens  # type: ignore[method-assign]
    for _ in range(2):  # the second time onto a gradient that is there already
        for objective in (ours, plain):
            objective(_text_pack([5, 7], ids))[0].backward()
    ours_w, plain_w = (objective.model.language.embed_tokens.weight for objective in (ours, plain))
    assert plain_w.grad[ids].any() and ours_w.grad is not None
    torch.testing.assert_close(ours_w.grad, plain_w.grad, rtol=1e-5, atol=1e-6)


def test_a_dummy_look_changes_nothing_and_reaches_the_encoder() -> None:
    pack = _text_pack([6], torch.arange(6))
    plain, looking = Objective(tiny_model()), Objective(tiny_model(), always_look=True)
    a, b = plain(pack)[0], looking(pack)[0]
    assert torch.equal(a, b)
    b.backward()
    for parameter in looking.model.vision.parameters():
        assert parameter.grad is not None and not parameter.grad.any()
