"""The command line as its users meet it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from vl3.cli.options import model_options
from vl3.weights import load_checkpoint
from vl3.weights.demo import save_demo_model

ASSETS = Path(__file__).parents[2] / "assets"
CLIP, PHOTO = str(ASSETS / "city.mp4"), str(ASSETS / "city.jpg")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_demo_model(folder)
    return str(folder)


def vl3(*args: str, stdin: bytes = b"", model: str | None = None) -> tuple[int, str, str]:
    """(exit status, standard output, standard error) of the command in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment.pop("VL3_MODEL", None)
    if model is not None:
        environment["VL3_MODEL"] = model
    done = subprocess.run(
        [sys.executable, "-m", "vl3", *args], input=stdin, capture_output=True, env=environment, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_ask_streams_what_json_says(model: str) -> None:
    options = ["--max-new-tokens", "12", "--max-tokens", "200"]
    status, text, notes = vl3("ask", CLIP, PHOTO, "What is this?", *options, model=model)
    assert status == 0 and "UNTRAINED" in notes
    status, out, _ = vl3("ask", CLIP, PHOTO, "What is this?", *options, "--json", "--model", model)
    answer = json.loads(out)
    assert text == answer["text"] + "\n"
    assert answer["frame_times_s"] == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [0.0]]
    assert 0 < answer["num_visual_tokens"] <= answer["num_visual_tokens_unpruned"] < answer["num_prompt_tokens"]
    assert answer["num_generated_tokens"] <= 12
    assert set(answer["timings_s"]) == {"media", "prefill", "generate"}


def test_standard_input_is_a_file(model: str) -> None:
    options = ["What?", "--max-new-tokens", "8", "--max-tokens", "100"]
    from_file = vl3("ask", PHOTO, *options, model=model)
    from_pipe = vl3("ask", "-", *options, stdin=Path(PHOTO).read_bytes(), model=model)
    assert from_pipe == from_file and from_file[0] == 0


def test_options_reach_the_model(model: str) -> None:
    common = ["ask", CLIP, "?", "--json", "--max-new-tokens", "1", "--max-tokens", "100"]
    _, out, _ = vl3(*common, "--fps", "2", "--start", "1", "--end", "3", model=model)
    assert json.loads(out)["frame_times_s"] == [[1.0, 1.48, 2.0, 2.48]]
    _, out, _ = vl3(*common, "--num-frames", "2", "--prune", "budget=60", model=model)
    assert json.loads(out)["num_visual_tokens"] == 60


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["ask", "none.png", "What?"], "none.png: no such file"),
        (["ask", __file__, "What?"], "test_cli.py"),
        (["ask", PHOTO, "What?", "--prune", "all"], "prune 'all': use off, published, grey=LEVELS"),
        (["ask", PHOTO, "What?", "--temperature", "-1"], "temperature must be 0 or"),
        (["ask", PHOTO, "What?", "--device", "warp"], "device 'warp' cannot be used here"),
        (["ask", "-", "-", "What?"], "only once"),
        (["ask", "What?", PHOTO], "the question comes last"),
        (["ask", PHOTO, " "], "the question is empty"),
        (["ask", CLIP, "What?", "--start", "50"], "lasts 7.60 s"),
        (["inspect", "none.mp4"], "none.mp4: no such file"),
        (["inspect", PHOTO, "--sheet", "/nowhere/x.png"], "/nowhere/x.png: cannot be written"),
        (["convert", "nowhere", "there", "--layout", "vl3"], "nowhere: no such folder"),
        (["assemble", "nowhere", "nowhere", "there"], "nowhere: no such folder"),
        (["ask", "Hi", "--fps", "many"], "'many' is not a valid float"),
        (["ask"], "Missing argument"),
        (["answer"], "Choose one of: ask, chat"),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(args: list[str], says: str, model: str) -> None:
    status, out, errors = vl3(*args, model=model)
    assert (status, out) == (2, "")
    assert says in errors and "Traceback" not in errors
    ours = [line for line in errors.splitlines() if line.startswith("vl3: error:")]
    assert len(ours) == 1 or "Usage:" in errors


def test_threads_are_set_before_the_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @model_options
    def verb(**_given: Any) -> None:
        click.echo(str(torch.get_num_threads()))

    before = torch.get_num_threads()
    monkeypatch.setattr(os, "cpu_count", lambda: before + 1)
    try:
        assert CliRunner().invoke(verb, []).output == f"{before}\n"
        assert CliRunner().invoke(verb, ["--threads", str(before + 1)]).output == f"{before + 1}\n"
    finally:
        torch.set_num_threads(before)
    for count in (0, before + 2):
        refused = CliRunner().invoke(verb, ["--threads", str(count)])
        assert refused.exit_code == 2 and "--threads" in refused.output


def test_a_model_that_is_not_there() -> None:
    status, _, errors = vl3("ask", "Hi", "--model", "owner/none")
    assert status == 2 and "not in the local cache" in errors


def test_chat_keeps_the_conversation_and_survives_mistakes(model: str) -> None:
    lines = f"What is it?\n/add nowhere.png\nAnd?\n/add {CLIP}\nMore?\n/what\n/reset\nHi\n/quit\nnever\n"
    options = ["--max-new-tokens", "5", "--max-tokens", "60"]
    status, out, errors = vl3("chat", PHOTO, *options, stdin=lines.encode(), model=model)
    assert status == 1, "a script must see that one of its questions failed"
    assert len(out.splitlines()) >= 3
    assert errors.count("vl3: error: nowhere.png") == 1 and "/reset" in errors


def test_inspect_loads_no_weights(model: str, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "m", ignore=shutil.ignore_patterns("*.safetensors", "tokenizer.json"))
    settings = str(tmp_path / "m")
    status, out, _ = vl3(
        "inspect", CLIP, PHOTO, "--json", "--max-tokens", "900", "--sheet", str(tmp_path / "sheet.png"), model=settings
    )
    facts = json.loads(out)
    clip, photo = facts["media"]
    assert status == 0
    assert clip["frames"] == len(clip["times_s"]) == len(clip["tokens_per_frame"]) == 8
    assert clip["tokens"] + photo["tokens"] <= 900
    assert facts["visual_tokens"] == clip["tokens_kept"] + photo["tokens_kept"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000
    status, out, _ = vl3("inspect", CLIP, model=settings)
    assert status == 0 and "190 frames, 8 chosen" in out


def test_the_sheet_shades_what_was_dropped(model: str, tmp_path: Path) -> None:
    still = Image.new("RGB", (56, 56), (255, 255, 255))
    still.save(tmp_path / "still.png")
    (tmp_path / "frames").mkdir()
    for i in range(2):
        still.save(tmp_path / "frames" / f"{i}.png")
    status, out, _ = vl3(
        "inspect", str(tmp_path / "frames"), "--json", "--sheet", str(tmp_path / "sheet.png"), model=model
    )
    assert status == 0
    [fact] = json.loads(out)["media"]
    assert fact["tokens_per_frame"] == [16, 1]
    with Image.open(tmp_path / "sheet.png") as sheet:
        first, second = sheet.getpixel((200, 200)), sheet.getpixel((6 + 246 + 200, 200))
    assert first == (255, 255, 255)
    assert second != first and second[2] > second[0], "blue where the second frame repeats the first"


def test_convert_and_assemble_write_what_loads(model: str, tmp_path: Path) -> None:
    status, _, notes = vl3("convert", model, str(tmp_path / "hf"), "--layout", "transformers")
    assert status == 0 and "wrote" in notes
    assert load_checkpoint(tmp_path / "hf").layout == "transformers"
    status, _, errors = vl3("convert", model, str(tmp_path / "hf"), "--layout", "authors")
    assert status == 2 and "--overwrite" in errors


@pytest.mark.parametrize("verb", ["ask", "chat", "inspect", "convert", "assemble", "train", "demo-model", "compact"])
def test_every_help_has_examples(verb: str) -> None:
    status, out, _ = vl3(verb, "--help")
    assert status == 0 and "Examples:" in out and f"vl3 {verb}" in out


def test_a_reader_that_goes_away_is_no_error(model: str) -> None:
    command = f"{sys.executable} -m vl3 ask Hi --model {model} --max-new-tokens 200 | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False)
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr


def test_the_page_of_commands_is_current() -> None:
    from vl3.cli.docs import page

    written = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == page(), "run `make docs`"
