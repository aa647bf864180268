"""Dense alignment: each visual token should be the word for what it shows, by the language model's own embeddings.

It is no stage of the paper. A small model sees thousands of pictures instead of millions; here every token of a
picture has a target of its own, and the language model need not run. Targets are sums: a direction for the words, one
for the place in the picture (`top`, `left`, ...), at the size that word embeddings have; the words are told from all
others by cross-entropy over cosines.

Shapes: n visual tokens with known texts, L texts to tell apart, D the language model's width.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from vl3.data import Pack
from vl3.errors import UserError
from vl3.model import Visual
from vl3.train.config import AlignConfig

PLACE_SHARE = 0.5
"""Size of the direction for a place, against that for the words."""
LATER_TOKEN = 0.6
"""Each further token of a text counts so much less, so that `12` is not `21`."""
SIZE_WEIGHT = 0.1
"""Of the loss that keeps visual tokens at the size of word embeddings."""


class Align(nn.Module):
    """The loss of visual tokens against texts, with what it learns itself: a temperature and the background."""

    def __init__(self, config: AlignConfig, tokenizer: Tokenizer, embedding_VD: Tensor) -> None:
        """embedding_VD: the language model's word embeddings, which are copied."""
        super().__init__()
        self.config, self._tokenizer = config, tokenizer
        self._words_VD = embedding_VD.detach().float().cpu()
        self._texts = {text: row for row, text in enumerate(read_texts(config.texts))}
        known_LD = torch.stack([self._meaning(text) for text in self._texts])
        # what all texts have in common tells none from another: directions are from their mean
        self._common_D = known_LD.mean(dim=0)
        self._size = float((known_LD - self._common_D).norm(dim=1).mean())
        self._place_words = [
            F.normalize(torch.stack([self._direction(word) for word in words]), dim=1)
            for words in (("top", "middle", "bottom"), ("left", "center", "right"))
        ]
        self.known_LD: Tensor
        self.mean_D: Tensor
        self.register_buffer("known_LD", F.normalize(known_LD - self._common_D, dim=1), persistent=False)
        self.register_buffer("mean_D", self._common_D, persistent=False)
        self.background = nn.Parameter(torch.zeros(1, embedding_VD.shape[1]))
        # 25: at 10 no cosine could win against thousands of texts. Not a scalar: those cannot be sharded
        self.log_scale = nn.Parameter(torch.tensor([3.2]))
        nn.init.normal_(self.background, std=0.05)

    def forward(self, tokens_nD: Tensor, pack: Pack) -> tuple[Tensor, Tensor]:
        """(scalar, the weighted sum of losses; float32 [2], things named rightly and things, without gradients)."""
        assert pack.visual_texts is not None
        device = tokens_nD.device
        chosen = torch.tensor([i for i, text in enumerate(pack.visual_texts) if text is not None], device=device)
        texts = [text for text in pack.visual_texts if text is not None]
        rows, new_texts = self._rows(texts)
        targets = torch.tensor(rows, device=device)
        directions_LD = torch.cat([self.background, self.known_LD, self._directions(new_texts).to(device)])
        bare_nD = tokens_nD[chosen].float() - self.mean_D
        bare_nD = bare_nD - PLACE_SHARE * self._size * self._places(pack.visuals).to(device)[chosen]
        with torch.autocast(device.type, enabled=False):
            cosine_nL = F.normalize(bare_nD, dim=1) @ F.normalize(directions_LD, dim=1).T
            logits_nL = self.log_scale.exp() * cosine_nL
            each_n = F.cross_entropy(logits_nL, targets, reduction="none", label_smoothing=self.config.smoothing)
            each_n = each_n + SIZE_WEIGHT * (bare_nD.norm(dim=1) / self._size - 1).square()
            weight_n = torch.where(targets > 0, 1.0, self.config.background)
        things = targets > 0
        right = (logits_nL.argmax(dim=1) == targets) & things
        return (each_n * weight_n).sum(), torch.stack([right.sum(), things.sum()]).float().detach()

    def _rows(self, texts: Sequence[str]) -> tuple[list[int], list[str]]:
        """Row of each text among background, known texts and those new in this pack; the latter."""
        new: dict[str, int] = {}
        rows = []
        for text in texts:
            if text == "":
                rows.append(0)
            elif text in self._texts:
                rows.append(1 + self._texts[text])
            else:
                rows.append(1 + len(self._texts) + new.setdefault(text, len(new)))
        return rows, list(new)

    def _directions(self, texts: Sequence[str]) -> Tensor:
        width = self._words_VD.shape[1]
        return torch.stack([self._direction(t) for t in texts]) if texts else torch.empty(0, width)

    def _direction(self, text: str) -> Tensor:
        return self._meaning(text) - self._common_D

    def _meaning(self, text: str) -> Tensor:
        """The mean embedding of a text's tokens, the earlier ones counting more. [D]."""
        ids = self._tokenizer.encode(" " + text, add_special_tokens=False).ids
        weights = LATER_TOKEN ** torch.arange(len(ids), dtype=torch.float32)
        return (self._words_VD[ids] * weights[:, None]).sum(dim=0) / weights.sum()

    def _places(self, visuals: Sequence[Visual]) -> Tensor:
        """For each kept token, a blend of the words for its row and its column, as long as 1 at the most. [n, D]."""
        down, across = self._place_words
        pieces = []
        for visual in visuals:
            rows, columns = (side // visual.merge for side in visual.grid[1:])
            grid = (_thirds(rows) @ down)[:, None] + (_thirds(columns) @ across)[None]  # [rows, columns, D]
            pieces.append((grid.flatten(0, 1) / 2).repeat(visual.grid[0], 1)[visual.keep.flatten().cpu()])
        return torch.cat(pieces)


def _thirds(count: int) -> Tensor:
    """[count, 3]: how much of begin, middle and end each of `count` places is; each row adds up to 1."""
    place = (torch.arange(count) + 0.5) / count
    middle = (1 - (place - 0.5).abs() * 3).clamp(min=0)
    begin = torch.where(place < 0.5, 1 - middle, 0.0)
    return torch.stack([begin, middle, 1 - middle - begin], dim=1)


def align_weight(pack: Pack, config: AlignConfig) -> float:
    """What a pack's alignment loss is to be divided by, together with those of the other packs of its step."""
    texts = pack.visual_texts or []
    return sum(0.0 if text is None else 1.0 if text else config.background for text in texts)


def read_texts(path: str) -> list[str]:
    """One text a line, each once. UserError when the file is missing or empty."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the texts to align with cannot be read: {error}") from error
    texts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not texts:
        raise UserError(f"{path}: holds no texts to align with")
    return texts
