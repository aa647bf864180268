"""Steps with models: tiny ones, and what they say held to plain computations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.curate.pools import picture, recipe, rows_after, write_table
from vl3.curate import curate
from vl3.curate.features import ContrastiveModel, vision_encoder
from vl3.curate.likelihood import Reader
from vl3.curate.step import Place, Rows
from vl3.curate.steps.aesthetic import AestheticConfig, apply_head, read_head
from vl3.curate.steps.balance import BalanceConfig, cap
from vl3.curate.steps.cluster import ClusterConfig, assign
from vl3.curate.steps.similar import SimilarConfig, find
from vl3.errors import UserError
from vl3.generate import load
from vl3.weights.demo import save_demo_model

PLAIN = {"runner": {"kind": "plain"}}


class Memory:
    """A pool in memory, in batches of seven."""

    def __init__(self, rows: Rows) -> None:
        self._rows = {"id": [f"row {n}" for n in range(len(next(iter(rows.values()))))], **rows}

    def __len__(self) -> int:
        return len(self._rows["id"])

    def read(self, columns: Any) -> Rows:
        return {name: self._rows[name] for name in ("id", *columns)}

    def batches(self, columns: Any) -> Any:
        for start in range(0, len(self), 7):
            yield {name: values[start : start + 7] for name, values in self.read(columns).items()}


def blobs(sizes: list[int], width: int = 16, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Unit vectors around as many directions, and which direction each belongs to."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(width, width)))[0][: len(sizes)]
    owners = [number for number, size in enumerate(sizes) for _ in range(size)]
    found = centres[owners] + rng.normal(0, 0.05, (len(owners), width))
    return found / np.linalg.norm(found, axis=1, keepdims=True), owners


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_demo_model(folder)
    return str(folder)


def test_clusters_are_the_groups_that_there_are(tmp_path: Path) -> None:
    features, owners = blobs([60, 20, 10, 5])
    found = assign(ClusterConfig(clusters=4), Memory({"embedding": features.tolist()}), Place(tmp_path, tmp_path))
    pairs = {(owner, cluster) for owner, cluster in zip(owners, found.columns["cluster"], strict=True)}
    assert len(pairs) == 4
    centres = np.load(tmp_path / "centres.npy")
    cosine = (features * centres[found.columns["cluster"]]).sum(1)
    np.testing.assert_allclose(found.columns["centre_similarity"], cosine, atol=1e-5)


def test_balance_takes_the_preferred_of_each_group(tmp_path: Path) -> None:
    rows: Rows = {"cluster": [0] * 10 + [1] * 4 + [2] * 2, "quality": [n / 16 for n in range(16)]}
    found = cap(BalanceConfig(most=3, prefer="quality"), Memory(rows), Place(tmp_path, tmp_path))
    kept = [number for number, reason in enumerate(found.reasons) if reason is None]
    assert kept == [7, 8, 9, 11, 12, 13, 14, 15]
    by_median = cap(BalanceConfig(times=1.0, prefer=None), Memory(rows), Place(tmp_path, tmp_path))
    assert sum(reason is None for reason in by_median.reasons) == 4 + 4 + 2


def test_similar_keeps_one_of_each_family_as_all_pairs_would(tmp_path: Path) -> None:
    features, owners = blobs([40, 30], seed=3)
    features[5], features[45] = features[9], features[50]
    nearness = np.linspace(1, 0, len(owners))
    rows: Rows = {"embedding": features.tolist(), "cluster": owners, "centre_similarity": nearness.tolist()}
    found = find(SimilarConfig(min_similarity=0.97), Memory(rows), Place(tmp_path, tmp_path))
    kept: list[int] = []
    half = features.astype(np.float16).astype(np.float64)
    for number in range(len(owners)):  # nearness falls with the number
        if all(owners[k] != owners[number] or half[k] @ half[number] < 0.97 for k in kept):
            kept.append(number)
    assert [number for number, reason in enumerate(found.reasons) if reason is None] == kept
    assert found.columns["duplicate_of"][9] is not None or found.columns["duplicate_of"][5] is not None
    assert not (tmp_path / "features.unfinished").exists()


def test_features_are_the_encoders_mean_whatever_else_is_in_the_batch(tiny: str) -> None:
    images = [picture(seed, 100 + 30 * seed, 80) for seed in range(3)]
    encode = vision_encoder(tiny, "cpu", 64)
    together, alone = encode(images), np.concatenate([encode([image]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_log_likelihoods_are_those_of_one_token_after_another(tiny: str) -> None:
    pairs: list[tuple[Image.Image | None, str]] = [
        (picture(1), "a red cat"),
        (None, "dog"),
        (picture(2, 60, 90), "two"),
    ]
    reader = Reader(tiny, "cpu", 64, "What is it?")
    found = reader.log_likelihoods(pairs)
    checkpoint = load(tiny, device="cpu").checkpoint
    for (image, text), value in zip(pairs, found, strict=True):
        inputs = reader._inputs(image, text)
        answer = [int(label) for label in inputs.labels if label != -100]
        assert checkpoint.tokenizer.decode(answer, skip_special_tokens=True) == text
        total = 0.0
        for end in [int(place) for place in (inputs.labels != -100).nonzero()]:
            with torch.inference_mode():
                hidden = checkpoint.model(inputs.input_ids[:end], [end], inputs.visuals, inputs.visual_mask[:end])
                scores = checkpoint.model.logits(hidden[-1:]).float()[0].log_softmax(-1)
            total += float(scores[inputs.input_ids[end]])
        assert value == pytest.approx(total / len(answer), abs=1e-4)


def test_a_pool_is_embedded_clustered_balanced_and_judged(tmp_path: Path, tiny: str) -> None:
    rows = []
    for seed in range(6):
        picture(seed).save(tmp_path / f"{seed}.png")
        rows.append({"image": f"{seed}.png", "caption": f"thing {seed}" if seed else None})
    steps = {
        "decode": None,
        "agreement": {"model": tiny, "min_score": -100},
        "embed": {"model": tiny},
        "cluster": {"clusters": 2},
        "similar": {"min_similarity": 1.0},
        "balance": {"most": 2},
    }
    outcomes = curate(recipe(tmp_path, write_table(tmp_path, rows), steps, part_rows=4, **PLAIN))
    assert outcomes[2].reasons == {"no text": 1}
    found = [row for row in rows_after(outcomes[-1]) if row["dropped_by"] in (None, "balance")]
    assert len(found) == 5
    assert all(len(row["embedding"]) and row["agreement"] is not None and row["cluster"] in (0, 1) for row in found)


def test_no_model_is_loaded_where_no_row_is_left(tmp_path: Path) -> None:
    picture(0, width=40, height=40).save(tmp_path / "0.png")
    source = write_table(tmp_path, [{"image": "0.png", "caption": "too small"}])
    (tmp_path / "no-model").mkdir()
    for min_side in (64, 32):
        folder = tmp_path / str(min_side)
        folder.mkdir()
        steps = {"decode": None, "shape": {"min_side": min_side}, "agreement": {"model": str(tmp_path / "no-model")}}
        run = recipe(folder, source, steps, **PLAIN)
        if min_side == 64:
            assert rows_after(curate(run)[-1])[0]["dropped_by"] == "shape"
        else:
            with pytest.raises(UserError, match="no-model"):
                curate(run)


def clip_model(folder: Path) -> Path:
    """A tiny random CLIP model with a tokenizer of letters."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    letters = [chr(code) for code in range(97, 123)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[])
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**small, "vocab_size": len(words), "eos_token_id": len(words) - 1, "max_position_embeddings": 20},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPProcessor(CLIPImageProcessor(size=size, crop_size=size), tokenizer).save_pretrained(folder)
    return folder


def test_similarity_is_the_models_own_cosine(tmp_path: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    folder = clip_model(tmp_path / "clip")
    images, texts = [picture(seed) for seed in range(3)], ["a cat", "dog", "two red birds on a very long branch indeed"]
    ours = ContrastiveModel(str(folder), "cpu")
    theirs, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    with torch.inference_mode():
        inputs = processor(images=images, text=texts, padding=True, truncation=True, max_length=20, return_tensors="pt")
        logits = theirs(**inputs).logits_per_image / theirs.logit_scale.exp()
    np.testing.assert_allclose(ours.images(images) @ ours.texts(texts).T, logits.numpy(), atol=1e-5)
    with pytest.raises(UserError, match="cannot be loaded as a CLIP or SigLIP model"):
        ContrastiveModel(str(tmp_path / "nothing"), "cpu")


def test_a_head_is_a_chain_of_linear_layers(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    head = torch.nn.Sequential(torch.nn.Linear(8, 5), torch.nn.ReLU(), torch.nn.Linear(5, 1))
    save_file({f"layers.{name}": value for name, value in head.state_dict().items()}, tmp_path / "head.safetensors")
    config = AestheticConfig(weights=str(tmp_path / "head.safetensors"), activation="relu")
    features = torch.randn(4, 8)
    found = apply_head(read_head(tmp_path / "head.safetensors"), features.numpy(), config)
    np.testing.assert_allclose(found, head(features)[:, 0].detach().numpy(), atol=1e-5)
    with pytest.raises(UserError, match="features of width 8, but embed wrote 3"):
        apply_head(read_head(tmp_path / "head.safetensors"), np.zeros((1, 3), np.float32), config)
    save_file({"a.weight": torch.zeros(4, 8)}, tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="is no head"):
        read_head(tmp_path / "none.safetensors")
