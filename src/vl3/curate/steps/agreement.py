"""agreement: does the text belong to the picture?

- `likelihood`: how much likelier the words become by seeing the picture: the mean log-probability of the text's tokens
  after the picture minus that after a grey one of the same size, in nats a token. Any model that captions can be the
  judge, and no other weights are needed.
- `similarity`: the cosine of a CLIP or SigLIP model's features, where such weights are given (arXiv 2501.13106, section
  4, uses CLIP).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import numpy as np
from PIL import Image

from vl3.config import Count, configclass
from vl3.curate.features import ContrastiveModel
from vl3.curate.media import PLACE, picture_batches
from vl3.curate.named import checkpoint, refuse_missing
from vl3.curate.step import WORDS, Found, Place, Rows, RowStep, Type, refuse_column

DEFAULT_LEAST = {"likelihood": 0.2, "similarity": 0.2}


@configclass
class AgreementConfig:
    """Who judges, and from when on."""

    kind: Literal["likelihood", "similarity"] = "likelihood"
    """See above."""
    model: str = "nano"
    """likelihood: a checkpoint as `vl3.load` takes it; similarity: a CLIP or SigLIP model, hub id or folder."""
    column: str = "text"
    """The text: the raw one, or a caption that a step wrote."""
    min_score: float | None = None
    """Least score; None is 0.2 nats a token for likelihood, 0.2 for similarity, where
    models differ: SigLIP's cosines are lower than CLIP's."""
    prompt: str = "Describe the picture."
    """likelihood: what the text is the answer to."""
    max_tokens: Count = 64
    """likelihood: most visual tokens of a picture."""
    batch_size: Count = 8
    """Rows in one pass."""
    device: str = "auto"
    """auto, cpu, cuda..."""

    @property
    def least(self) -> float:
        """The limit in force."""
        return DEFAULT_LEAST[self.kind] if self.min_score is None else self.min_score


Scorer = Callable[[list[Image.Image], list[str]], list[float]]


def agreement_step(config: AgreementConfig) -> RowStep:
    """Writes `agreement`; rows without a text are dropped."""

    def start(_place: Place) -> Callable[[Rows], Found]:
        score = likelihood(config) if config.kind == "likelihood" else similarity(config)

        def judge(rows: Rows) -> Found:
            texts = rows[config.column]
            scores: list[float | None] = [None] * len(texts)
            some = [number for number, text in enumerate(texts) if text and text.strip()]
            some.sort(key=lambda number: len(texts[number]))  # rows of one pass are alike long
            gone: list[str | None] = [None] * len(texts)
            for numbers, images in picture_batches(rows, some, config.batch_size, gone):
                found = score(images, [texts[number] for number in numbers])
                for number, one in zip(numbers, found, strict=True):
                    scores[number] = one
            reasons = [why or _fault(config, one) for why, one in zip(gone, scores, strict=True)]
            return Found({"agreement": scores}, reasons)

        return judge

    def ready(columns: Mapping[str, Type]) -> None:
        refuse_column(columns, config.column, "column", WORDS)
        refuse_missing(config.model, config.kind == "similarity")

    inputs, files = (*PLACE, config.column), partial(checkpoint, config.model)
    return RowStep(inputs, {"agreement": "float32"}, start, only="image", heavy=True, files=files, ready=ready)


def likelihood(config: AgreementConfig) -> Scorer:
    """The gain that a picture gives."""
    from vl3.curate.likelihood import Reader

    reader = Reader(config.model, config.device, config.max_tokens, config.prompt)

    def score(images: list[Image.Image], texts: list[str]) -> list[float]:
        blank = [Image.new("RGB", image.size, (128, 128, 128)) for image in images]
        seen = reader.log_likelihoods(list(zip(images, texts, strict=True)))
        unseen = reader.log_likelihoods(list(zip(blank, texts, strict=True)))
        return [with_it - without for with_it, without in zip(seen, unseen, strict=True)]

    return score


def similarity(config: AgreementConfig) -> Scorer:
    """The cosine of features."""
    model = ContrastiveModel(config.model, config.device)

    def score(images: list[Image.Image], texts: list[str]) -> list[float]:
        found: list[float] = np.sum(model.images(images) * model.texts(texts), axis=1).tolist()
        return found

    return score


def _fault(config: AgreementConfig, score: float | None) -> str | None:
    if score is None:
        return "no text"
    return "the text does not fit the picture" if score < config.least else None
