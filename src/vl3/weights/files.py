"""Where a checkpoint's files are, and its tensors: local folders, hub ids, single and sharded safetensors."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vl3.config import read_json
from vl3.errors import UserError

WEIGHT_TYPES = (torch.float32, torch.bfloat16, torch.float16)
INDEX = "model.safetensors.index.json"
NANO = "nano"
"""The name of the small model that comes with this package."""
NANO_FOLDER = Path(__file__).parents[1] / NANO
"""Where it lies."""
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.jinja"]


def fingerprint(folder: Path) -> str:
    """Of a checkpoint's files by name, size and time: a model trained further in the same folder is another model."""
    found = [(file.name, file.stat()) for file in sorted(folder.glob("*")) if file.is_file()]
    facts = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def locate(id_or_path: str | Path, revision: str | None = None) -> Path:
    """The local folder of a checkpoint: the path itself, or a hub repository that is downloaded to the hub's cache.

    The output folder of a training run stands for what the run has finished, `nano` for the model that comes with this
    package (a folder of that name is ./nano).
    """
    if str(id_or_path) == NANO:
        return _nano()
    path = Path(id_or_path).expanduser()
    if len(path.name) > 255:
        raise UserError(f"{path.name[:80]}...: the name is too long for a folder or a hub id")
    if path.is_dir():
        return _finished(path)
    if path.exists():
        raise UserError(f"{path}: a checkpoint is a folder with config.json and safetensors files, this is a file")
    name = str(id_or_path)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(f"{name}: no such folder; give a checkpoint's folder or a hub id such as owner/name")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_WANTED))
    except HFValidationError as error:
        raise UserError(f"{name}: neither a folder nor a hub id of the form owner/name") from error
    except GatedRepoError as error:
        raise UserError(f"{name}: access is restricted; ask for it on the hub, then run `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise UserError(f"{name}: no revision {revision!r} on the hub") from error
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"{name}: not in the local cache and the hub cannot be reached (or HF_HUB_OFFLINE=1)"
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(f"{name}: not on the hub, or private and you are not logged in (`hf auth login`)") from error
    except OSError as error:
        raise UserError(f"{name}: no such folder, and downloading it failed: {error}") from error


def _nano() -> Path:
    if not (NANO_FOLDER / "config.json").is_file():
        raise UserError(
            f"{NANO}: its weights are not in this installation; install vl3 from its repository again, or give another "
            "model: a hub id such as DAMO-NLP-SG/VideoLLaMA3-2B, or a folder (`vl3 demo-model FOLDER` makes a tiny one)"
        )
    return NANO_FOLDER


def _finished(folder: Path) -> Path:
    """The folder itself, or what a training run whose output folder it is has finished."""
    if not (folder / "config.json").exists():
        for inside in (folder / "final", folder / "adapter"):
            if inside.is_dir():
                return inside
    return folder


def shards(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint. UserError when there are none, or the index names one that is missing."""
    index = folder / INDEX
    if index.exists():
        data = read_json(index)
        listed = data.get("weight_map") if isinstance(data, dict) else None
        if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
            raise UserError(f"{index}: its weight_map must name a file for each tensor; download it again")
        files = [folder / name for name in sorted(set(listed.values()))]
        if missing := [file.name for file in files if not file.exists()]:
            raise UserError(
                f"{index}: {len(missing)} of {len(files)} shards are missing: {_some(missing)}; download again"
            )
        return files
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickled = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]
        cure = "pickled weights are not loaded; convert them to safetensors" if pickled else "download it completely"
        raise UserError(f"{folder}: no safetensors files in it; {cure}")
    return files


class Tensors(Protocol):
    """Named tensors of which only names and shapes are known until they are asked for."""

    def __iter__(self) -> Iterator[str]: ...

    def __contains__(self, name: str) -> bool: ...

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, without reading it."""
        ...

    def get(self, name: str, dtype: torch.dtype | None) -> Tensor:
        """A tensor, in the dtype asked for (None: as stored)."""
        ...


class TensorFiles:
    """The tensors of a checkpoint, by name, read only when asked for."""

    def __init__(self, handles: dict[str, Any], files: dict[str, Path], device: str) -> None:
        self._handles = handles
        self._files = files
        self.device = device

    def __iter__(self) -> Iterator[str]:
        return iter(self._handles)

    def __contains__(self, name: str) -> bool:
        return name in self._handles

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, from the file's header."""
        return tuple(self._handles[name].get_slice(name).get_shape())

    def kind(self, name: str) -> str:
        """Type of a tensor as the file calls it: F32, BF16, I8 ..."""
        kind: str = self._handles[name].get_slice(name).get_dtype()
        return kind

    def raw(self, name: str) -> Tensor:
        """A tensor as it is stored, of any type."""
        try:
            tensor: Tensor = self._handles[name].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise UserError(f"{self._files[name]}: tensor {name} cannot be read: {error}; download it again") from error
        return tensor

    def get(self, name: str, dtype: torch.dtype | None) -> Tensor:
        """A tensor, in the dtype asked for (None: as stored) and on the device."""
        tensor = self.raw(name)
        if tensor.dtype not in WEIGHT_TYPES:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise UserError(f"{self._files[name]}: tensor {name} is {kind}; weights are float32, bfloat16 or float16")
        return tensor.to(self.device, dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype)

    def without(self, prefixes: tuple[str, ...]) -> "TensorFiles":
        """The same without the tensors whose names begin so."""
        kept = {name: handle for name, handle in self._handles.items() if not name.startswith(prefixes)}
        return TensorFiles(kept, self._files, self.device)


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes one safetensors file, which may be read by whoever may read other new files: the library's own may not."""
    path.touch()
    mode = path.stat().st_mode
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    save_file(whole, path, metadata={"format": "pt"})
    path.chmod(mode)


@contextmanager
def open_tensors(folder: Path, device: str = "cpu") -> Iterator[TensorFiles]:
    """Opens all shards of a checkpoint. UserError for a damaged file and for a tensor that stands in two."""
    handles: dict[str, Any] = {}
    files: dict[str, Path] = {}
    with ExitStack() as stack:
        for file in shards(folder):
            try:
                handle = stack.enter_context(safe_open(file, framework="pt", device="cpu"))
                names = list(handle.keys())
            except (SafetensorError, OSError) as error:
                raise UserError(f"{file}: not a readable safetensors file ({error}); download it again") from error
            if twice := [name for name in names if name in files]:
                raise UserError(f"{file}: tensors that {files[twice[0]].name} holds too: {_some(twice)}")
            handles |= dict.fromkeys(names, handle)
            files |= dict.fromkeys(names, file)
        yield TensorFiles(handles, files, device)


def _some(names: list[str], most: int = 10) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
