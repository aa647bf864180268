"""Dense alignment: its loss against a plain computation, what it leaves alone, and that it teaches."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.tiny import tiny_checkpoint
from tests.train.runs import tiny_run
from vl3.data import Pack
from vl3.errors import UserError
from vl3.model import Visual
from vl3.train import train
from vl3.train.align import LATER_TOKEN, PLACE_SHARE, SIZE_WEIGHT, Align, _thirds, align_weight
from vl3.train.config import AlignConfig
from vl3.weights import load_checkpoint
from vl3.weights.demo import save_demo_model

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


def pack_of(texts: list[str | None], rows: int, columns: int) -> Pack:
    visual = Visual(
        torch.zeros(rows * columns, 588, dtype=torch.uint8), (1, rows, columns), 1, torch.ones(1, rows * columns).bool()
    )
    ids = torch.zeros(rows * columns, dtype=torch.long)
    return Pack(ids, ids - 100, ids == 0, [len(ids)], [visual], ["x"], visual_texts=texts)


def test_the_loss_is_what_its_description_says(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("ab\nba\nc\n")
    config = AlignConfig(texts=str(tmp_path / "texts.txt"), background=0.25)
    checkpoint = tiny_checkpoint()
    words = checkpoint.model.language.embed_tokens.weight.detach()
    align = Align(config, checkpoint.tokenizer, words)
    texts = ["ab", "", None, "new", "c", "ba"]
    tokens = torch.randn(6, words.shape[1]) * 0.3
    loss, named = align(tokens, pack_of(texts, 2, 3))

    def meaning(text: str) -> torch.Tensor:
        ids = checkpoint.tokenizer.encode(" " + text).ids
        weights = [LATER_TOKEN**k for k in range(len(ids))]
        return sum(w * words[i].double() for w, i in zip(weights, ids, strict=True)) / sum(weights)

    known = torch.stack([meaning(text) for text in ("ab", "ba", "c")])
    mean = known.mean(0)
    size = (known - mean).norm(dim=1).mean()

    def direction(text: str) -> torch.Tensor:
        return meaning(text) - mean

    candidates = torch.stack([align.background[0].double(), *(direction(t) for t in ("ab", "ba", "c", "new"))])
    rows = {"": 0, "ab": 1, "ba": 2, "c": 3, "new": 4}
    down = [F.normalize(direction(w), dim=0) for w in ("top", "middle", "bottom")]
    across = [F.normalize(direction(w), dim=0) for w in ("left", "center", "right")]
    total, right = 0.0, 0
    for place, text in enumerate(texts):
        if text is None:
            continue
        row, column = divmod(place, 3)
        # two rows: each a quarter from the edge, halfway between an end and the middle
        vertical = 0.25 * down[1] + 0.75 * down[0 if row == 0 else 2]
        bare = tokens[place].double() - mean - PLACE_SHARE * size * (vertical + across[column]) / 2
        cosines = F.cosine_similarity(bare[None], candidates)
        logits = align.log_scale.double().exp() * cosines
        each = F.cross_entropy(logits, torch.tensor(rows[text]), label_smoothing=0.05)
        each = each + SIZE_WEIGHT * (bare.norm() / size - 1) ** 2
        total += each.item() * (1.0 if text else 0.25)
        right += bool(text) and int(logits.argmax()) == rows[text]
    assert loss.item() == pytest.approx(total, rel=1e-4)
    assert named.tolist() == [right, 4]
    assert align_weight(pack_of(texts, 2, 3), config) == 4.25


def test_places_blend_from_end_to_end() -> None:
    for count in (1, 2, 3, 7):
        shares = _thirds(count)
        torch.testing.assert_close(shares.sum(1), torch.ones(count))
        assert bool((shares >= 0).all())
        torch.testing.assert_close(shares.flip(0), shares.flip(1))
    torch.testing.assert_close(_thirds(3), torch.eye(3))


def write_regions(folder: Path, count: int, seed: int) -> Path:
    """Pictures of one coloured patch, whose region says its colour."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    lines = []
    for index in range(count):
        colour = list(COLOURS)[rng.integers(3)]
        picture = np.zeros((42, 42, 3), dtype=np.uint8)
        row, column = rng.integers(3), rng.integers(3)
        picture[14 * row : 14 * row + 14, 14 * column : 14 * column + 14] = COLOURS[colour]
        Image.fromarray(picture).save(folder / f"{index}.png")
        box = [333 * column + 1, 333 * row + 1, 333 * column + 333, 333 * row + 333]
        turns = [{"from": "human", "value": "Colour?"}, {"from": "gpt", "value": colour}]
        regions = [{"box": [int(side) for side in box], "text": colour}]
        lines.append(json.dumps({"image": f"{index}.png", "conversations": turns, "regions": regions}))
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "samples.jsonl"


def test_alignment_teaches_the_encoder_and_leaves_the_language_model_alone(tmp_path: Path) -> None:
    save_demo_model(tmp_path / "model")
    samples = write_regions(tmp_path / "train", 60, seed=0)
    (tmp_path / "texts.txt").write_text("\n".join(COLOURS) + "\n")
    data = {"sources": [str(samples)], "samples_per_step": 10, "pack_tokens": 256, "num_workers": 0}
    config = tiny_run(
        tmp_path,
        tmp_path / "run",
        data=data,
        steps=40,
        vision={"lr": 3e-3},
        projector={"lr": 3e-3},
        language={"lr": 0},
        align={"texts": str(tmp_path / "texts.txt")},
        save={"every_steps": 40, "layouts": ["vl3"]},
        held_out={"data": {"sources": [str(write_regions(tmp_path / "held_out", 6, seed=1))]}, "every_steps": 40},
    )
    train(config)
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    *steps, measured = log
    assert steps[-1]["align_loss"] < steps[0]["align_loss"] * 0.7
    assert steps[-1]["align_accuracy"] > 0.8 > steps[0]["align_accuracy"]
    assert measured["held_out_named"] > 0.6
    before, after = load_checkpoint(tmp_path / "model"), load_checkpoint(tmp_path / "run")
    for (name, a), b in zip(before.model.state_dict().items(), after.model.state_dict().values(), strict=True):
        assert torch.equal(a, b) == name.startswith("language."), name


def test_missing_texts_are_named(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    embedding = checkpoint.model.language.embed_tokens.weight
    (tmp_path / "empty.txt").write_text("\n\n")
    for path, fault in ((tmp_path / "none.txt", "cannot be read"), (tmp_path / "empty.txt", "no texts")):
        with pytest.raises(UserError, match=fault):
            Align(AlignConfig(texts=str(path)), checkpoint.tokenizer, embedding)
