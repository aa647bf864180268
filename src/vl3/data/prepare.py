"""One sample -> model inputs that fit: frames are thinned before anything is cut, and no visual span is ever cut."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from vl3.chat import MediaPart, Message, media_of
from vl3.config import ProcessorConfig, SamplingConfig
from vl3.data.config import SourceConfig
from vl3.data.regions import token_texts
from vl3.data.schema import Sample, independent_turns
from vl3.errors import UserError
from vl3.media import Decoder, MediaInfo
from vl3.model import Visual
from vl3.processing import IGNORE, Inputs, Processor, load_visuals, times_of


@dataclass(frozen=True)
class Preparer:
    """Turns the samples of one source into inputs."""

    processor: Processor
    """With the recipe's settings."""
    source: SourceConfig
    """Its overrides."""
    most_tokens: int
    """Longest sequence."""

    def inputs(self, sample: Sample, decoder: Decoder) -> Inputs:
        """The inputs of a sample, labels included. UserError with the reason why it cannot be trained on."""
        config = overridden(self.processor.config, self.source)
        messages = sample.messages
        if self.source.system and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.source.system}, *messages]
        parts = media_of(messages)
        try:
            while True:
                visuals, infos = load_visuals(parts, config, decoder)
                inputs = self._inputs(messages, visuals, times_of(infos), sample.independent)
                excess = self._excess(inputs)
                if excess <= 0:
                    break
                fewer = self._fewer_frames(infos, inputs, excess)
                config = replace(config, sampling=_at_most(config.sampling, fewer))
                parts = [_part_at_most(part, fewer) for part in parts]
            if not bool((inputs.labels != IGNORE).any()):
                raise UserError("none of its tokens is trained on")
            if sample.regions is not None:
                (visual,) = visuals
                rows, columns = (side // visual.merge for side in visual.grid[1:])
                inputs = replace(inputs, visual_texts=tuple(token_texts(sample.regions, rows, columns)))
            return inputs
        except UserError as error:
            text = str(error)
            raise UserError(text if text.startswith(sample.where) else f"{sample.where}: {text}") from error

    def _inputs(
        self,
        messages: Sequence[Message],
        visuals: Sequence[Visual],
        times_s: Sequence[Sequence[float] | None],
        independent: bool,
    ) -> Inputs:
        if not independent:
            return self.processor.inputs(messages, visuals, times_s, add_generation_prompt=False)
        alone = independent_turns(messages)
        return branching(
            [self.processor.inputs(turns, visuals, times_s, add_generation_prompt=False) for turns in alone]
        )

    def _excess(self, inputs: Inputs) -> int:
        """How many tokens a sequence is too long for a pack, or for the model's positions."""
        trunk, *branches = inputs.branches or (inputs.num_tokens,)
        reach = trunk + max(branches, default=0)
        return max(inputs.num_tokens - self.most_tokens, reach - self.processor.model_config.language.max_positions)

    def _fewer_frames(self, infos: Sequence[MediaInfo], inputs: Inputs, excess: int) -> int:
        """As many frames fewer for each clip as the sequence is too long."""
        longest = max((len(info.times_s) for info in infos if info.kind == "video"), default=1)
        visual = int(inputs.visual_mask.sum())
        room = visual - excess
        if longest == 1 or room <= 0:
            raise UserError(
                f"{inputs.num_tokens} tokens ({visual} visual) do not fit into {inputs.num_tokens - excess}: raise "
                "pack_tokens, or lower max_tokens or the length of its text"
            )
        return max(1, min(longest - 1, longest * room // visual))


def _at_most(sampling: SamplingConfig, frames: int) -> SamplingConfig:
    exactly = None if sampling.num_frames is None else min(sampling.num_frames, frames)
    return replace(sampling, max_frames=min(sampling.max_frames, frames), num_frames=exactly)


def _part_at_most(part: MediaPart, frames: int) -> MediaPart:
    """A clip whose annotation itself says how many of its frames are looked at obeys too."""
    given = {key: part.options[key] for key in ("max_frames", "num_frames") if part.options.get(key)}
    counts = {key: min(int(float(count)), frames) for key, count in given.items()}
    return replace(part, options={**part.options, **counts})


def branching(alone: Sequence[Inputs]) -> Inputs:
    """Sequences that begin alike, with the same media, as one: what they share once, then each one's own tokens."""
    shortest = min(inputs.num_tokens for inputs in alone)
    ids = torch.stack([inputs.input_ids[:shortest] for inputs in alone])
    trained = torch.stack([inputs.labels[:shortest] != IGNORE for inputs in alone]).any(0)
    differs = torch.cat([(ids != ids[0]).any(0), torch.tensor([True])])
    # what a branch begins with is not trained on: the token before it in the pack is not the one that predicts it
    trunk = min(int(differs.int().argmax()), int(trained.int().argmax()) - 1)
    assert not bool(alone[0].visual_mask[trunk:].any()), "media after the point where the questions part"
    first = alone[0]
    return Inputs(
        input_ids=torch.cat([first.input_ids[:trunk], *(inputs.input_ids[trunk:] for inputs in alone)]),
        visual_mask=torch.cat([first.visual_mask[:trunk], *(inputs.visual_mask[trunk:] for inputs in alone)]),
        visuals=first.visuals,
        labels=torch.cat([first.labels[:trunk], *(inputs.labels[trunk:] for inputs in alone)]),
        branches=(trunk, *(inputs.num_tokens - trunk for inputs in alone)),
    )


def overridden(config: ProcessorConfig, source: SourceConfig) -> ProcessorConfig:
    """The recipe's settings with a source's own."""
    sampling = replace(
        config.sampling,
        fps=source.fps or config.sampling.fps,
        max_frames=source.max_frames or config.sampling.max_frames,
    )
    return replace(
        config,
        sampling=sampling,
        image_merge_size=source.image_merge_size or config.image_merge_size,
        video_merge_size=source.video_merge_size or config.video_merge_size,
        max_tokens=source.max_tokens or config.max_tokens,
    )
