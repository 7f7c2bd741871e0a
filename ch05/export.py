"""Hand a model on: to Hugging Face's transformers, or to llama.cpp and Ollama.

    python -m ch05.export course --to hf --out runs/course-hf
    python -m ch05.export runs/instructions --to gguf --type q8_0

What stands in the files is the same model: the same ids, and the same scores
but for the rounding of the type that was asked for.

Dimension key: H heads, D head size, C embedding.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, count_parameters
from ch05.chat_forms import FORMS, ChatForm, form_of
from ch05.files import check_writable, saved_whole
from ch05.gguf_writer import Entry, write_gguf
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch05.llama import LlamaConfig, LlamaModel
from ch05.llama_gguf import CONTROL, GGUF_SIZES, NORMAL, gguf_names
from ch05.llama_tokenizer import MergeTokenizer
from ch05.llama_weights import hf_config, part_names, split_parts
from ch05.merge_list import as_merges
from course.terminal import replace_unprintable

IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
UNUSED = 5  # a kind of token, beside NORMAL and CONTROL
FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7}  # ggml's numbers
PRE_TOKENIZERS = {True: "smollm", False: "gpt-2"}  # whether digits stand alone

# Our layer -> llama.cpp's, of a GPT-2.
GPT2_GGUF_NAMES = {
    "tok_emb": ["token_embd"],
    "pos_emb": ["position_embd"],
    "norm1": ["attn_norm"],
    "attention.qkv": ["attn_qkv"],
    "attention.proj": ["attn_output"],
    "norm2": ["ffn_norm"],
    "feed_forward.layers.0": ["ffn_up"],
    "feed_forward.layers.2": ["ffn_down"],
    "final_norm": ["output_norm"],
    "out_head": ["output"],
}


def end_token(tokenizer: BPETokenizer, form: ChatForm | None) -> str:
    """The special token at which other programs stop to write.

    Raises: ValueError if the tokenizer does not have it.
    """
    end = form.end if form else END_OF_TEXT
    if end not in tokenizer.special_tokens:
        raise ValueError(
            f"the tokenizer has no token {end}, at which an answer ends"
        )
    return end


# ---- Hugging Face


def write_json(path: Path, content: dict) -> None:
    with saved_whole(path) as draft:
        draft.write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8"
        )


def export_hf(
    model: GPTModel,
    tokenizer: BPETokenizer,
    folder: str | Path,
    form: ChatForm | None,
) -> None:
    """Write a folder that AutoModelForCausalLM and AutoTokenizer open, and load_pretrained too.

    Raises: ValueError if transformers has no such model or tokenizer, OSError
    if the folder cannot be written.
    """
    folder, end = Path(folder), end_token(tokenizer, form)
    merges = as_merges(tokenizer)
    save_pretrained(model, folder, tokenizer)
    merges.save(folder / "tokenizer.json")
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.config.context_length,
        "bos_token": END_OF_TEXT
        if END_OF_TEXT in tokenizer.special_tokens
        else end,
        "eos_token": end,
        "pad_token": end,
        "clean_up_tokenization_spaces": False,
        **({"chat_template": form.jinja} if form else {}),
    }
    write_json(folder / "tokenizer_config.json", described)
    ids = {
        name: tokenizer.special_tokens[described[name.replace("_id", "")]]
        for name in IDS
    }
    write_json(folder / "generation_config.json", {**ids, "do_sample": False})


# ---- GGUF


def in_pairs(rows: np.ndarray, n_heads: int) -> np.ndarray:
    """The rows of q and k as llama.cpp turns them: 2i and 2i + 1 are a pair.

    Shapes: (H D, C) -> (H D, C). in_halves of llama_gguf takes it back.
    """
    halves = rows.reshape(n_heads, 2, -1, rows.shape[-1])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def gpt2_tensors(model: GPTModel) -> Iterator[tuple[str, np.ndarray]]:
    """A GPT's weights under llama.cpp's names, which always have the bias of q, k and v."""
    state = model.state_dict()
    if model.config.tie_weights:
        del state["out_head.weight"]
    for i in range(model.config.n_layers):
        bias = state[f"blocks.{i}.attention.qkv.weight"].new_zeros(
            3 * model.config.emb_dim
        )
        state.setdefault(f"blocks.{i}.attention.qkv.bias", bias)
    for ours, weight in state.items():
        [name] = part_names(
            ours.replace(".shift", ".bias"), GPT2_GGUF_NAMES, "blk.{}."
        )
        yield name, weight.float().cpu().numpy()


def llama_tensors(model: LlamaModel) -> Iterator[tuple[str, np.ndarray]]:
    """A Llama's or Qwen3's weights under llama.cpp's names, and in its order of rows."""
    heads = {
        ".attn_q.": model.config.n_heads,
        ".attn_k.": model.config.n_kv_heads,
    }
    for name, weight in split_parts(model, gguf_names):
        values = weight.float().cpu().numpy()
        for part, n_heads in heads.items():
            if (
                part in name and not model.config.qk_norm
            ):  # Qwen3's are turned as ours
                values = in_pairs(values, n_heads)
        yield name, values


def gpt2_metadata(model: GPTModel) -> dict[str, object]:
    config = model.config
    return {
        "general.architecture": "gpt2",
        "gpt2.context_length": config.context_length,
        "gpt2.embedding_length": config.emb_dim,
        "gpt2.feed_forward_length": 4 * config.emb_dim,
        "gpt2.block_count": config.n_layers,
        "gpt2.attention.head_count": config.n_heads,
        "gpt2.attention.layer_norm_epsilon": 1e-5,
    }


def llama_metadata(config: LlamaConfig) -> dict[str, object]:
    """Sizes of a Llama, or with QK-norm of a Qwen3, under GGUF's keys.

    Raises: ValueError for what llama.cpp has no key of, or not here.
    """
    hf_config(config)  # refuses what neither of the two has
    if (
        any(config.windows)
        or config.rope_factor != 1
        or config.qkv_bias
        or config.mlp_bias
    ):
        raise ValueError(
            "windows, longer rotary positions and biases are not written as GGUF"
        )
    kind = "qwen3" if config.qk_norm else "llama"
    sizes = {key: getattr(config, ours) for ours, key in GGUF_SIZES.items()}
    sizes |= {
        "attention.key_length": config.head_dim,
        "attention.value_length": config.head_dim,
        "rope.dimension_count": config.head_dim,
        "vocab_size": config.vocab_size,
    }
    floats = ("attention.layer_norm_rms_epsilon", "rope.freq_base")
    sizes |= {key: float(sizes[key]) for key in floats}
    return {"general.architecture": kind} | {
        f"{kind}.{key}": sizes[key] for key in sizes
    }


def tokenizer_metadata(
    tokenizer: MergeTokenizer, vocab_size: int, end: str, form: ChatForm | None
) -> dict[str, object]:
    """The tokenizer as GGUF keeps it. A vocabulary may be padded to the model's size."""
    special = tokenizer.special_tokens
    padding = [f"[PAD{i}]" for i in range(len(tokenizer.tokens), vocab_size)]
    kinds = [
        CONTROL if token in special else NORMAL for token in tokenizer.tokens
    ]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": PRE_TOKENIZERS[tokenizer.digits_alone],
        "tokenizer.ggml.tokens": tokenizer.tokens + padding,
        "tokenizer.ggml.token_type": kinds + [UNUSED] * len(padding),
        "tokenizer.ggml.merges": tokenizer.merges,
        "tokenizer.ggml.bos_token_id": special.get(END_OF_TEXT, special[end]),
        "tokenizer.ggml.eos_token_id": special[end],
        "tokenizer.ggml.padding_token_id": special[end],
        "tokenizer.ggml.add_bos_token": False,
        **({"tokenizer.chat_template": form.jinja} if form else {}),
    }


def packing_of(name: str, values: np.ndarray, kind: str) -> str:
    """How a tensor is kept in a file of this type; vectors and positions stay whole."""
    if values.ndim < 2 or name.startswith("position_embd") or kind == "f32":
        return "F32"
    # A row that is no whole number of blocks keeps 16 bits.
    return "F16" if kind == "f16" or values.shape[-1] % 32 else "Q8_0"


def export_gguf(
    model: GPTModel,
    tokenizer: BPETokenizer,
    path: str | Path,
    kind: str = "f16",
    form: ChatForm | None = None,
    name: str = "model",
) -> None:
    """Write a GGUF file that llama.cpp runs, in one of FILE_TYPES.

    Raises: ValueError if GGUF has no form for such a model, OSError if the file
    cannot be written.
    """
    end, merges = end_token(tokenizer, form), as_merges(tokenizer)
    is_llama = isinstance(model, LlamaModel)
    metadata = (
        llama_metadata(model.config) if is_llama else gpt2_metadata(model)
    )
    metadata |= {
        "general.name": name,
        "general.file_type": FILE_TYPES[kind],
        "general.quantization_version": 2,
        **tokenizer_metadata(merges, model.config.vocab_size, end, form),
    }
    tensors = (llama_tensors if is_llama else gpt2_tensors)(model)
    write_gguf(
        path,
        metadata,
        {n: Entry(v, packing_of(n, v, kind)) for n, v in tensors},
    )


def modelfile(file: str, form: ChatForm | None, end: str) -> str:
    """What `ollama create NAME -f Modelfile` reads."""
    template = form.go if form else "{{ .Prompt }}"
    lines = [
        f"FROM ./{file}",
        f'TEMPLATE """{template}"""',
        "PARAMETER temperature 0",
        f'PARAMETER stop "{end}"',
    ]
    return "\n".join(lines) + "\n"


# ---- the command


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch05.export",
        description="Write a model so that other programs open it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("model", help="a model folder, or course, smollm2, gpt2, …")
    add(
        "--to",
        choices=("hf", "gguf"),
        required=True,
        help="transformers, or llama.cpp and Ollama",
    )
    add(
        "--out",
        help="the folder to write; runs/MODEL-hf or runs/MODEL-gguf if not given",
    )
    add(
        "--type",
        choices=FILE_TYPES,
        default="f16",
        help="of a GGUF file's numbers",
    )
    add(
        "--chat",
        choices=("auto", *FORMS),
        default="auto",
        help="the form of a conversation; auto looks into the model's folder",
    )
    return parser.parse_args(arguments)


def export(args: argparse.Namespace) -> None:
    model, tokenizer = load_pretrained(args.model)
    named = form_of(args.model, tokenizer) if args.chat == "auto" else args.chat
    form, name = FORMS[named], Path(args.model).resolve().name
    out = Path(args.out or f"runs/{name}-{args.to}")
    if out.resolve() == Path(args.model).resolve():
        raise ValueError(
            f"--out {out} is the model's own folder: name another one"
        )
    check_writable(out)
    if args.to == "hf":
        export_hf(model, tokenizer, out, form)
        use = f'AutoModelForCausalLM.from_pretrained("{out}"), AutoTokenizer alike'
    else:
        file = f"{name}-{args.type}.gguf"
        export_gguf(model, tokenizer, out / file, args.type, form, name)
        with saved_whole(out / "Modelfile") as draft:
            draft.write_text(
                modelfile(file, form, end_token(tokenizer, form)), "utf-8"
            )
        use = f"llama-cli -m {out / file}, or: ollama create {name} -f {out / 'Modelfile'}"
    size = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    print(
        f"{count_parameters(model):,} parameters, {size:.1f} MB in {out}; conversation: {named}"
    )
    print(f"open it with {use}")


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    args = parse_arguments(arguments)
    try:
        export(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"export: {error}") from None


if __name__ == "__main__":
    main()
