"""Sizes: against a brute-force reading of the published rules, and inside every budget."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vl3.config import ProcessorConfig
from vl3.errors import UserError
from vl3.processing.resize import Source, target_sizes

side = st.integers(1, 6000)


def video(num_frames: int, height: int, width: int) -> Source:
    return Source(True, num_frames, height, width)


def image(height: int, width: int) -> Source:
    return Source(False, 1, height, width)


@given(st.lists(st.tuples(st.integers(1, 180), side, side), min_size=1, max_size=4), st.integers(400, 20000))
def test_a_request_of_one_kind_stays_in_its_budget(clips: list[tuple[int, int, int]], max_tokens: int) -> None:
    config = ProcessorConfig(max_tokens=max_tokens)
    sources = [video(*clip) for clip in clips]
    num_frames = sum(source.num_frames for source in sources)
    if num_frames > max_tokens:
        with pytest.raises(UserError, match=f"{num_frames} frames do not fit"):
            target_sizes(sources, config)
        return
    sizes = target_sizes(sources, config)
    tokens = sum(s.num_frames * h * w // 28**2 for s, (h, w) in zip(sources, sizes, strict=True))
    # frames smaller than the published minimum are enlarged to it, whatever the budget says
    tiny = sum(
        s.num_frames * h * w // 28**2 for s, (h, w) in zip(sources, sizes, strict=True) if h * w > s.height * s.width
    )
    assert tokens <= max_tokens + tiny


@given(st.lists(st.tuples(side, side), min_size=1, max_size=3), st.lists(st.tuples(side, side), min_size=1, max_size=2))
def test_mixed_merge_sizes_follow_the_published_sum(
    images: list[tuple[int, int]], clips: list[tuple[int, int]]
) -> None:
    config = ProcessorConfig(max_tokens=2000)
    sources = [image(*size) for size in images] + [video(7, *size) for size in clips]
    sizes = target_sizes(sources, config)
    total = sum(s.num_frames * math.ceil(s.height / f) * math.ceil(s.width / f) for s, f in _with_factor(sources))
    for (source, factor), (h, w) in zip(_with_factor(sources), sizes, strict=True):
        if total > 2000:
            beta = math.sqrt(total / 2000)
            assert h == max(1, int(source.height / beta / factor)) * factor
            assert w == max(1, int(source.width / beta / factor)) * factor
        else:
            assert abs(h - source.height) <= max(factor / 2, factor - source.height)
            assert abs(w - source.width) <= max(factor / 2, factor - source.width)


def _with_factor(sources: list[Source]) -> list[tuple[Source, int]]:
    return [(source, 28 if source.is_video else 14) for source in sources]


@given(side, side, st.integers(1, 2))
def test_one_image_keeps_its_shape_and_the_limits(height: int, width: int, merge: int) -> None:
    factor = 14 * merge
    config = ProcessorConfig(max_tokens=1000, image_merge_size=merge)
    [(h, w)] = target_sizes([image(height, width)], config)
    tokens = h * w // factor**2
    assert h % factor == 0 and w % factor == 0 and h > 0 and w > 0
    assert tokens <= 1000
    assume(max(height, width) <= 8 * min(height, width))
    assert tokens >= 16
    assert abs(math.log((h / w) / (height / width))) < math.log(1 + 2 * factor / min(h, w))


def test_published_sizes() -> None:
    assert target_sizes([image(1080, 1920)], ProcessorConfig()) == [(1078, 1918)]
    assert target_sizes([video(60, 1080, 1920)], ProcessorConfig()) == [
        (336, 616)
    ]  # 264 of the 273 tokens that each frame may have
    assert target_sizes([image(10, 10)], ProcessorConfig()) == [(56, 56)]  # 16 tokens at least


def test_transformers_rule_equals_its_function() -> None:
    from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import smart_resize

    config = ProcessorConfig(resize="transformers")
    for height, width in [(1, 1), (30, 5000), (1080, 1920), (4000, 3000), (56, 57), (21, 35), (200, 1)]:
        expected = smart_resize(height, width, 14, config.image_min_pixels, config.image_max_pixels)
        assert target_sizes([image(height, width)], config) == [expected]
        per_frame = config.video_max_pixels // 9
        expected = smart_resize(height, width, 28, config.video_min_pixels, per_frame)
        assert target_sizes([video(9, height, width)], config) == [expected]


def test_a_thread_is_refused_where_the_published_rule_refuses_it() -> None:
    with pytest.raises(UserError, match="too thin"):
        target_sizes([image(1, 201)], ProcessorConfig(resize="transformers"))
