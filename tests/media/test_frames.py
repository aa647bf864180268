"""Each frame that is returned with a time is the frame on screen at that time, in every format, by every policy."""

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.media import decode as decode_module
from vl3.media import probe, read
from vl3.media.decode import video_frames

from .clips import HEIGHT, WIDTH, number_in, write_animation, write_clip

FORMATS = [
    ("mp4", "libx264"),
    ("mp4", "mpeg4"),
    ("mkv", "libx264"),
    ("mkv", "mpeg4"),
    ("webm", "libvpx"),
    ("webm", "libvpx-vp9"),
]
QUICK = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def clocks(draw: st.DrawFn) -> list[int]:
    """Presentation times in milliseconds: constant or variable rate, starting anywhere."""
    count = draw(st.integers(1, 60))
    start = draw(st.sampled_from([0, 0, 40, 1000, 7321]))
    if draw(st.booleans()):
        gaps = [draw(st.sampled_from([20, 33, 40, 100, 500]))] * count
    else:
        gaps = draw(st.lists(st.sampled_from([10, 33, 40, 41, 250, 1900]), min_size=count, max_size=count))
    return np.cumsum([start, *gaps[:-1]]).tolist()


@st.composite
def samplings(draw: st.DrawFn) -> SamplingConfig:
    return SamplingConfig(
        policy=draw(st.sampled_from(["authors", "transformers"])),
        fps=draw(st.sampled_from([0.5, 1.0, 2.0, 3.0, 30.0])),
        max_frames=draw(st.sampled_from([1, 5, 16, 180])),
        num_frames=draw(st.sampled_from([None, None, 1, 7])),
    )


@pytest.fixture(autouse=True)
def _no_second_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound files never need the scan that looks once more for frames that skipping has lost."""
    monkeypatch.setattr(decode_module.logger, "debug", lambda text, *args: pytest.fail(text % args))


def on_screen(ticks: list[int], tick: float) -> int:
    """The number of the last frame whose time has come; brute force."""
    return max([number for number, start in enumerate(ticks) if start <= tick + 1e-3], default=0)


@pytest.mark.parametrize(("suffix", "codec"), FORMATS)
@QUICK
@given(ticks=clocks(), sampling=samplings())
def test_frame_is_the_one_on_screen(
    tmp_path: Path, suffix: str, codec: str, ticks: list[int], sampling: SamplingConfig
) -> None:
    path = tmp_path / f"clip.{suffix}"
    write_clip(path, ticks, codec)
    info = probe(path, sampling)
    scanned = dict(video_frames(info, (HEIGHT, WIDTH), "scan"))
    assert sorted(scanned) == list(range(len(info.times_s)))
    numbers = [number_in(scanned[slot]) for slot in range(len(info.times_s))]
    assert info.num_source_frames == len(ticks)
    assert [round(time_s * 1000) for time_s in info.times_s] == [ticks[number] for number in numbers]
    assert numbers == sorted(set(numbers))
    assert info.chosen == tuple(numbers)
    for strategy in ("seek", "auto"):
        others = dict(video_frames(info, (HEIGHT, WIDTH), strategy))
        assert all(np.array_equal(others[slot], scanned[slot]) for slot in scanned), strategy
    end = (info.duration_s + ticks[0] / 1000) * 1000
    assert end > ticks[-1]
    if sampling.num_frames is not None:
        assert len(numbers) == min(sampling.num_frames, len(ticks))
    elif sampling.policy == "authors":
        count = max(1, math.ceil((end - ticks[0]) / 1000 * sampling.fps - 1e-6))
        kept = [int(at) for at in np.linspace(0, count - 1, min(count, sampling.max_frames))]
        assert numbers == sorted({on_screen(ticks, ticks[0] + at * 1000 / sampling.fps) for at in kept})
    else:
        assert 1 <= len(numbers) <= min(sampling.max_frames, len(ticks))


@QUICK
@given(ticks=clocks(), start_ms=st.integers(0, 9000), length_ms=st.integers(1, 9000))
def test_trims(tmp_path: Path, ticks: list[int], start_ms: int, length_ms: int) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, ticks)
    whole = probe(path, SamplingConfig(num_frames=10**6))
    end_ms = ticks[0] + whole.duration_s * 1000
    edges = [*ticks, end_ms]
    shown = [
        number
        for number in range(len(ticks))
        if edges[number] < start_ms + length_ms - 1e-3 and edges[number + 1] > start_ms + 1e-3
    ]
    sampling = SamplingConfig(num_frames=10**6, start_s=start_ms / 1000, end_s=(start_ms + length_ms) / 1000)
    if not shown:
        with pytest.raises(UserError, match=rf"clip\.mp4.*lasts {whole.duration_s:.2f} s"):
            probe(path, sampling)
        return
    info = probe(path, sampling)
    assert [number_in(frame) for frame in read(info)] == shown
    by_time = probe(path, SamplingConfig(fps=4, start_s=start_ms / 1000, end_s=(start_ms + length_ms) / 1000))
    expected = []
    at = max(start_ms, ticks[0])
    while at < min(start_ms + length_ms, end_ms) - 1e-3:
        expected.append(on_screen(ticks, at))
        at += 250
    assert [number_in(frame) for frame in read(by_time)] == sorted(set(expected))


def test_authors_policy_is_an_ffmpeg_fps_filter() -> None:
    """The frames of `authors` are those of ffmpeg's own filter with round=up: the frame on screen at each sample."""
    from vl3.media.sampling import choose

    for count, gap in [(105, 100), (100, 100), (99, 100), (5, 100), (301, 33), (1, 40)]:
        ticks = [number * gap for number in range(count)]
        graph = av.filter.Graph()
        source = graph.add("buffer", "video_size=16x16:pix_fmt=gray:time_base=1/1000:pixel_aspect=1/1")
        fps, sink = graph.add("fps", "fps=1:round=up"), graph.add("buffersink")
        source.link_to(fps)
        fps.link_to(sink)
        graph.configure()
        seen = []
        for number, tick in [*enumerate(ticks), (None, None)]:
            frame = None
            if number is not None:
                image = np.full((16, 16), number % 256, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="gray")
                frame.pts, frame.time_base, frame.duration = tick, Fraction(1, 1000), gap
            source.push(frame)
            while True:
                try:
                    seen.append(int(sink.pull().to_ndarray()[0, 0]))
                except (BlockingIOError, EOFError):
                    break
        times_s = np.array(ticks) / 1000
        chosen = choose(times_s, (ticks[-1] + gap) / 1000, SamplingConfig(), "clip")
        assert [number % 256 for number in chosen] == seen


def test_transformers_policy_is_theirs() -> None:
    """The frame numbers that the rule of `transformers` gives with torch's own single-precision arange."""
    torch = pytest.importorskip("torch")
    from vl3.media.sampling import choose

    for total in [*range(1, 60), 97, 250, 1800, 1801, 5399]:
        for rate in (24.0, 30000 / 1001, 10.0):
            for fps in (1.0, 2.0, 7.5):
                sampling = SamplingConfig(policy="transformers", fps=fps, max_frames=128)
                count = math.floor(min(max(total / rate * fps, 4), 128, total))
                theirs = torch.arange(0, total, total / count).int().tolist()[:count]
                times_s = np.arange(total) / rate
                assert choose(times_s, total / rate, sampling, "clip", rate).tolist() == theirs, (total, rate)


@pytest.mark.parametrize("suffix", ["avi", "ts", "h264", "flv", "mov"])
def test_other_containers(tmp_path: Path, suffix: str) -> None:
    """AVI and raw streams carry no presentation times; transport streams start at 1.4 s."""
    path = tmp_path / f"clip.{suffix}"
    ticks = [number * 40 for number in range(50)]
    time_base = Fraction(1, 25) if suffix in ("avi", "h264") else Fraction(1, 1000)
    codec = "mpeg4" if suffix == "avi" else "libx264"
    write_clip(path, list(range(50)) if suffix in ("avi", "h264") else ticks, codec, time_base)
    info = probe(path, SamplingConfig(num_frames=13))
    numbers = [number_in(frame) for frame in read(info, (HEIGHT, WIDTH))]
    assert numbers == [int(at) for at in np.linspace(0, 49, 13)]
    gaps = np.diff(info.times_s) * 1000
    assert np.allclose(gaps, np.diff([ticks[number] for number in numbers]), atol=1)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animations(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    write_animation(path, [100, 500, 0, 250, 700, 40])
    starts_ms = [0, 100, 600, 700, 950, 1650]  # a delay of 0 is shown as 100 ms
    info = probe(path, SamplingConfig(fps=4))
    assert info.kind == "video"
    assert info.duration_s == pytest.approx(1.69)
    numbers = [number_in(frame) for frame in read(info)]
    assert numbers == sorted({on_screen(starts_ms, at) for at in range(0, 1690, 250)})
    assert [round(time_s * 1000) for time_s in info.times_s] == [starts_ms[number] for number in numbers]
    still = probe(path, SamplingConfig(), kind="image")
    assert (still.kind, number_in(read(still)[0])) == ("image", 0)


def test_edit_list_hides_what_it_cuts(tmp_path: Path) -> None:
    """Frames before an edit list's start are decoded but never shown: here a clip whose first packets have negative
    presentation times, which mp4 cuts by an edit list."""
    path = tmp_path / "clip.mp4"
    write_clip(path, [number * 40 - 400 for number in range(50)])
    info = probe(path, SamplingConfig(num_frames=1000))
    with av.open(str(path)) as container:
        truth = [(frame.time, number_in(frame.to_ndarray(format="rgb24"))) for frame in container.decode(video=0)]
    assert [time_s for time_s, _ in truth] == pytest.approx(list(info.times_s))
    assert [number for _, number in truth] == [number_in(frame) for frame in read(info)]


def test_pixels_are_pillows(tmp_path: Path) -> None:
    """RGB at full size, then Pillow's bicubic filter; and the size asked for."""
    path = tmp_path / "clip.mp4"
    write_clip(path, [number * 40 for number in range(30)], size=(96, 176))
    info = probe(path, SamplingConfig(num_frames=5))
    with av.open(str(path)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    expected = [np.asarray(frames[number].resize((70, 42), Image.Resampling.BICUBIC)) for number in info.chosen]
    assert np.array_equal(read(info, (42, 70)), np.stack(expected))
    assert read(info).shape == (5, 96, 176, 3)


X264_GROUPS = "keyint=10:min-keyint=10:bframes=3:b-adapt=0"


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        # Recovery points that are no IDR pictures, which Matroska flags as key frames all the same.
        ("libx264", {"preset": "ultrafast", "x264-params": "intra-refresh=1:keyint=10:bframes=0"}),
        # Frames shown before a key frame but stored after it, which refer to the group before.
        ("libx264", {"preset": "ultrafast", "x264-params": f"open-gop=1:{X264_GROUPS}"}),
        ("libx264", {"preset": "ultrafast", "x264-params": X264_GROUPS}),
        ("mpeg2video", {"bf": "2"}),
    ],
)
def test_where_decoding_may_start(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    """Every single frame, reached by a jump, is the one that a scan finds."""
    path = tmp_path / "clip.mkv"
    write_clip(path, range(60), codec, Fraction(1, 25), options=options)
    whole = probe(path, SamplingConfig(num_frames=1000))
    scanned = [frame for _, frame in video_frames(whole, (HEIGHT, WIDTH), "scan")]
    assert [number_in(frame) for frame in scanned] == list(range(60))
    for number in range(60):
        info = probe(path, SamplingConfig(num_frames=1, start_s=number / 25 + 0.001))
        assert info.chosen == (number,)
        ((_, frame),) = video_frames(info, (HEIGHT, WIDTH), "seek")
        assert np.array_equal(frame, scanned[number]), number


def test_frames_lost_by_skipping_are_found_by_a_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a plan not hold what it promises, the frames are still the right ones."""
    monkeypatch.setattr(decode_module.logger, "debug", lambda *_: None)
    path = tmp_path / "clip.mp4"
    write_clip(path, range(0, 2400, 40), gop=10)
    info = probe(path, SamplingConfig(num_frames=3))
    assert info.plan is not None
    assert len(info.plan.runs) == 3
    broken = replace(info, plan=replace(info.plan, runs=info.plan.runs[1:]))
    assert np.array_equal(read(broken), read(info))


def test_hidden_frames_of_vp8_are_not_counted(tmp_path: Path) -> None:
    """VP8 keeps references that are never shown in packets of their own: bit 4 of the first byte is off (RFC 6386)."""
    plain, path = tmp_path / "plain.webm", tmp_path / "hidden.webm"
    ticks = [number * 40 for number in range(30)]
    write_clip(plain, ticks, "libvpx")
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                data = bytearray(bytes(packet))
                data[0] &= 0xEF if number in (7, 20) else 0xFF
                copy = av.Packet(bytes(data))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                target.mux(copy)
    info = probe(path, SamplingConfig(num_frames=1000))
    shown = [number for number in range(30) if number not in (7, 20)]
    assert [round(time_s * 1000) for time_s in info.times_s] == [ticks[number] for number in shown]
    assert [number_in(frame) for frame in read(info)] == shown
