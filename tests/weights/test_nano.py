"""The model that comes with the package, and is used when none is named."""

from pathlib import Path

import pytest
import torch

import vl3
from tests.tiny import tiny_checkpoint
from vl3.config import ProcessorConfig
from vl3.errors import UserError
from vl3.weights import files, load_checkpoint, save_checkpoint
from vl3.weights.adapter import Adapter, load_adapter, save_adapter


@pytest.fixture
def nano(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model in its place."""
    save_checkpoint(tiny_checkpoint(), tmp_path / "package" / "nano", "vl3")
    monkeypatch.setattr(files, "NANO_FOLDER", tmp_path / "package" / "nano")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "package" / "nano"


def test_it_lies_inside_the_package() -> None:
    assert Path(vl3.__file__).parent / "nano" == files.NANO_FOLDER


def test_it_is_the_default(nano: Path) -> None:
    assistant = vl3.load()
    assert assistant.checkpoint.path == nano
    assistant.close()


def test_a_folder_of_that_name_is_another(nano: Path, tmp_path: Path) -> None:
    save_checkpoint(tiny_checkpoint(seed=1), tmp_path / "nano", "vl3")
    weights = [load_checkpoint(name).model.projector.fc1.weight for name in ("nano", nano, "./nano")]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    save_adapter(tmp_path / "a", Adapter("nano", {}, {}, ProcessorConfig()))
    assert load_adapter(tmp_path / "a").base == "nano", "and an adapter upon it can move to another machine"


def test_an_installation_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "NANO_FOLDER", tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"nano: its weights are not in this installation.*demo-model"):
        vl3.load()
