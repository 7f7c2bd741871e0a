"""Keep a GPT on disk in the layout of GPT-2 on the hub, and read one from there.

A model is a folder: model.safetensors holds the weights under GPT-2's names,
config.json the sizes, and vocabulary.tiktoken the tokenizer, where it is not
GPT-2's. OpenAI's four models are read by the same code.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ch02.tokenizer import BPETokenizer, gpt2_ranks
from ch04.gpt import GPT2_SIZES, GPTConfig, GPTModel
from ch05.files import saved_whole, what_is_there
from ch05.llama import LlamaModel
from ch05.llama_gguf import load_smollm2
from ch05.llama_weights import is_llama, load_llama_pretrained, save_llama

# Our part of a weight's name -> GPT-2's.
GPT2_NAMES = {
    "_orig_mod.": "",  # torch.compile puts it before a name
    "tok_emb": "wte",
    "pos_emb": "wpe",
    "blocks.": "h.",
    "norm1": "ln_1",
    "norm2": "ln_2",
    "attention.qkv": "attn.c_attn",
    "attention.proj": "attn.c_proj",
    "feed_forward.layers.0": "mlp.c_fc",
    "feed_forward.layers.2": "mlp.c_proj",
    "final_norm": "ln_f",
    "out_head": "lm_head",
    ".scale": ".weight",
    ".shift": ".bias",
}

# What our model computes is fixed in these points, whatever config.json says.
GPT2_FIXED = {
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
}

# The course's own model.
COURSE_FOLDER = files("ch05") / "course_model" / "model"


def gpt2_name(name: str) -> str:
    """GPT-2's name of a weight: blocks.0.norm1.scale is h.0.ln_1.weight."""
    for ours, theirs in GPT2_NAMES.items():
        name = name.replace(ours, theirs)
    return name


def is_transposed(name: str) -> bool:
    """Whether GPT-2 keeps this weight as (in, out), where we have (out, in)."""
    return name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))


def gpt2_state(model: GPTModel) -> dict[str, Tensor]:
    """The model's weights under GPT-2's names and in its layout."""
    state = {}
    for ours, weight in model.state_dict().items():
        name = gpt2_name(ours)
        state[name] = weight.T.contiguous() if is_transposed(name) else weight
    if model.config.tie_weights:
        del state["lm_head.weight"]  # it is wte.weight
    # GPT-2's layout has this bias, even where we have none.
    for i in range(model.config.n_layers):
        state.setdefault(
            f"h.{i}.attn.c_attn.bias",
            model.tok_emb.weight.new_zeros(3 * model.config.emb_dim),
        )
    return state


def load_gpt2_state(model: GPTModel, state: dict[str, Tensor]) -> None:
    """Copy weights in GPT-2's layout into the model, if all of them fit.

    Raises: ValueError that lists each weight that is missing, unknown or of
    another shape; the model is unchanged then.
    """
    state = {
        name.removeprefix("transformer."): weight
        for name, weight in state.items()
    }
    # OpenAI's files also hold each block's causal mask, which is no weight.
    state = {
        n: w
        for n, w in state.items()
        if not n.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if "wte.weight" in state:
        # No head of its own: it is tied.
        state.setdefault("lm_head.weight", state["wte.weight"])
    targets = {
        gpt2_name(name): weight for name, weight in model.state_dict().items()
    }

    problems = [f"{name} is missing" for name in targets.keys() - state.keys()]
    for name, weight in state.items():
        if name not in targets:
            if name.endswith("c_attn.bias") and not weight.any():
                continue  # adding zero is the same as having no bias
            hint = (
                ": build the model with qkv_bias=True"
                if name.endswith("c_attn.bias")
                else ""
            )
            problems.append(f"{name} is not a weight of this model{hint}")
            continue
        expected = targets[name].T if is_transposed(name) else targets[name]
        if weight.shape != expected.shape:
            problems.append(
                f"{name} is {tuple(weight.shape)}, not {tuple(expected.shape)}"
            )
        elif (
            not weight.is_floating_point()
        ):  # of 8 bits or less: numbers without their scale
            problems.append(f"{name} is {weight.dtype}, not floating-point")
    if model.config.tie_weights and not problems:
        if not torch.equal(state["lm_head.weight"], state["wte.weight"]):
            problems.append(
                "lm_head.weight differs from wte.weight: use tie_weights=False"
            )
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"these weights do not fit the model: {shown}{more}")
    with torch.no_grad():
        for name, weight in targets.items():
            weight.copy_(state[name].T if is_transposed(name) else state[name])


def save_pretrained(
    model: GPTModel, folder: str | Path, tokenizer: BPETokenizer | None = None
) -> None:
    """Write a model folder, as load_pretrained and transformers read it."""
    if isinstance(model, LlamaModel):  # another layout
        return save_llama(model, folder, tokenizer)
    config = model.config
    described = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_embd": config.emb_dim,
        "n_head": config.n_heads,
        "n_layer": config.n_layers,
        **GPT2_FIXED,
        "resid_pdrop": config.drop_rate,
        "embd_pdrop": config.drop_rate,
        "attn_pdrop": config.drop_rate,
        "tie_word_embeddings": config.tie_weights,
        "bos_token_id": config.vocab_size - 1,  # <|endoftext|> is the last id
        "eos_token_id": config.vocab_size - 1,
    }
    state = {
        name
        if name == "lm_head.weight"
        else f"transformer.{name}": weight.cpu()
        for name, weight in gpt2_state(model).items()
    }
    folder = Path(folder)
    with saved_whole(folder / "model.safetensors") as draft:
        save_file(state, draft, metadata={"format": "pt"})
    with saved_whole(folder / "config.json") as draft:
        draft.write_text(
            json.dumps(described, indent=2) + "\n", encoding="utf-8"
        )
    if tokenizer is not None:
        with saved_whole(folder / "vocabulary.tiktoken") as draft:
            tokenizer.save(draft)


def find_file(source: str | Path, name: str) -> Path:
    """A file of a model: in its folder, or for one of OpenAI's from the hub.

    Raises: FileNotFoundError if the folder or the file is not there, or the
    hub does not give it.
    """
    if str(source) in GPT2_SIZES:
        repository = f"openai-community/{source}"
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
        hint = "a server that does not answer is given up after some minutes"
        print(
            f"fetching {name} of {source} from the Hugging Face hub; {hint}",
            file=sys.stderr,
        )
        try:
            return Path(hf_hub_download(repository, name))
        except Exception as error:  # its libraries have errors of their own
            reason = " ".join(str(error).split())[:200]
            raise FileNotFoundError(
                f"{source} could not be had from the Hugging Face hub "
                f"({name}): {reason}; set HF_ENDPOINT to a mirror, or go on "
                "with the course's own model: --model course in a command, "
                "COURSE_MODEL=course in a notebook"
            ) from None
    path = Path(source) / name
    if not path.exists():
        others = f"course, smollm2, {', '.join(GPT2_SIZES)}"
        raise FileNotFoundError(
            f"{path} is not there: {what_is_there(path, others)}"
        )
    return path


def read_config(path: str | Path) -> GPTConfig:
    """Read the sizes from a config.json in the hub's form.

    Raises: ValueError if the file does not describe a GPT-2.
    """
    try:
        described = json.loads(Path(path).read_text(encoding="utf-8"))
        if described.get("model_type") != "gpt2":
            raise ValueError(
                f"model_type is {described.get('model_type')!r}, not 'gpt2'"
            )
        for name, value in GPT2_FIXED.items():
            if described.get(name, value) != value:
                raise ValueError(
                    f"{name} is {described[name]!r}, not {value!r}"
                )
        sizes = ("vocab_size", "n_positions", "n_embd", "n_head", "n_layer")
        for name in sizes:
            if type(described[name]) is not int:
                raise ValueError(
                    f"{name} is {described[name]!r}, not a whole number"
                )
        return GPTConfig(
            vocab_size=described["vocab_size"],
            context_length=described["n_positions"],
            emb_dim=described["n_embd"],
            n_heads=described["n_head"],
            n_layers=described["n_layer"],
            drop_rate=0.0,  # a matter of the next training, not of the weights
            qkv_bias=True,
            tie_weights=described.get("tie_word_embeddings", True),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not describe a GPT-2: {error}") from None


def load_pretrained(source: str | Path) -> tuple[GPTModel, BPETokenizer]:
    """Read a model and its tokenizer from a folder, or by name.

    The course's own model is part of the course; OpenAI's come from the hub,
    and smollm2 is a Llama out of a package. A folder may hold a Llama as well.
    Raises: FileNotFoundError if there is no such model, ValueError if a file
    is damaged or a weight does not fit.
    """
    if str(source) == "smollm2":
        return load_smollm2()
    source = COURSE_FOLDER if str(source) == "course" else source
    path = find_file(source, "config.json")
    if is_llama(path):
        return load_llama_pretrained(source)
    try:
        config = read_config(path)
        model = GPTModel(config)
        path = find_file(source, "model.safetensors")
        load_gpt2_state(model, load_file(path))
    except (SafetensorError, ValueError) as error:
        damage = (
            f"{path} is damaged: " if isinstance(error, SafetensorError) else ""
        )
        remedy = ""
        # The hub's library keeps what it got, right or wrong.
        if str(source) in GPT2_SIZES:
            remedy = (
                f": delete the folder {path.parents[2]}, and it is fetched anew"
            )
        raise ValueError(f"{damage}{error}{remedy}") from None
    vocabulary = Path(source) / "vocabulary.tiktoken"
    if vocabulary.exists():
        try:
            tokenizer = BPETokenizer.load(vocabulary)
        except ValueError as error:
            raise ValueError(f"{vocabulary}: {error}") from None
    else:
        tokenizer = BPETokenizer(gpt2_ranks())
    if tokenizer.vocab_size != config.vocab_size:
        raise ValueError(
            f"{source} has vocab_size={config.vocab_size}, but its tokenizer "
            f"knows {tokenizer.vocab_size} tokens"
        )
    return model.eval(), tokenizer
