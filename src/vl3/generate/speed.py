"""How long a request will take, from two rates of this machine: of its matrix products, and of its memory.

The rates are measured once, in about a second, and kept in a file. What else takes time, above all the decoding of
media, is not counted; nor are models whose kernels run at other rates (packed ones, and convolutional stems).
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from vl3.config import decode
from vl3.errors import UserError

if TYPE_CHECKING:
    from vl3.generate.plan import Plan

PROBE_S = 0.4


@dataclass(frozen=True)
class Rates:
    """Of this machine, for one type of number."""

    flops: float
    """Multiplications and additions a second in large matrix products."""
    bandwidth: float
    """Bytes a second of a matrix that is multiplied with one vector."""


@dataclass(frozen=True)
class Seconds:
    """What a request takes, without the reading of media."""

    vision: float
    prefill: float
    generate: float
    """For the longest answer."""


def seconds(plan: "Plan", rates: Rates) -> Seconds:
    """The work that shapes say, over the rates."""
    vision, language = plan.footprint.config.vision, plan.footprint.config.language
    looking = 0.0
    d = vision.hidden_size
    for one in plan.seen:
        _, h, w = one.grid
        per_patch = 2 * (4 * d * d + 2 * d * vision.intermediate_size) + 4 * h * w * d
        looking += vision.num_layers * one.different * h * w * per_patch
    heads = language.num_heads * language.head_dim
    kv = language.num_kv_heads * language.head_dim
    matrices = language.num_layers * (
        2 * language.hidden_size * (heads + kv) + 3 * language.hidden_size * language.intermediate_size
    )
    reading = 2 * plan.prompt_tokens * matrices + 2 * plan.prompt_tokens**2 * heads * language.num_layers
    read = (matrices + language.vocab_size * language.hidden_size) * plan.footprint.dtype.itemsize + plan.memory.cache
    return Seconds(looking / rates.flops, reading / rates.flops, plan.max_new_tokens * read / rates.bandwidth)


def rates_of(dtype: torch.dtype, file: Path | None = None) -> Rates:
    """Of this machine: as measured before, or measured now and kept in `file` (in ~/.cache/vl3 where none is given)."""
    file = file or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "vl3" / "rates.json"
    key = f"{_processor()}, {torch.get_num_threads()} threads, {str(dtype).removeprefix('torch.')}"
    known = _known(file)
    if key not in known:
        known[key] = _measured(dtype)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            plain = {name: asdict(rates) for name, rates in known.items()}
            file.write_text(json.dumps(plain, indent=1), encoding="utf-8")
        except OSError:  # they are measured again next time
            return known[key]
    return known[key]


def _known(file: Path) -> dict[str, Rates]:
    try:
        return decode(dict[str, Rates], json.loads(file.read_text(encoding="utf-8")), str(file))
    except (OSError, ValueError, UserError):  # none yet, or not ours: made anew
        return {}


def _measured(dtype: torch.dtype) -> Rates:
    with torch.inference_mode():
        x, w = torch.randn(1024, 1536).to(dtype), torch.randn(4096, 1536).to(dtype)
        product = _best(lambda: F.linear(x, w))
        one, large = torch.randn(1, 4096).to(dtype), torch.randn(16384, 4096).to(dtype)
        pass_ = _best(lambda: F.linear(one, large))
    return Rates(2 * 1024 * 1536 * 4096 / product, large.numel() * dtype.itemsize / pass_)


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of several calls."""
    times: list[float] = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < PROBE_S or len(times) < 3:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "this processor"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "this processor")
