"""Read a Llama and its tokenizer from a GGUF file; SmolLM2-135M-Instruct is one.

setup/get_smollm2.py fetches that file. Here llama.cpp's names become ours, and
the order of its rows as well.

Dimension key: H heads, D head size, C embedding.
Source: SmolLM2 is Allal et al. 2025 (arXiv:2502.02737).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ch02.tokenizer import cache_folder
from ch05.gguf_file import GGUF, read_gguf
from ch05.llama import LlamaConfig, LlamaModel
from ch05.llama_tokenizer import MergeTokenizer
from ch05.llama_weights import check_parts, load_parts, part_names

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = (
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
NORMAL, CONTROL, USER = 1, 3, 4  # kinds of tokens; users defined the last

# Our layer -> llama.cpp's; where they have several, ours has all their rows.
GGUF_NAMES = {
    "tok_emb": ["token_embd"],
    "norm1": ["attn_norm"],
    "attention.qkv": ["attn_q", "attn_k", "attn_v"],
    "attention.q_norm": ["attn_q_norm"],
    "attention.k_norm": ["attn_k_norm"],
    "attention.proj": ["attn_output"],
    "norm2": ["ffn_norm"],
    "feed_forward.layers.0": ["ffn_gate", "ffn_up"],
    "feed_forward.layers.2": ["ffn_down"],
    "final_norm": ["output_norm"],
    "out_head": ["output"],
}
GGUF_SIZES = {  # our size -> its key, after the name of the architecture
    "context_length": "context_length",
    "emb_dim": "embedding_length",
    "n_heads": "attention.head_count",
    "n_layers": "block_count",
    "n_kv_heads": "attention.head_count_kv",
    "hidden_dim": "feed_forward_length",
    "norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_base": "rope.freq_base",
}


def gguf_names(name: str) -> list[str]:
    """llama.cpp's names of the parts of one of our weights."""
    return part_names(name, GGUF_NAMES, "blk.{}.")


def gguf_config(file: GGUF) -> LlamaConfig:
    """The sizes and switches that the metadata describe.

    Raises: ValueError if they describe something else than a plain Llama.
    """
    kind = file.metadata.get("general.architecture")
    if kind != "llama":
        raise ValueError(f"general.architecture is {kind!r}, not 'llama'")
    about = {
        key.removeprefix("llama."): value
        for key, value in file.metadata.items()
        if key.startswith("llama.")
    }
    about.setdefault(
        "attention.head_count_kv", about.get("attention.head_count")
    )
    about.setdefault("rope.freq_base", 10_000.0)
    for key in GGUF_SIZES.values():
        if key not in about:
            raise ValueError(f"llama.{key} is missing")
    sizes = {ours: about[key] for ours, key in GGUF_SIZES.items()}
    config = LlamaConfig(
        vocab_size=len(token_list(file.metadata)),
        head_dim=about.get(
            "attention.key_length", sizes["emb_dim"] // sizes["n_heads"]
        ),
        tie_weights="output.weight" not in file.tensors,
        **sizes,
    )
    if config.n_layers > len(file.tensors):
        raise ValueError(f"{config.n_layers} layers are not in the file")
    if about.get("rope.dimension_count", config.head_dim) != config.head_dim:
        raise ValueError("only a part of each head is turned")
    if about.get("rope.scaling.type", "none") != "none":
        raise ValueError(f"rope.scaling.type is {about['rope.scaling.type']!r}")
    return config


def in_halves(rows: np.ndarray, n_heads: int) -> np.ndarray:
    """Undo llama.cpp's order of the rows of q and k.

    It turns neighbours, 2i and 2i + 1, as a pair; we turn i and i + D / 2.
    Shapes: (H D, C) -> (H D, C).
    """
    pairs = rows.reshape(n_heads, -1, 2, rows.shape[-1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def load_gguf(path: str | Path) -> tuple[LlamaModel, MergeTokenizer]:
    """Read a model and its tokenizer from a GGUF file, into float32.

    Raises: FileNotFoundError if there is no file, ValueError if it is damaged
    or holds another architecture.
    """
    file = read_gguf(path)
    heads = {".attn_q.": "n_heads", ".attn_k.": "n_kv_heads"}

    def numbers(name: str) -> Tensor:
        values = file.tensors[name].unpack()
        for part, n_heads in heads.items():
            if part in name:
                values = in_halves(values, getattr(config, n_heads))
        return torch.tensor(values)

    try:
        config = gguf_config(file)
        tokenizer = gguf_tokenizer(file.metadata)
        shapes = {name: t.shape for name, t in file.tensors.items()}
        # Sizes that nobody has are refused before memory is asked for.
        with torch.device("meta"):
            check_parts(LlamaModel(config), gguf_names, shapes)
        model = LlamaModel(config)
        load_parts(model, gguf_names, shapes, numbers)
    # Of sizes that no number holds: RuntimeError, or ArithmeticError.
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} holds no Llama of ours: {reason}") from None
    return model.eval(), tokenizer


def token_list(metadata: Mapping[str, object], name: str = "tokens") -> list:
    """One of the tokenizer's lists.

    Raises: ValueError if it is not there.
    """
    values = metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(values, list):
        raise ValueError(f"tokenizer.ggml.{name} is not a list")
    return values


def gguf_tokenizer(metadata: Mapping[str, object]) -> MergeTokenizer:
    """The tokenizer that the metadata describe.

    Raises: ValueError if it is of another kind, or damaged.
    """
    kind, pre = (metadata.get(f"tokenizer.ggml.{n}") for n in ("model", "pre"))
    digits_alone = {"smollm": True, "gpt-2": False}
    if kind != "gpt2" or pre not in digits_alone:
        raise ValueError(f"the tokenizer {kind!r}, {pre!r} is not read here")
    tokens, kinds, merges = (
        token_list(metadata, name)
        for name in ("tokens", "token_type", "merges")
    )
    if len(kinds) != len(tokens) or not set(kinds) <= {NORMAL, CONTROL, USER}:
        raise ValueError(f"tokens are of the kinds {sorted(set(kinds))}")
    special_ids = [i for i, kind in enumerate(kinds) if kind != NORMAL]
    return MergeTokenizer(tokens, special_ids, merges, digits_alone[pre])


def load_smollm2() -> tuple[LlamaModel, MergeTokenizer]:
    """Read SmolLM2-135M-Instruct, which set-up fetched, from the cache folder.

    Raises: FileNotFoundError if set-up has not fetched it, ValueError if the
    file was damaged.
    """
    path = cache_folder() / SMOLLM2
    remedy = "run `python setup/get_smollm2.py`"
    if not path.exists():
        raise FileNotFoundError(f"SmolLM2 is not at {path}: {remedy}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SMOLLM2_SHA256:
        raise ValueError(
            f"{path} is not SmolLM2 (its SHA-256 differs): {remedy}"
        )
    return load_gguf(path)
