"""Checkpoint files with values of the wrong form: one line that names the place, never a crash."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vl3.errors import UserError
from vl3.weights import convert, load_checkpoint
from vl3.weights.demo import is_untrained, save_demo_model
from vl3.weights.files import INDEX

LAYOUTS = ("vl3", "transformers", "authors")
ODD = ([], {}, "x", None, -1, 0, 1.5, [1], {"a": 1}, 10**30, True)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odd")
    save_demo_model(root / "vl3")
    for layout in ("transformers", "authors"):
        convert(root / "vl3", root / layout, layout)  # type: ignore[arg-type]
    return root


def paths(data: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """All keys of nested objects."""
    found = [path] if path else []
    if isinstance(data, dict):
        for key, value in data.items():
            found += paths(value, (*path, key))
    return found


def with_value(data: Any, path: tuple[str, ...], value: Any) -> Any:
    changed = json.loads(json.dumps(data))
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_value_of_the_configuration_may_be_odd(models: Path, tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models / layout, folder)
    names = ["config.json", *(name for name in ("preprocessor_config.json",) if (folder / name).exists())]
    refused = 0
    for name in names:
        good = json.loads((folder / name).read_text())
        for number, path in enumerate(paths(good)):
            for value in (ODD[number % len(ODD)], ODD[(number + 4) % len(ODD)], ODD[(number + 7) % len(ODD)]):
                (folder / name).write_text(json.dumps(with_value(good, path, value)))
                try:  # it loads, or is refused: anything else fails the test
                    load_checkpoint(folder)
                except UserError:
                    refused += 1
        (folder / name).write_text(json.dumps(good))
    assert refused > 20


@pytest.mark.parametrize("text", ["[]", "3", "null", '{"weight_map": []}', '{"weight_map": {"a": 3}}', "[" * 100_000])
def test_an_odd_index(models: Path, tmp_path: Path, text: str) -> None:
    shutil.copytree(models / "vl3", tmp_path / "model")
    (tmp_path / "model" / INDEX).write_text(text)
    with pytest.raises(UserError, match="index"):
        load_checkpoint(tmp_path / "model")


def test_a_config_of_absurd_json(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "vl3", tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("1" * 5000)
    with pytest.raises(UserError, match=r"config\.json"):
        load_checkpoint(tmp_path / "model")


def test_patches_that_do_not_fit_the_encoder(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "vl3", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps(with_value(config, ("processor", "patch_size"), 16)))
    with pytest.raises(UserError, match="patches of 16 pixels"):
        load_checkpoint(tmp_path / "model")


@pytest.mark.parametrize("dtype", [torch.int8, torch.float64])
def test_weights_of_an_odd_type(models: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    shutil.copytree(models / "vl3", tmp_path / "model")
    [file] = (tmp_path / "model").glob("*.safetensors")
    tensors = load_file(file)
    name = next(iter(tensors))
    save_file({**tensors, name: tensors[name].to(dtype)}, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=str(dtype).removeprefix("torch.")):
        load_checkpoint(tmp_path / "model")


def test_only_a_checkpoint_is_overwritten(models: Path, tmp_path: Path) -> None:
    precious, file = tmp_path / "precious", tmp_path / "file"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    file.write_text("x")
    for target in (precious, file):
        with pytest.raises(UserError, match="is not overwritten"):
            convert(models / "vl3", target, "authors", overwrite=True)
    assert (precious / "thesis.txt").read_text() == file.read_text() == "x"


def test_random_weights_stay_marked(models: Path) -> None:
    assert all(is_untrained(models / layout) for layout in LAYOUTS)
