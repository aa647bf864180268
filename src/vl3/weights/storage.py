"""How a model in the vl3 layout is stored when it is not stored plainly: its language model in an installed package,
with what training changed kept as low-rank matrices, and matrices in 8 bits.

model.safetensors then holds the vision encoder and the projector; of the language model `NAME.lora_A.weight` and
`NAME.lora_B.weight`, added to a layer's weight as B A, `NAME.rows`, new or changed rows of a matrix, and whole tensors
that take the place of the package's.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor

from vl3.config import configclass, decode
from vl3.errors import UserError
from vl3.weights.files import Tensors, open_tensors
from vl3.weights.gguf_language import GgufLanguage
from vl3.weights.names import name_table
from vl3.weights.package import PackageFile, resolve
from vl3.weights.quantised import Int8Tensors
from vl3.weights.tokenizer import load_tokenizer, with_special_tokens

LOW_A, LOW_B, ROWS = ".lora_A.weight", ".lora_B.weight", ".rows"
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@configclass
class Quantization:
    """In what form matrices are stored."""

    method: Literal["int8"]
    """`int8`: 8 bits a value, and a float16 scale for each row."""


@configclass
class Storage:
    """The part of config.json that says how the tensors are stored; nothing in it for a plain checkpoint."""

    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """The type that weights have once they are loaded, unless another is asked for; None is that of the files."""
    language_from: PackageFile | None = None
    """Where the language model lies, if it is not in the folder."""
    rows: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    """{a language model's matrix: which of its rows `NAME.rows` holds}."""
    special_tokens: tuple[str, ...] = ()
    """What is added to the tokenizer of language_from, when there is no tokenizer.json."""
    quantization: Quantization | None = None
    """How matrices are stored; None is in floating point."""


def read_storage(config: dict[str, Any], folder: Path) -> Storage:
    """What config.json says of the storage."""
    names = {field.name for field in dataclasses.fields(Storage)}
    data = {key: value for key, value in config.items() if key in names} if config.get("model_type") == "vl3" else {}
    return decode(Storage, data, str(folder / "config.json"))


def open_language(storage: Storage) -> GgufLanguage | None:
    """The language model that lies elsewhere, if there is one. UserError with the cure when it is not installed."""
    return None if storage.language_from is None else GgufLanguage(resolve(storage.language_from))


def tokenizer_of(folder: Path, storage: Storage, language: GgufLanguage | None) -> Tokenizer:
    """The tokenizer of a folder, or of the language model that it refers to."""
    if language is None or (folder / "tokenizer.json").exists():
        return load_tokenizer(folder)
    return with_special_tokens(language.tokenizer(), list(storage.special_tokens))


@contextmanager
def open_stored(
    folder: Path, storage: Storage, language: GgufLanguage | None, names: Iterable[str], device: str
) -> Iterator[Tensors]:
    """Opens a checkpoint's tensors, wherever and however they are stored. names: all that the model has."""
    with open_tensors(folder, device) as files:
        stored: Tensors = files if storage.quantization is None else Int8Tensors(files, str(folder))
        yield stored if language is None else Completed(stored, storage, language, names, str(folder), device)


class Completed:
    """Stored tensors, completed by a language model that lies elsewhere."""

    def __init__(
        self, stored: Tensors, storage: Storage, language: GgufLanguage, names: Iterable[str], where: str, device: str
    ) -> None:
        """UserError names low-rank matrices and rows that do not fit."""
        self._stored, self._language, self._device, self._rows = stored, language, device, storage.rows
        table = name_table(names, "gguf")
        self._elsewhere = {table.get(name, name): name for name in language}
        self.low_rank = sorted({name.removesuffix(LOW_A).removesuffix(LOW_B) for name in stored if _is_low_rank(name)})
        """The layers that low-rank matrices change."""
        parts = {name + ROWS for name in self._rows} | {
            layer + end for layer in self.low_rank for end in (LOW_A, LOW_B)
        }
        self._whole = dict.fromkeys(name for name in stored if name not in parts)
        faults = [fault for layer in self.low_rank if (fault := self._low_rank_fault(layer))]
        faults += [fault for name in self._rows if (fault := self._rows_fault(name))]
        if faults:
            raise UserError(f"{where}: weights do not fit config.json: {'; '.join(faults[:10])}")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._whole, *self._elsewhere]))

    def __contains__(self, name: str) -> bool:
        return name in self._elsewhere or name in self._whole

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        if name in self._whole:
            return self._stored.shape(name)
        rows, *others = self._language.shape(self._elsewhere[name])
        return (max([rows, *(row + 1 for row in self._rows.get(name, ()))]), *others)

    def get(self, name: str, dtype: torch.dtype | None) -> Tensor:
        """A tensor, in the dtype asked for, with what training changed."""
        if name in self._whole:
            return self._stored.get(name, dtype)
        tensor = self.untrained(name)
        layer = name.removesuffix(".weight")
        if layer in self.low_rank:
            a_RI, b_OR = self.matrices(layer)
            tensor = tensor + b_OR @ a_RI
        return tensor.to(self._device, dtype or torch.float32)

    def untrained(self, name: str) -> Tensor:
        """A weight of the language model in float32, without low-rank changes."""
        tensor = self._language.get(self._elsewhere[name], None)
        if name in self._rows:
            values = self._stored.get(name + ROWS, torch.float32).cpu()
            grown = tensor.new_zeros(self.shape(name))
            grown[: tensor.shape[0]] = tensor
            grown[list(self._rows[name])] = values
            tensor = grown
        return tensor

    def matrices(self, layer: str) -> tuple[Tensor, Tensor]:
        """A [R, I] and B [O, R] in float32."""
        a_RI, b_OR = (self._stored.get(layer + end, torch.float32).cpu() for end in (LOW_A, LOW_B))
        return a_RI, b_OR

    def _low_rank_fault(self, layer: str) -> str | None:
        names, weight = (layer + LOW_A, layer + LOW_B), f"{layer}.weight"
        if missing := [name for name in names if name not in self._stored]:
            return f"{missing[0]} is missing"
        if weight not in self._elsewhere or weight in self._whole:
            return f"{names[0]} changes no weight of the language model"
        a, b = (self._stored.shape(name) for name in names)
        if len(a) != 2 or len(b) != 2 or a[0] != b[1] or (b[0], a[1]) != self.shape(weight):
            return f"{names[0]} {list(a)} and {names[1]} {list(b)} do not fit the weight {list(self.shape(weight))}"
        return None

    def _rows_fault(self, name: str) -> str | None:
        rows = self._rows[name]
        if name not in self._elsewhere or name in self._whole or name + ROWS not in self._stored:
            return f"rows of {name} are listed but not there"
        shape = self._language.shape(self._elsewhere[name])
        new = sorted(row for row in rows if row >= shape[0])
        if len(set(rows)) < len(rows) or min(rows, default=0) < 0 or new != list(range(shape[0], shape[0] + len(new))):
            return f"rows of {name} are listed twice, below 0 or with gaps"
        if self._stored.shape(name + ROWS) != (len(rows), *shape[1:]):
            return f"{name + ROWS} is {list(self._stored.shape(name + ROWS))}, should be {[len(rows), *shape[1:]]}"
        return None


def _is_low_rank(name: str) -> bool:
    return name.endswith((LOW_A, LOW_B))
