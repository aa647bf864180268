"""Where a model runs, and in which type of number."""

import torch

from vl3.errors import UserError
from vl3.log import logger


def pick_device(name: str) -> str:
    """The device that a user's word means. UserError for one that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r} cannot be used here: try --device cpu") from error
    return name


def pick_dtype(name: str, device: str) -> torch.dtype | None:
    """The dtype that a user's word means; None keeps the stored one."""
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name == "auto":
        if device == "cpu" and not torch.cpu._is_avx512_bf16_supported():
            logger.info(
                "this CPU has no bfloat16 arithmetic: the model runs in float32 (--dtype bfloat16 halves memory)"
            )
            return torch.float32
        return None
    if name not in names:
        raise UserError(f"unknown dtype {name!r}: use auto, {', '.join(names)}")
    return names[name]
