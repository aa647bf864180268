"""Pictures of every kind become the RGB that a viewer shows."""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vl3.config import SamplingConfig
from vl3.errors import UserError
from vl3.media import FetchLimits, probe, read

from .clips import HEIGHT, WIDTH, number_in, picture, write_clip, write_sound

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def pixels(source: Any) -> np.ndarray:
    info = probe(source)
    assert (info.kind, info.times_s, info.duration_s, info.num_source_frames) == ("image", (0.0,), 0.0, 1)
    out = read(info)
    assert out.dtype == np.uint8
    assert out.shape == (1, info.height, info.width, 3)
    return out[0]


def test_plain_image_is_resized_by_pillow(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    image.save(tmp_path / "a.png")
    assert np.array_equal(pixels(tmp_path / "a.png"), np.asarray(image))
    small = read(probe(str(tmp_path / "a.png")), (28, 42))
    assert np.array_equal(small[0], np.asarray(image.resize((42, 28), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    """EXIF 2.32, tag 0x0112: where the stored rows and columns go."""
    upright = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    assert np.array_equal(pixels(data), upright)


def test_palette_with_transparency_lies_on_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    assert pixels(encoded(image)).tolist() == [[list(RED), list(GREEN)]]
    assert pixels(encoded(image, transparency=1)).tolist() == [[list(RED), list(WHITE)]]


def test_alpha_lies_on_white() -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(*BLUE, 255), (*BLUE, 0), (0, 0, 0, 128)])
    assert pixels(encoded(image)).tolist() == [[list(BLUE), list(WHITE), [127, 127, 127]]]
    grey = Image.new("LA", (2, 1))
    grey.putdata([(10, 255), (10, 0)])
    assert pixels(encoded(grey)).tolist() == [[[10] * 3, [255] * 3]]


def test_sixteen_bits_become_eight() -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    expected = [[[0] * 3, [1] * 3, [128] * 3, [255] * 3]]
    assert pixels(encoded(Image.fromarray(values))).tolist() == expected
    assert pixels(encoded(Image.fromarray(values), "TIFF")).tolist() == expected


def test_other_modes() -> None:
    cmyk = pixels(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert np.abs(cmyk.astype(int) - RED).max() < 8
    assert pixels(encoded(Image.new("1", (8, 8), 1))).min() == 255
    assert pixels(encoded(Image.new("F", (2, 2), 0.5), "TIFF")).tolist() == [[[128] * 3] * 2] * 2


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims side x side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_bombs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="<bytes>"):
        probe(bomb(60000))
    with pytest.raises(UserError, match="400x400 is more than the limit of 100000 pixels"):
        probe(bomb(400), limits=FetchLimits(max_pixels=100_000))
    write_clip(tmp_path / "big.mp4", [0, 40])
    with pytest.raises(UserError, match=r"big\.mp4: 128x64 is more than the limit of 1000 pixels"):
        probe(tmp_path / "big.mp4", limits=FetchLimits(max_pixels=1000))


def test_sources_in_memory() -> None:
    array = np.stack([picture(number) for number in range(7)])
    info = probe(array, SamplingConfig(fps=2))
    assert (info.kind, info.times_s) == ("video", (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0))
    assert np.array_equal(read(info), array)
    assert np.array_equal(pixels(array[3]), array[3])
    assert np.array_equal(pixels((array[3] / 255.0).astype(np.float32)), array[3])
    assert np.array_equal(pixels(Image.fromarray(array[3])), array[3])
    images = probe([Image.fromarray(frame) for frame in array], SamplingConfig(max_frames=3))
    assert [number_in(frame) for frame in read(images, (HEIGHT, WIDTH))] == [0, 3, 6]
    as_video = probe(Image.fromarray(array[2]), kind="video")
    assert (as_video.kind, len(as_video.times_s)) == ("video", 1)


def test_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    array = np.stack([picture(number) for number in range(3)])
    assert np.array_equal(read(probe(torch.from_numpy(array))), array)
    floats = (torch.from_numpy(array[1]).float() / 255).requires_grad_()
    assert np.array_equal(pixels(floats), array[1])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((5, 8, 8), np.uint8), "neither .* nor"),
        (np.zeros((8, 8, 3), np.int64), "int64 pixels"),
        (np.full((8, 8, 3), 200.0), "must lie in 0..1"),
        (np.full((8, 8, 3), np.nan), "must lie in 0..1"),
        (np.zeros((0, 8, 8, 3), np.uint8), "no frames"),
        ([], "empty list"),
        (torch.zeros(8, 8, 3, device="meta"), "dense tensor with data"),
        (Image.new("RGB", (0, 4)), "0 x 4 pixels"),
        ("http://[::1", "not a URL"),
        (["/no/such/frame.png"], "no such file"),
        (17, "not a medium"),
        (b"", "file is empty"),
        (b"hello, world", "not a readable image or video"),
        ("/no/such/file.mp4", "no such file"),
        ("/dev/null", "not a regular file"),
        ("file:///etc/passwd", "only http, https and data"),
        ("ftp://example.org/a.mp4", "only http, https and data"),
        ("data:image/png;base64,@@@", "not valid base64"),
        ("data:nothing", "no comma"),
        ([Image.new("RGB", (4, 4)), Image.new("RGB", (5, 4))], "must have one size"),
    ],
)
def test_what_is_no_medium(source: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(probe(source))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda rgb: np.moveaxis(rgb, -1, 0),
        lambda rgb: torch.from_numpy(rgb).permute(2, 0, 1).float() / 255,
        lambda rgb: np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=-1),
        lambda rgb: rgb[..., 0],
        lambda rgb: rgb[..., :1],
    ],
)
def test_arrays_of_other_forms(change: Callable[[np.ndarray], Any]) -> None:
    rgb = np.repeat(np.random.default_rng(0).integers(0, 256, (9, 7, 1), dtype=np.uint8), 3, axis=-1)
    assert np.array_equal(read(probe(change(rgb)))[0], rgb)


def test_opacity_is_seen_on_white() -> None:
    half = np.full((4, 5, 4), (100, 0, 255, 128), np.uint8)
    assert read(probe(half))[0][0, 0].tolist() == [177, 127, 255]


def test_a_list_of_files_and_a_stream(tmp_path: Path) -> None:
    for number in range(2):
        Image.new("RGB", (6, 4), (number * 90, 0, 0)).save(tmp_path / f"{number}.png")
    files = [str(tmp_path / "1.png"), tmp_path / "0.png"]
    assert [int(frame[0, 0, 0]) for frame in read(probe(files))] == [90, 0]
    assert read(probe(io.BytesIO((tmp_path / "1.png").read_bytes())))[0][0, 0, 0] == 90


def test_a_dark_wide_grey_file_stays_dark(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 2 2 65535\n" + b"\x00\xc8" * 4)
    assert int(read(probe(tmp_path / "a.pgm"))[0].max()) <= 1


def test_data_urls_and_bytes(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(picture(9)))
    assert number_in(pixels(data)) == 9
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    info = probe(url)
    assert info.name == "<data URL>"
    assert number_in(read(info)[0]) == 9
    with pytest.raises(UserError, match="larger than the limit"):
        probe(url, limits=FetchLimits(max_bytes=10))
    write_clip(tmp_path / "a.mp4", [number * 100 for number in range(30)])
    from_bytes = probe((tmp_path / "a.mp4").read_bytes())
    assert [number_in(frame) for frame in read(from_bytes)] == [0, 10, 20]


def test_folder_of_frames(tmp_path: Path) -> None:
    for number in range(12):
        Image.fromarray(picture(number)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    info = probe(tmp_path)
    assert [number_in(frame) for frame in read(info)] == list(range(12))  # frame2 comes before frame10
    assert info.times_s == tuple(float(second) for second in range(12))
    assert probe(tmp_path, SamplingConfig(fps=4, start_s=1.0)).times_s[0] == 1.0
    Image.new("RGB", (10, 10)).save(tmp_path / "frame5.png")
    with pytest.raises(UserError, match=r"frame5\.png: is 10x10"):
        read(probe(tmp_path))
    with pytest.raises(UserError, match="not an image"):
        probe(tmp_path, kind="image")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no frames"):
        probe(tmp_path / "empty")


def test_video_without_pictures(tmp_path: Path) -> None:
    write_sound(tmp_path / "sound.mp4")
    with pytest.raises(UserError, match=r"sound\.mp4: no video in it, only audio"):
        probe(tmp_path / "sound.mp4")
    write_clip(tmp_path / "none.mkv", [])
    with pytest.raises(UserError, match=r"none\.mkv"):
        probe(tmp_path / "none.mkv")
    write_clip(tmp_path / "a.mp4", [0, 40])
    with pytest.raises(UserError, match=r"a\.mp4: is a video, not an image"):
        probe(tmp_path / "a.mp4", kind="image")


def test_names_say_nothing(tmp_path: Path) -> None:
    """A wrong or missing suffix, and a name that ffmpeg would take for a protocol."""
    Image.fromarray(picture(3)).save(tmp_path / "a.mp4", "PNG")
    assert number_in(pixels(tmp_path / "a.mp4")) == 3
    odd = tmp_path / "concat:x|y.jpg"
    write_clip(tmp_path / "b.mp4", [0, 40])
    (tmp_path / "b.mp4").rename(odd)
    assert probe(odd).kind == "video"


def test_playlists_open_nothing_else(tmp_path: Path) -> None:
    """A playlist would make ffmpeg open whatever it names: other files, URLs of the inner network."""
    write_clip(tmp_path / "secret.ts", [number * 40 for number in range(50)], container_format="mpegts")
    assert probe(tmp_path / "secret.ts").kind == "video"
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "a.m3u8").write_text(playlist)
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile secret.ts\n")
    for name in ("a.m3u8", "a.mp4"):
        with pytest.raises(UserError, match=name):
            probe(tmp_path / name)


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation(tmp_path: Path, degrees: int) -> None:
    """The display matrix turns counterclockwise, as numpy's rot90 does."""
    path = tmp_path / "turned.mp4"
    write_clip(path, [0, 40, 80], rotation=degrees)
    info = probe(path, SamplingConfig(num_frames=3))
    assert (info.height, info.width) == ((HEIGHT, WIDTH) if degrees in (0, 180) else (WIDTH, HEIGHT))
    for number, frame in enumerate(read(info)):
        assert number_in(np.rot90(frame, -degrees // 90)) == number


def test_mirrored_video(tmp_path: Path) -> None:
    import av

    path, plain = tmp_path / "mirrored.mp4", tmp_path / "plain.mp4"
    write_clip(plain, [0, 40])
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(0, hflip=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    frame = read(probe(path, SamplingConfig(num_frames=2)))[1]
    assert number_in(frame[:, ::-1]) == 1


def test_sample_aspect_ratio(tmp_path: Path) -> None:
    from fractions import Fraction

    path = tmp_path / "anamorphic.mp4"
    write_clip(path, [0, 40], ratio=Fraction(3, 2))
    info = probe(path, SamplingConfig(num_frames=2))
    assert (info.height, info.width) == (HEIGHT, WIDTH * 3 // 2)
    assert [number_in(frame) for frame in read(info)] == [0, 1]
