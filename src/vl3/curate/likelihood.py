"""How likely a model finds words, with a picture and without: the language of agreement scores.

Shapes: T tokens of all sequences, D hidden width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from vl3.chat import Message
from vl3.generate.devices import pick_device, pick_dtype
from vl3.media import probe
from vl3.processing import Inputs, Processor
from vl3.processing.processor import make_visual, media_sizes
from vl3.weights import load_checkpoint


class Reader:
    """A model that reads captions and says how likely each is."""

    def __init__(self, model: str, device: str, max_tokens: int, prompt: str) -> None:
        """max_tokens: most visual tokens of a picture. UserError when the model cannot be loaded."""
        chosen = pick_device(device)
        checkpoint = load_checkpoint(model, dtype=pick_dtype("auto", chosen), device=chosen)
        self._model = checkpoint.model.eval()
        limit = min(max_tokens, checkpoint.processor.max_tokens)
        config = replace(checkpoint.processor, max_tokens=limit, min_tokens=min(limit, checkpoint.processor.min_tokens))
        self._processor = Processor(config, checkpoint.tokenizer, checkpoint.config)
        self._prompt = prompt

    def log_likelihoods(self, pairs: Sequence[tuple[Image.Image | None, str]]) -> list[float]:
        """Mean log probability of a token of each text, in nats, after its picture (or after none)."""
        inputs = [self._inputs(image, text) for image, text in pairs]
        lengths = [one.num_tokens for one in inputs]
        device = self._model.language.embed_tokens.weight.device
        visuals = [visual.to(device) for one in inputs for visual in one.visuals]
        labels = torch.cat([one.labels.roll(-1) for one in inputs])
        ends = torch.tensor(lengths).cumsum(0)
        labels[ends - 1] = -100
        with torch.inference_mode():
            hidden_TD = self._model(
                torch.cat([one.input_ids for one in inputs]).to(device),
                lengths,
                visuals,
                torch.cat([one.visual_mask for one in inputs]).to(device),
            )
            places = (labels != -100).nonzero().squeeze(1)
            scores = torch.log_softmax(self._model.logits(hidden_TD[places.to(device)]).float(), dim=-1)
            found = scores.gather(1, labels[places].to(device)[:, None]).squeeze(1).cpu()
        owner = torch.bucketize(places, ends, right=True)
        return [float(found[owner == number].mean()) for number in range(len(pairs))]

    def _inputs(self, image: Image.Image | None, text: str) -> Inputs:
        """One turn: the picture, the prompt, and the text as its answer."""
        question: list[dict[str, object]] = [{"type": "text", "text": self._prompt}]
        visuals = []
        if image is not None:
            info = probe(image)
            [(height, width)] = media_sizes([info], self._processor.config)
            pixels = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))[None]
            visuals = [make_visual(pixels, False, self._processor.config)]
            question.insert(0, {"type": "image", "image": image})
        messages: list[Message] = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        return self._processor.inputs(messages, visuals, [None] * len(visuals), add_generation_prompt=False)
