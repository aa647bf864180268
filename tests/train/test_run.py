"""Whole runs in one process: what changes, what does not, and what is written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import VideoLlama3ForConditionalGeneration

from tests.train.runs import losses, materials, tiny_run
from vl3.errors import UserError
from vl3.train import checkpoint, train
from vl3.train.config import PartConfig, TrainConfig, read_recipe
from vl3.train.distributed import join_world
from vl3.train.trainer import Run
from vl3.weights import load_checkpoint


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return materials(tmp_path_factory.mktemp("train"))


def test_a_run_and_its_export(root: Path, tmp_path: Path) -> None:
    held_out = {"data": {"sources": [{"path": str(root / "held_out/samples.jsonl")}], "num_workers": 1}}
    config = tiny_run(root, tmp_path / "run", held_out={**held_out, "answers": 2, "max_new_tokens": 4})
    seen: list[str] = []
    folder = train(config, evaluate=lambda checkpoint: {"layout": float(len(seen.append(checkpoint.layout) or []))})
    assert folder == tmp_path / "run" / "final"
    assert losses(tmp_path / "run")[-1] < losses(tmp_path / "run")[0]
    assert seen == ["vl3"]  # evaluation was given what was read back
    last = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])
    assert last["held_out_loss"] > 0 and len(last["answers"]) == 2
    ours = load_checkpoint(folder)
    theirs = VideoLlama3ForConditionalGeneration.from_pretrained(tmp_path / "run/final-transformers").eval()
    ids = torch.arange(1, 40)
    with torch.no_grad():
        mine = ours.model.logits(ours.model(ids, [len(ids)]))
        torch.testing.assert_close(mine, theirs(input_ids=ids[None]).logits[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("trained", ["vision", "projector", "language"])
def test_frozen_modules_keep_every_bit(root: Path, tmp_path: Path, trained: str) -> None:
    frozen = {name: {"lr": 1e-3 if name == trained else 0} for name in ("vision", "projector", "language")}
    config = tiny_run(root, tmp_path / "run", **frozen, steps=1, save={"every_steps": 9, "layouts": ["vl3"]})
    run = Run(config, join_world("cpu"))
    kept = {name: p.clone() for name, p in run.objective.model.named_parameters() if not name.startswith(trained)}
    run.loop()
    now = dict(run.objective.model.named_parameters())
    assert all(torch.equal(tensor, now[name]) for name, tensor in kept.items()), "in memory"
    folder = run.finish()
    before, after = load_checkpoint(root / "model").model, load_checkpoint(folder).model
    for name, tensor in before.state_dict().items():
        same = torch.equal(tensor, after.state_dict()[name])
        assert same or name.startswith(trained), name
    assert any(not torch.equal(t, after.state_dict()[n]) for n, t in before.state_dict().items())


RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("[27]b/*.yaml"))


def small(recipe: Path, root: Path, output: Path) -> TrainConfig:
    """A recipe as it is, but for the model, the data and the length of a step."""
    settings = [
        f"init_from={root / 'model'}",
        f"output={output}",
        f"data.sources=[{{path: {root / 'train/samples.jsonl'}}}]",
        *("device=cpu", "data.samples_per_step=9", "data.num_workers=0", "steps=1", "save.layouts=[vl3]"),
    ]
    return read_recipe(recipe, settings)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recipe_runs_and_leaves_alone_what_it_freezes(recipe: Path, root: Path, tmp_path: Path) -> None:
    config = small(recipe, root, tmp_path / "run")
    folder = train(config)
    assert folder is not None
    before, after = (load_checkpoint(f).model.state_dict() for f in (root / "model", folder))
    for part, settings in config.parts.items():
        same = [torch.equal(before[name], after[name]) for name in before if name.startswith(part)]
        # after one step adapters have moved only what they add to, and nothing at all has moved of a frozen part
        assert all(same) if settings.lr == 0 else not all(same), part


def test_resume_continues_to_the_same_bits(root: Path, tmp_path: Path) -> None:
    whole = tiny_run(root, tmp_path / "whole", save={"every_steps": 2, "layouts": ["vl3"]})
    train(whole)
    broken = replace(whole, output=str(tmp_path / "broken"))
    train(broken)
    for name in ("checkpoints/step-00000004", "final"):
        _remove(tmp_path / "broken" / name)
    with pytest.raises(UserError, match="--resume"):
        train(broken)
    train(broken, resume=True)
    a, b = (load_checkpoint(tmp_path / n / "final").model.state_dict() for n in ("whole", "broken"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert losses(tmp_path / "whole") == losses(tmp_path / "broken")


def test_micro_batches_do_not_change_the_losses(root: Path, tmp_path: Path) -> None:
    for name, tokens in (("one", 2048), ("many", 128)):
        config = tiny_run(root, tmp_path / name)
        train(replace(config, data=replace(config.data, pack_tokens=tokens)))
    assert losses(tmp_path / "one") == pytest.approx(losses(tmp_path / "many"), abs=1e-4)


def test_text_samples_are_trained_on(root: Path, tmp_path: Path) -> None:
    from tests.train.toy import write_toy

    path = write_toy(tmp_path / "text", 6, kinds="t")
    config = tiny_run(root, tmp_path / "run", steps=1)
    source = replace(config.data.sources[0], path=str(path))
    train(replace(config, data=replace(config.data, sources=(source,))))
    record = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[0])
    answers = [json.loads(line)["conversations"][1]["value"] for line in path.read_text().splitlines()]
    assert record["supervised_tokens"] == sum(len(answer) + 1 for answer in answers)  # its bytes and the end mark


def test_stream_samples_are_trained_on(root: Path, tmp_path: Path) -> None:
    """Six frames, an answer after the third: what comes after each frame is learnt, and the answer."""
    for second in range(6):
        Image.new("RGB", (28, 28), (40 * second, 0, 0)).save(tmp_path / f"{second}.png")
    turns = [{"role": "user", "content": "Tell.", "time": 0}, {"role": "assistant", "content": "Now.", "time": 3}]
    sample = {"stream": True, "video": ["."], "start_time": 0, "end_time": 6, "conversation": turns}
    (tmp_path / "stream.json").write_text(json.dumps([sample]))
    config = tiny_run(root, tmp_path / "run", steps=1)
    source = replace(config.data.sources[0], path=str(tmp_path / "stream.json"))
    train(replace(config, data=replace(config.data, sources=(source,), samples_per_step=1)))
    record = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[0])
    going_on, ends = 4 * len("Time"), 2  # a byte is a token, an end mark another
    assert record["supervised_tokens"] == going_on + ends + len("Now.") + 1


@pytest.mark.parametrize("merge", [True, False])
def test_lora(root: Path, tmp_path: Path, merge: bool) -> None:
    pytest.importorskip("peft")
    config = tiny_run(
        root,
        tmp_path / "run",
        language={"lr": 1e-2, "lora": {"rank": 4}},
        vision={},
        save={"every_steps": 9, "merge_lora": merge, "layouts": ["vl3"]},
    )
    folder = train(config)
    assert folder is not None and folder.name == ("final" if merge else "adapter")
    before, after = load_checkpoint(root / "model").model, load_checkpoint(tmp_path / "run").model
    changed = {n for n, t in before.state_dict().items() if not torch.equal(t, after.state_dict()[n])}
    assert any(".q_proj.weight" in name for name in changed)
    assert all(name.startswith(("projector", "language.layers")) for name in changed)


def test_bf16_keeps_trained_weights_in_float32(root: Path, tmp_path: Path) -> None:
    config = replace(tiny_run(root, tmp_path / "run", steps=2), precision="bf16", vision=PartConfig())
    train(config)
    assert all(loss < 20 for loss in losses(tmp_path / "run"))


@pytest.mark.parametrize("has_bf16", [False, True])
def test_a_processor_without_bfloat16_is_warned_of(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, has_bf16: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bf16)
    config = replace(tiny_run(root, tmp_path / "run", steps=1), precision="bf16")
    train(config, dry_run=1)
    assert ("precision=fp32" in caplog.text) != has_bf16
    caplog.clear()
    train(replace(config, precision="fp32"), dry_run=1)
    assert "precision" not in caplog.text


def test_a_dry_run_writes_nothing(root: Path, tmp_path: Path) -> None:
    """Not even the names of samples that fail."""
    path = tmp_path / "partly.jsonl"
    path.write_text('{"conversations": 3}\n' + (root / "train/samples.jsonl").read_text())
    source = {"path": str(path), "root": str(root / "train")}
    data = {"sources": [source], "samples_per_step": 31, "num_workers": 0, "pack_tokens": 256}
    config = tiny_run(root, tmp_path / "run", data=data, steps=1)
    assert train(config, dry_run=1) is None
    assert not (tmp_path / "run").exists()
    train(config)
    [named] = (tmp_path / "run/quarantine.jsonl").read_text().splitlines()
    assert "partly.jsonl:1" in json.loads(named)["reason"]


def test_a_step_that_is_not_finite_is_never_saved(root: Path, tmp_path: Path) -> None:
    config = tiny_run(root, tmp_path / "run", log_every_steps=100, save={"every_steps": 1})
    world = join_world("cpu")
    run = Run(config, world)
    run.loop(dry_run=1)
    with torch.no_grad():
        next(run.objective.model.projector.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="step 2: the gradients are not finite"):
        run.loop()
    assert checkpoint.latest(config) is None


def test_held_out_samples_that_all_fail_are_no_loss_of_zero(root: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    held_out = {"data": {"sources": str(tmp_path / "bad.jsonl"), "num_workers": 0}}
    with pytest.raises(UserError, match="held-out samples can be used"):
        train(tiny_run(root, tmp_path / "run", held_out=held_out))


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)
