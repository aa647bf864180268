"""Two hundred damaged files: each ends in frames or in a one-line UserError that names it, and none hangs or kills."""

import contextlib
import random
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.generate import load
from vl3.media import Decoder
from vl3.weights.demo import save_demo_model

from .clips import number_in, picture, write_animation, write_clip

TICKS = [number * 40 for number in range(40)]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("originals")
    for name, codec in [("a.mp4", "libx264"), ("b.mp4", "mpeg4"), ("c.mkv", "libx264"), ("d.webm", "libvpx")]:
        write_clip(folder / name, TICKS, codec)
    write_animation(folder / "e.gif", [100] * 12)
    write_animation(folder / "f.webp", [100] * 12)
    Image.fromarray(picture(5)).save(folder / "g.png")
    Image.fromarray(picture(6)).save(folder / "h.jpg")
    return sorted(folder.iterdir())


def damage(data: bytes, how: str, luck: random.Random) -> bytes:
    """A truncated, bit-flipped, zeroed, shortened in the middle or beheaded copy."""
    at = luck.randrange(1, len(data))
    if how == "cut":
        return data[:at]
    if how == "flip":
        changed = bytearray(data)
        for _ in range(luck.choice([1, 8, 64])):
            changed[luck.randrange(len(data))] ^= 1 << luck.randrange(8)
        return bytes(changed)
    if how == "flip head":
        changed = bytearray(data)
        for _ in range(luck.choice([1, 4])):
            changed[luck.randrange(min(len(data), 600))] ^= 1 << luck.randrange(8)
        return bytes(changed)
    if how == "nothing":
        return data
    if how == "hole":
        return data[:at] + bytes(min(300, len(data) - at)) + data[at + 300 :]
    if how == "loss":
        return data[:at] + data[at + luck.randrange(1, 400) :]
    assert how == "tail"
    return data[at:]


def attempt(decoder: Decoder, path: Path) -> str | None:
    """The error's message, or None if there were frames."""
    try:
        info = decoder.probe(path, SamplingConfig(fps=4))
        info, frames = decoder.salvage(info, (28, 56))
    except UserError as error:
        return str(error)
    assert frames.shape == (len(info.times_s), 28, 56, 3)
    assert all(earlier < later for earlier, later in zip(info.times_s, info.times_s[1:], strict=False))
    return None


def test_two_hundred_damaged_files(originals: list[Path], tmp_path: Path) -> None:
    luck = random.Random(20250131)
    ended = {"frames": 0, "error": 0}
    suffixes = [path.suffix for path in originals]
    save_demo_model(tmp_path / "model")
    with contextlib.closing(load(tmp_path / "model", time_limit_s=20)) as assistant:
        for number in range(200):
            original = originals[number % len(originals)]
            how = luck.choice(["cut", "flip", "flip head", "hole", "loss", "tail", "nothing"])
            wrong = luck.choice([suffix for suffix in suffixes if suffix != original.suffix])
            suffix = wrong if how == "nothing" or luck.random() < 0.2 else original.suffix
            path = tmp_path / f"{number}-{how.replace(' ', '-')}{suffix}"
            path.write_bytes(damage(original.read_bytes(), how, luck))
            message = attempt(assistant.decoder, path)
            ended["error" if message else "frames"] += 1
            try:
                answer = assistant.ask(path, "What is it?", max_new_tokens=1, max_frames=4, max_tokens=64)
                assert answer.num_visual_tokens > 0
            except UserError as error:
                message = str(error)
            assert message is None or how != "nothing", "a file is what its content says, whatever its name"
            if message is not None:
                assert str(path) in message
                assert "\n" not in message
                assert "crashed" not in message
                assert "within the limit" not in message
    assert min(ended.values()) > 30, ended


@pytest.mark.parametrize(("name", "share"), [("c.mkv", 6), ("d.webm", 6), ("fast.mp4", 8)])
def test_a_truncated_video_keeps_true_times(
    originals: list[Path], tmp_path: Path, name: str, share: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left of a file is used, with a warning; the times are those of the frames that are there."""
    path = tmp_path / name
    if name == "fast.mp4":  # its index comes first, and promises all frames
        write_clip(path, TICKS, container_options={"movflags": "faststart"})
        data = path.read_bytes()
    else:
        data = next(original for original in originals if original.name == name).read_bytes()
    path.write_bytes(data[: len(data) * share // 10])
    with Decoder() as decoder:
        info = decoder.probe(path, SamplingConfig(num_frames=1000))
        frames = decoder.read(info)
    assert 1 < len(frames) < 40
    assert [round(time_s * 1000) for time_s in info.times_s] == [TICKS[number_in(frame)] for frame in frames]
    assert "cut short" in caplog.text


def test_undecodable_frames_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Frames whose packets are rubbish: `read` refuses, `salvage` warns and keeps the times of the others."""
    whole, path = tmp_path / "whole.mkv", tmp_path / "holes.mkv"
    write_clip(whole, TICKS, "libvpx-vp9", gop=1)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size == 0:
                continue
            bad = av.Packet(b"\xff" * 40) if number in (10, 11) else packet
            bad.pts, bad.dts, bad.time_base, bad.is_keyframe = packet.pts, packet.dts, packet.time_base, True
            bad.stream = stream
            target.mux(bad)
    with Decoder() as decoder:
        info = decoder.probe(path, SamplingConfig(num_frames=1000))
        assert len(info.times_s) == 40
        with pytest.raises(UserError, match=r"holes\.mkv: 2 of 40 chosen frames .* at 0\.40 s"):
            decoder.read(info)
        kept, frames = decoder.salvage(info)
    assert "holes.mkv: 2 of 40 chosen frames" in caplog.text
    assert [round(time_s * 1000) for time_s in kept.times_s] == [TICKS[number_in(frame)] for frame in frames]
    assert len(frames) == 38
    assert np.all(np.diff(kept.times_s) > 0)
