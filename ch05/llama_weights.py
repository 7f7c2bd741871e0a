"""Keep a Llama or a Qwen3 on disk as the hub does, and read one from there.

A folder holds config.json and model.safetensors, or several such files
and an index that says which weight is in which.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ch02.tokenizer import BPETokenizer
from ch05.files import saved_whole
from ch05.llama import LlamaConfig, LlamaModel
from ch05.llama_tokenizer import MergeTokenizer

# Our layer -> Hugging Face's. Where we have one matrix and they several, ours
# holds the rows of theirs, one matrix below the other.
HF_NAMES = {
    "tok_emb": ["model.embed_tokens"],
    "norm1": ["input_layernorm"],
    "attention.qkv": [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
    ],
    "attention.q_norm": ["self_attn.q_norm"],
    "attention.k_norm": ["self_attn.k_norm"],
    "attention.proj": ["self_attn.o_proj"],
    "norm2": ["post_attention_layernorm"],
    "feed_forward.layers.0": ["mlp.gate_proj", "mlp.up_proj"],
    "feed_forward.layers.2": ["mlp.down_proj"],
    "final_norm": ["model.norm"],
    "out_head": ["lm_head"],
}
# Our size -> its name in config.json.
HF_SIZES = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "emb_dim": "hidden_size",
    "n_heads": "num_attention_heads",
    "n_layers": "num_hidden_layers",
    "n_kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "hidden_dim": "intermediate_size",
    "norm_eps": "rms_norm_eps",
}
HF_ROPE = {
    "rope_factor": "factor",
    "original_context": "original_max_position_embeddings",
    "rope_low": "low_freq_factor",
    "rope_high": "high_freq_factor",
}


def part_names(
    name: str, layers: Mapping[str, list[str]], block: str
) -> list[str]:
    """Another code's names of the parts of one of our weights.

    blocks.0.attention.proj.weight is model.layers.0.self_attn.o_proj.weight.
    """
    layer, _, kind = name.rpartition(".")
    kind = {"scale": "weight"}.get(kind, kind)  # a norm's
    before = ""
    if layer.startswith("blocks."):
        _, i, layer = layer.split(".", 2)
        before = block.format(i)
    return [f"{before}{theirs}.{kind}" for theirs in layers[layer]]


def hf_names(name: str) -> list[str]:
    """Hugging Face's names of the parts of one of our weights."""
    return part_names(name, HF_NAMES, "model.layers.{}.")


def part_rows(config: LlamaConfig, name: str) -> list[int] | None:
    """How many rows each part has of a weight that is made of several."""
    D = config.head_dim
    if ".qkv." in name:
        return [
            config.n_heads * D,
            config.n_kv_heads * D,
            config.n_kv_heads * D,
        ]
    if ".layers.0." in name:
        return [config.hidden_dim, config.hidden_dim]
    return None


def split_parts(
    model: LlamaModel, names_of: Callable[[str], list[str]]
) -> Iterator[tuple[str, Tensor]]:
    """The parts of all weights, each with its other name, as views of ours."""
    state = model.state_dict()
    if model.config.tie_weights:
        del state["out_head.weight"]  # it is that of tok_emb
    for ours, weight in state.items():
        rows = part_rows(model.config, ours) or [len(weight)]
        yield from zip(names_of(ours), weight.split(rows))


def hf_state(model: LlamaModel) -> dict[str, Tensor]:
    """The model's weights under Hugging Face's names.

    Raises: ValueError as hf_config.
    """
    hf_config(model.config)
    return {
        name: part.contiguous() for name, part in split_parts(model, hf_names)
    }


def check_parts(
    model: LlamaModel,
    names_of: Callable[[str], list[str]],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Compare other names and shapes with those of the model's weights.

    Raises: ValueError that lists what is missing, unknown or of another shape.
    """
    check_fit(dict(split_parts(model, names_of)), shapes)


def check_fit(
    targets: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Compare names and shapes with those of the tensors that they go into.

    Raises: ValueError that lists what is missing, unknown or of another shape.
    """
    missing = targets.keys() - shapes.keys()
    problems = [f"{name} is missing" for name in missing]
    for name, shape in shapes.items():
        if name not in targets:
            problems.append(f"{name} is not a weight of this model")
        elif shape != (expected := tuple(targets[name].shape)):
            problems.append(f"{name} is {shape}, not {expected}")
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"these weights do not fit the model: {shown}{more}")


@torch.no_grad()
def load_parts(
    model: LlamaModel,
    names_of: Callable[[str], list[str]],
    shapes: Mapping[str, tuple[int, ...]],
    read: Callable[[str], Tensor],
) -> None:
    """Copy weights of other names into the model, if all of them fit.

    They are read one after the other, so that memory holds only one twice.
    Raises: ValueError as check_parts; the model is unchanged then.
    """
    check_parts(model, names_of, shapes)
    for name, target in split_parts(model, names_of):
        target.copy_(read(name))  # a part is a view of our tensor


def load_hf_state(model: LlamaModel, state: Mapping[str, Tensor]) -> None:
    """Copy Hugging Face's weights into the model, if all of them fit.

    Raises: ValueError as load_parts, or if a weight is not floating-point or
    a tied output layer differs from the embedding; the model is unchanged then.
    """
    state = only_weights(state, model.config.tie_weights)
    shapes = {name: tuple(weight.shape) for name, weight in state.items()}
    load_parts(model, hf_names, shapes, state.__getitem__)


def only_weights(state: Mapping[str, Tensor], tied: bool) -> dict[str, Tensor]:
    """What a model reads of Hugging Face's weights, the tied head only once.

    Raises: ValueError if a weight is not floating-point or a tied output layer
    differs from the embedding.
    """
    # Old files also hold each layer's rotary speeds, which are no weights.
    state = {n: w for n, w in state.items() if not n.endswith("inv_freq")}
    for name, weight in state.items():
        if not weight.is_floating_point():  # whole numbers without their scale
            raise ValueError(f"{name} is {weight.dtype}, not floating-point")
    if tied and "lm_head.weight" in state:
        head = state.pop("lm_head.weight")
        table = state.get("model.embed_tokens.weight")
        if table is not None and not torch.equal(head, table):
            raise ValueError(
                "lm_head.weight differs from model.embed_tokens.weight: use "
                "tie_weights=False"
            )
    return state


def hf_config(config: LlamaConfig) -> dict:
    """What stands in the config.json of such a model.

    Raises: ValueError if neither LlamaForCausalLM nor Qwen3ForCausalLM
    computes what our model does.
    """
    kind = "qwen3" if config.qk_norm else "llama"
    widths = {w for w in config.windows if w}
    wrong = {
        "a switch of GPT-2": not (
            config.rms_norm and config.rotary and config.swiglu
        ),
        "qkv_bias without proj_bias, or the reverse": config.qkv_bias
        != config.proj_bias,
        "windows of several widths": len(widths) > 1,
        "windows without qk_norm": widths and kind == "llama",
        "mlp_bias with qk_norm": config.mlp_bias and kind == "qwen3",
    }
    for what, is_so in wrong.items():
        if is_so:
            raise ValueError(f"no Llama and no Qwen3 has {what}")
    rope = {"rope_type": "default", "rope_theta": config.rope_base}
    if config.rope_factor != 1:
        rope["rope_type"] = "llama3"
        rope |= {t: getattr(config, ours) for ours, t in HF_ROPE.items()}
    described = {
        "architectures": [f"{kind.capitalize()}ForCausalLM"],
        "model_type": kind,
        **{theirs: getattr(config, ours) for ours, theirs in HF_SIZES.items()},
        "hidden_act": "silu",
        "attention_bias": config.qkv_bias,
        "rope_parameters": rope,
        "tie_word_embeddings": config.tie_weights,
    }
    if kind == "llama":
        return described | {"mlp_bias": config.mlp_bias}
    types = ("full_attention", "sliding_attention")
    windows = config.windows or (0,) * config.n_layers
    return described | {
        "layer_types": [types[w > 0] for w in windows],
        "use_sliding_window": bool(widths),
        "sliding_window": max(widths, default=None),
    }


def llama_config(described: Mapping) -> LlamaConfig:
    """The sizes and switches that a config.json of the hub describes.

    Raises: ValueError if it does not describe a Llama or Qwen3 that we compute.
    """
    try:
        kind = described.get("model_type")
        if kind not in ("llama", "qwen3"):
            raise ValueError(f"model_type is {kind!r}, not 'llama' or 'qwen3'")
        if described.get("hidden_act", "silu") != "silu":
            raise ValueError(
                f"hidden_act is {described['hidden_act']!r}, not 'silu'"
            )
        optional = ("n_kv_heads", "head_dim", "norm_eps")
        sizes = {
            ours: described[theirs]
            for ours, theirs in HF_SIZES.items()
            if ours not in optional or described.get(theirs) is not None
        }
        H = sizes["n_heads"]
        sizes.setdefault("n_kv_heads", H)
        sizes.setdefault("norm_eps", 1e-6)
        if "head_dim" not in sizes:
            sizes["head_dim"] = sizes["emb_dim"] // H
        # Before version 5 of transformers the base stood by itself.
        rope = described.get("rope_parameters") or {
            "rope_theta": described.get("rope_theta", 10000.0),
            **(described.get("rope_scaling") or {}),
        }
        scaled = rope.get("rope_type", rope.get("type", "default"))
        if scaled not in ("default", "llama3"):
            raise ValueError(
                f"rope_type is {scaled!r}, not 'default' or 'llama3'"
            )
        if rope.get("partial_rotary_factor", 1) != 1:
            raise ValueError("partial_rotary_factor is not 1")
        if scaled == "llama3":
            sizes |= {ours: rope[theirs] for ours, theirs in HF_ROPE.items()}
        return LlamaConfig(
            **sizes,
            rope_base=rope["rope_theta"],
            windows=read_windows(described) if kind == "qwen3" else (),
            qk_norm=kind == "qwen3",
            qkv_bias=described.get("attention_bias", False),
            proj_bias=described.get("attention_bias", False),
            mlp_bias=described.get("mlp_bias", False),
            tie_weights=described.get("tie_word_embeddings", False),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"this is no Llama or Qwen3 of ours: {what}") from None


def read_windows(described: Mapping) -> tuple[int, ...]:
    """The window of each layer of a Qwen3, or () if all of them read all."""
    if not described.get("use_sliding_window"):
        return ()
    n_layers, width = (
        described["num_hidden_layers"],
        described["sliding_window"],
    )
    full = described.get("max_window_layers", n_layers)  # these come first
    types = described.get("layer_types") or [
        "full_attention" if i < full else "sliding_attention"
        for i in range(n_layers)
    ]
    windows = tuple(width if "sliding" in t else 0 for t in types)
    return windows if any(windows) else ()


def save_llama(
    model: LlamaModel,
    folder: str | Path,
    tokenizer: BPETokenizer | None = None,
    shard_bytes: int = 5 * 10**9,
) -> None:
    """Write a model folder, as load_pretrained and transformers read it.

    What is larger than shard_bytes is spread over several files.
    Raises: ValueError as hf_config.
    """
    folder = Path(folder)
    described = hf_config(model.config)
    described["dtype"] = str(model.tok_emb.weight.dtype).removeprefix("torch.")
    save_shards(hf_state(model), described, folder, shard_bytes)
    if tokenizer is not None:
        merges = isinstance(tokenizer, MergeTokenizer)
        tokenizer.save(
            folder / ("tokenizer.json" if merges else "vocabulary.tiktoken")
        )


def save_shards(
    state: Mapping[str, Tensor],
    described: Mapping,
    folder: Path,
    shard_bytes: int,
) -> None:
    """Write weights, config.json and, where there are several files, an index."""
    shards, n_bytes = [{}], 0
    for name, weight in state.items():
        if shards[-1] and n_bytes + weight.nbytes > shard_bytes:
            shards.append({})
            n_bytes = 0
        shards[-1][name] = weight.cpu()
        n_bytes += weight.nbytes
    places = {}
    for i, shard in enumerate(shards):
        file = "model.safetensors"
        if len(shards) > 1:
            file = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        with saved_whole(folder / file) as draft:
            save_file(shard, draft, metadata={"format": "pt"})
        places |= dict.fromkeys(shard, file)
    texts = {"config.json": described}
    if len(shards) > 1:
        total = sum(weight.nbytes for weight in state.values())
        texts["model.safetensors.index.json"] = {
            "metadata": {"total_size": total},
            "weight_map": places,
        }
    for file, content in texts.items():
        with saved_whole(folder / file) as draft:
            draft.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def load_llama(folder: str | Path) -> LlamaModel:
    """Read a Llama or Qwen3 from a folder, into float32.

    Raises: FileNotFoundError if a file is not there, ValueError if one is
    damaged or a weight does not fit.
    """
    folder = Path(folder)
    with naming(path := folder / "config.json"):
        model = LlamaModel(llama_config(json.loads(path.read_text("utf-8"))))
    state = read_shards(folder)
    with naming(folder):
        load_hf_state(model, state)
    return model.eval()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the path before what was wrong with it, in a ValueError."""
    try:
        yield
    except (AttributeError, KeyError, SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def read_shards(folder: Path) -> dict[str, Tensor]:
    """All weights of a folder, from one file or from those that its index names.

    Raises: FileNotFoundError if a file is not there, ValueError if one is
        damaged.
    """
    files, state = ["model.safetensors"], {}
    if (path := folder / "model.safetensors.index.json").exists():
        with naming(path):
            places = json.loads(path.read_text("utf-8"))["weight_map"]
            files = sorted(set(places.values()))
    for path in (folder / file for file in files):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there")
        with naming(path), safe_open(path, "pt") as file:
            state |= {name: file.get_tensor(name) for name in file.keys()}
    return state


def load_llama_pretrained(
    folder: str | Path,
) -> tuple[LlamaModel, BPETokenizer]:
    """Read a Llama or Qwen3 and its tokenizer from a folder.

    Raises: FileNotFoundError if a file is not there, ValueError if one is
    damaged or does not fit.
    """
    model, folder = load_llama(folder), Path(folder)
    path = folder / "vocabulary.tiktoken"  # the course's own form
    kind = BPETokenizer
    if not path.exists():
        path, kind = folder / "tokenizer.json", MergeTokenizer
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there")
    tokenizer, V = kind.load(path), model.config.vocab_size
    if tokenizer.vocab_size > V:  # it may be padded
        raise ValueError(
            f"{folder} has vocab_size={V}, but its tokenizer knows "
            f"{tokenizer.vocab_size} tokens"
        )
    return model, tokenizer


def is_llama(path: Path) -> bool:
    """Whether a config.json names one of the architectures that are read here."""
    try:
        described = json.loads(path.read_text("utf-8"))
        return described.get("model_type") in ("llama", "qwen3")
    except (AttributeError, ValueError):
        return False  # whoever reads it in full says what is wrong
