"""Planning: what is predicted is what is then seen, and --max-memory chooses the best that fits."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vl3.chat import question
from vl3.cli import main
from vl3.config import ModelConfig, ProcessorConfig, PruneConfig, SamplingConfig
from vl3.errors import UserError
from vl3.generate import Assistant, Service, ServiceConfig
from vl3.generate.budget import Budget, Demand, fit
from vl3.generate.memory import Portions, Seen, memory_of
from vl3.generate.options import limited
from vl3.generate.plan import footprint, plan
from vl3.generate.speed import Rates, rates_of, seconds
from vl3.media import Decoder
from vl3.processing.prune import keep_mask, most_kept
from vl3.weights.demo import save_demo_model
from vl3.weights.footprint import Footprint
from vl3.weights.packing import weight_bytes

GB = 10**9
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "model"
    save_demo_model(folder)
    return folder


@pytest.fixture(scope="module")
def two_b(model: Path) -> Footprint:
    """The 2B model's size, with the tiny one's tokenizer."""
    config = ModelConfig()
    weights = weight_bytes(config, None, torch.bfloat16)
    return replace(footprint(model), config=config, dtype=torch.bfloat16, weights=weights, base=350 << 20)


@pytest.mark.parametrize("options", [{}, {"num_frames": 3}, {"prune": "keep=0.3"}, {"max_tokens": 200, "prune": "off"}])
def test_a_plan_is_what_is_then_seen(model: Path, assistant: Assistant, options: dict[str, object]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 120, 90, 3), dtype=np.uint8)
    messages = question([noise, Image.fromarray(noise[0])], "What happens?")
    answer = assistant.chat(messages, max_new_tokens=3, **options)  # type: ignore[arg-type]
    found = replace(footprint(model), processor=assistant.checkpoint.processor)
    with Decoder() as decoder:
        bound = plan(found, messages, {"max_new_tokens": 3, **options}, decoder)  # type: ignore[typeddict-item]
        exact = plan(found, messages, {"max_new_tokens": 3, **options}, decoder, read=True)  # type: ignore[typeddict-item]
    assert exact.prompt_tokens == answer.num_prompt_tokens
    assert [one.kept for one in exact.seen] == [one.kept for one in bound.seen], "noise changes everywhere"
    assert sum(one.tokens for one in bound.seen) == answer.num_visual_tokens_unpruned
    assert sum(one.kept for one in bound.seen) == answer.num_visual_tokens


@pytest.mark.parametrize("mode", ["published", "off", "keep=0.01", "keep=0.5", "keep=1", "budget=20", "budget=9999"])
def test_pruning_never_leaves_more_than_was_said(mode: str) -> None:
    config = PruneConfig.parse(mode)
    for frames in (1, 5):
        patches = torch.randint(0, 256, (frames * 4 * 4, 3 * 4), dtype=torch.uint8)
        keep = keep_mask(patches, frames, 1, (0.5, 0.5, 0.5), config)
        assert int(keep.sum()) == most_kept(frames, 16, config)


def test_memory_grows_with_all_that_costs(two_b: Footprint) -> None:
    def peak(frames: int = 32, side: int = 24, prompt: int = 5000, answer: int = 100, portion: int = 16384) -> int:
        seen = [Seen((frames, side, side), 2, frames * side * side // 4, frames)]
        portions = Portions(portion, portion // 8)
        return memory_of(two_b.config, two_b.weights, 0, 2, seen, prompt, answer, portions).peak

    for more in (peak(frames=64), peak(side=48), peak(prompt=20000), peak(answer=9000)):
        assert more > peak()
    assert peak(portion=2048) < peak()
    assert 3.9 * GB < two_b.weights < 4.1 * GB, "1.96 billion parameters of two bytes"


def test_a_head_is_not_in_memory_before_a_token_is_chosen(two_b: Footprint) -> None:
    """Files are mapped: what a pass of the decoder takes and the head are never there together."""

    def peak(prompt: int, head: int) -> int:
        return memory_of(two_b.config, two_b.weights, 0, 2, [], prompt, 100, head=head).peak

    head = two_b.config.language.vocab_size * two_b.config.language.hidden_size * 2
    for prompt in (10, 1000, 16000):
        small = memory_of(two_b.config, two_b.weights, 0, 2, [], prompt, 100)
        assert peak(prompt, head) == peak(prompt, 0) - min(small.prefill, head)
        assert peak(prompt, head) >= two_b.weights + small.cache, "it is there while the answer is written"


# -------------------------------------------------------------------------------------------------------- a budget


@pytest.mark.parametrize(
    "demand",
    [Demand(), Demand(max_running=8, num_decoders=2, kept_bytes=GB), Demand(conversation=True)],
)
def test_a_budget_is_kept_and_more_memory_is_never_less(two_b: Footprint, demand: Demand) -> None:
    config = ProcessorConfig()
    before: Budget | None = None
    for limit in np.linspace(7.5, 24, 30) * GB:
        budget = fit(int(limit), two_b, config, demand)
        assert budget.predicted <= limit
        assert budget.max_tokens <= config.max_tokens and budget.max_running <= demand.max_running
        assert "\n" not in budget.says(demand, config)
        if before is not None:
            assert (budget.max_tokens, budget.max_frames) >= (before.max_tokens, before.max_frames)
        before = budget
    assert before is not None
    assert (before.max_tokens, before.max_frames) == (16384, 180)
    assert before.max_running == demand.max_running and before.kept_bytes == demand.kept_bytes


@pytest.mark.parametrize("tokens", [144, 1024, 16384])
def test_where_there_is_room_nothing_is_taken_away(two_b: Footprint, tokens: int) -> None:
    budget = fit(100 * GB, two_b, ProcessorConfig(max_tokens=tokens), Demand())
    assert (budget.max_tokens, budget.portions) == (tokens, Portions())
    assert limited(ProcessorConfig(max_tokens=tokens), budget.max_tokens, budget.max_frames).sampling.max_frames == min(
        180, tokens
    )


def test_the_least_that_would_do_does(two_b: Footprint) -> None:
    with pytest.raises(UserError, match=r"--max-memory 4\.00 GB is too little.* need (\d\.\d\d) GB") as error:
        fit(4 * GB, two_b, ProcessorConfig(), Demand())
    said = float(str(error.value).split(" need ")[1].split(" GB")[0])
    assert fit(int((said + 0.01) * GB), two_b, ProcessorConfig(), Demand()).max_tokens >= 16
    with pytest.raises(UserError):
        fit(int((said - 0.02) * GB), two_b, ProcessorConfig(), Demand())


def test_requests_stay_within_the_budget(assistant: Assistant) -> None:
    budget = Budget(
        limit=GB,
        predicted=GB,
        portions=Portions(64, 32),
        max_tokens=60,
        max_frames=3,
        max_running=2,
        kv_bytes=10**7,
        kept_bytes=1000,
    )
    small = Assistant(assistant.checkpoint, assistant.decoder, budget=budget)
    noise = np.random.default_rng(0).integers(0, 256, (9, 120, 90, 3), dtype=np.uint8)
    messages = question([noise], "What?")
    answer = small.chat(messages, max_new_tokens=4, num_frames=9, max_tokens=5000)
    assert len(answer.frame_times_s[0]) == 3 and answer.num_visual_tokens_unpruned <= 60
    same = assistant.chat(messages, max_new_tokens=4, num_frames=3, max_tokens=60)
    assert answer.text == same.text, "portions change no answer"
    with Service(small, ServiceConfig(max_running=8, vision_bytes=10**6)) as service:
        assert service.submit(messages, max_new_tokens=4, max_frames=9).answer.text == same.text
        config = service.config
    assert (config.max_running, config.kv_bytes, config.vision_bytes) == (2, 10**7, 1000)
    assert (config.vision_alone, config.vision_chunk, config.prefill_alone, config.prefill_chunk) == (64, 64, 32, 32)


def test_the_transformers_rule_is_limited_too() -> None:
    config = ProcessorConfig(resize="transformers", sampling=SamplingConfig(num_frames=50))
    within = limited(config, 100, 8)
    assert within.image_max_pixels == 100 * 14**2 and within.video_max_pixels == 100 * 28**2
    assert within.sampling.num_frames == 8 and limited(ProcessorConfig(), 10**9, 10**9) == ProcessorConfig()


def test_time_is_work_over_rates(two_b: Footprint, tmp_path: Path) -> None:
    """The 2B model reads 1.5 billion numbers for a token, and multiplies by each twice for a token of the prompt."""
    with Decoder() as decoder:
        planned = plan(two_b, question([], "x" * 900), {"max_new_tokens": 1}, decoder)
    took = seconds(planned, Rates(flops=1e12, bandwidth=1e10))
    assert took.vision == 0
    assert took.prefill == pytest.approx(2 * 1.31e9 * planned.prompt_tokens / 1e12, rel=0.1)
    assert took.generate == pytest.approx(1.54e9 * 2 / 1e10, rel=0.03)
    measured = rates_of(torch.float32, tmp_path / "new" / "rates.json")
    assert 1e9 < measured.flops < 1e14 and 1e8 < measured.bandwidth < 1e12
    assert rates_of(torch.float32, tmp_path / "new" / "rates.json") == measured, "measured once"
    (tmp_path / "new" / "rates.json").write_text("no JSON")
    assert rates_of(torch.float32, tmp_path / "new" / "rates.json").flops > 0


# -------------------------------------------------------------------------------------------------- from the outside


def run(*args: str | Path) -> int:
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    return int(exit_.value.code or 0)


def test_commands(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    assert run("plan", tmp_path / "a.png", "-m", model, "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["media"][0]["grid"] == [1, 7, 14] and planned["memory_bytes"]["process"] > 2 * 10**8
    assert run("plan", tmp_path / "a.png", "-m", model) == 0
    said = capsys.readouterr().out
    assert "98 visual tokens" in said and "time on this machine" in said
    assert run("ask", tmp_path / "a.png", "What?", "-m", model, "--max-memory", "4GB", "--max-new-tokens", "2") == 0
    assert "within 4.00 GB: 1024 visual tokens" in capsys.readouterr().err
    assert run("ask", "What?", "-m", model, "--max-memory", "100MB") == 2
    assert "too little" in capsys.readouterr().err
    assert run("ask", "What?", "-m", model, "--max-memory", "much") == 2
    assert "is not a size" in capsys.readouterr().err
    assert run("plan", tmp_path / "none.png", "-m", model) == 2


@pytest.mark.slow
@pytest.mark.parametrize("shapes", ["small", "2b"])
def test_predictions_are_within_15_percent_of_the_measured_peak(shapes: str) -> None:
    """Ten inputs, each in a fresh process."""
    command = [sys.executable, ROOT / "benchmarks" / "memory.py", "--shapes", shapes, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    rows = json.loads(done.stdout)
    errors = {name: row["error"] for name, row in rows.items() if isinstance(row, dict)}
    assert len(errors) == 10
    assert max(map(abs, errors.values())) < 0.15, errors
