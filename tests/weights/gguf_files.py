"""Writes small GGUF files, one value at a time: an independent account of the format for the reader's tests."""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 8}

TOKENS = {  # a tiny byte-level vocabulary: control tokens, all bytes, then what the merges make
    "control": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "merges": ["h e", "l l", "he ll", "hell o", "Ġ hello", "1 2"],
}


def half(value: float) -> float:
    """The nearest float16."""
    return struct.unpack("<e", struct.pack("<e", value))[0]


def block(values: list[float], kind: str) -> tuple[bytes, list[float]]:
    """The bytes of 32 values and what they mean, in float64."""
    if kind == "Q8_0":
        d = half(max(abs(v) for v in values) / 127)
        q = [max(-127, min(127, round(v / d))) if d else 0 for v in values]
        return struct.pack("<e32b", d, *q), [d * x for x in q]
    if kind == "Q4_0":
        d = half(max(values, key=abs) / -8)
        q = [max(0, min(15, round(v / d) + 8)) if d else 8 for v in values]
        head, meant = struct.pack("<e", d), [(x - 8) * d for x in q]
    else:
        low, d = half(min(values)), half((max(values) - min(values)) / 15)
        q = [max(0, min(15, round((v - low) / d))) if d else 0 for v in values]
        head, meant = struct.pack("<ee", d, low), [x * d + low for x in q]
    return head + bytes(q[i] | q[i + 16] << 4 for i in range(16)), meant


def packed(array: np.ndarray, kind: str) -> tuple[bytes, np.ndarray]:
    """The bytes of a tensor, and the values that they stand for."""
    if kind in ("F32", "F16"):
        form = "f" if kind == "F32" else "e"
        data = b"".join(struct.pack(f"<{form}", value) for value in array.ravel())
        meant: list[float] = [x[0] for x in struct.iter_unpack(f"<{form}", data)]
    else:
        flat = [float(v) for v in array.ravel()]
        blocks = [block(flat[i : i + 32], kind) for i in range(0, len(flat), 32)]
        data, meant = b"".join(b for b, _ in blocks), [v for _, values in blocks for v in values]
    return data, np.array(meant, np.float64).reshape(array.shape)


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value: Any) -> bytes:
    """A metadata value with its type in front."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(v) for v in value)
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def write_gguf(
    path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, tuple[np.ndarray, str]], version: int = 3
) -> dict[str, np.ndarray]:
    """Writes a file of (array, type) tensors; returns the values that it holds, in float64."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += text(key) + typed(value)
    body, meant = b"", {}
    for name, (array, kind) in tensors.items():
        data, meant[name] = packed(array, kind)
        sizes = tuple(reversed(array.shape))
        head += text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, TYPES[kind], len(body))
        body += data + b"\0" * (-len(data) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + body)
    return meant


# ------------------------------------------------------------------------------------- a tiny Llama in such a file

SHAPE = {"width": 64, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 16, "mlp": 96}
_NAMES = {  # the file's name of a weight -> that of transformers
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def byte_letters() -> list[str]:
    """The letters that stand for bytes in byte-level BPE (published with GPT-2), in the order of the bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def llama_metadata(**changes: Any) -> dict[str, Any]:
    tokens = [*TOKENS["control"], *byte_letters(), *(merge.replace(" ", "") for merge in TOKENS["merges"])]
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": SHAPE["layers"],
        "llama.context_length": 512,
        "llama.embedding_length": SHAPE["width"],
        "llama.feed_forward_length": SHAPE["mlp"],
        "llama.attention.head_count": SHAPE["heads"],
        "llama.attention.head_count_kv": SHAPE["kv_heads"],
        "llama.rope.freq_base": 50000.0,
        "llama.rope.dimension_count": SHAPE["head_dim"],
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(TOKENS["control"]) + [1] * (len(tokens) - len(TOKENS["control"])),
        "tokenizer.ggml.merges": TOKENS["merges"],
    }
    kept = {key: value for key, value in metadata.items() if changes.get(key, value) is not None}
    return kept | {key: value for key, value in changes.items() if value is not None}


def llama_tensors(seed: int = 0, tie: bool = True, kinds: Iterable[str] = ("Q4_1",)) -> dict[str, Any]:
    """Random weights {the file's name: (array, type)}; matrices take the `kinds` in turn."""
    random = np.random.default_rng(seed)
    queries, keys = SHAPE["heads"] * SHAPE["head_dim"], SHAPE["kv_heads"] * SHAPE["head_dim"]
    width, mlp, rows = SHAPE["width"], SHAPE["mlp"], len(llama_metadata()["tokenizer.ggml.tokens"])
    shapes = {"token_embd.weight": (rows, width), "output_norm.weight": (width,)}
    if not tie:
        shapes["output.weight"] = (rows, width)
    for i in range(SHAPE["layers"]):
        shapes |= {
            f"blk.{i}.attn_norm.weight": (width,),
            f"blk.{i}.attn_q.weight": (queries, width),
            f"blk.{i}.attn_k.weight": (keys, width),
            f"blk.{i}.attn_v.weight": (keys, width),
            f"blk.{i}.attn_output.weight": (width, queries),
            f"blk.{i}.ffn_norm.weight": (width,),
            f"blk.{i}.ffn_gate.weight": (mlp, width),
            f"blk.{i}.ffn_up.weight": (mlp, width),
            f"blk.{i}.ffn_down.weight": (width, mlp),
        }
    tensors, kinds = {}, list(kinds)
    for number, (name, shape) in enumerate(shapes.items()):
        if len(shape) == 1:
            tensors[name] = (1 + 0.1 * random.standard_normal(shape), "F32")
        else:
            tensors[name] = (0.15 * random.standard_normal(shape), kinds[number % len(kinds)])
    return tensors


def write_llama(path: Path, **options: Any) -> dict[str, np.ndarray]:
    """A whole tiny model; returns its values under the names and in the row order of transformers."""
    meant = write_gguf(path, llama_metadata(), llama_tensors(**options))
    published = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
    result = {}
    for name, values in meant.items():
        if name.startswith("blk."):
            _, layer, part, _ = name.split(".")
            if part in ("attn_q", "attn_k"):
                values = in_halves(values)
            result[f"model.layers.{layer}.{_NAMES[part]}.weight"] = values
        else:
            result[f"{published[name.removesuffix('.weight')]}.weight"] = values
    return result


def in_halves(values: np.ndarray) -> np.ndarray:
    """Rows of heads from pairs (0, 8), (1, 9) ... in turn to 0, 1 ... 15."""
    size, half_size = SHAPE["head_dim"], SHAPE["head_dim"] // 2
    result = np.empty_like(values)
    for row in range(len(values)):
        head, place = divmod(row, size)
        result[head * size + place % 2 * half_size + place // 2] = values[row]
    return result


def install(site: Path, package: str = "tiny-lm", version: str = "1.0", **options: Any) -> dict[str, np.ndarray]:
    """Lays out an installed package with a .gguf file in it, as pip would; returns what `write_llama` does."""
    module = package.replace("-", "_")
    (site / module).mkdir(parents=True, exist_ok=True)
    (site / module / "__init__.py").write_text("raise RuntimeError('the package must not be imported')\n")
    values = write_llama(site / module / "tiny.gguf", **options)
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{module}/__init__.py,,\n{module}/tiny.gguf,,\n{info.name}/METADATA,,\n")
    return values
