"""Write text with a GPT: temperature, top-k and top-p, here or as a command.

    python -m ch05.gpt_generate --model course --prompt "Once there was a baker."

Dimension key: B batch, T tokens, V vocabulary.
Source: top-p sampling is Holtzman et al. 2020 (arXiv:1904.09751).
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import torch
from torch import Tensor

from ch04.gpt import GPTModel, choose_device
from ch04.kv_cache import evaluating, make_cache, read
from ch05.gpt_weights import load_pretrained
from course.language import say, translate_help
from course.terminal import end_without_reader, replace_unprintable


def next_token_probabilities(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Tensor:
    """Turn scores into the probabilities that the next token is drawn from.

    Temperature sharpens (below 1) or flattens (above 1), 0 leaves only the
    likeliest token. Then top_k keeps the k likeliest, and top_p the fewest
    likeliest that together reach p.
    Shapes: logits (B, V) -> (B, V), each row sums to 1.
    Raises: ValueError if temperature < 0, top_k < 1, or top_p is not in (0, 1].
    """
    if not temperature >= 0:
        raise ValueError(
            f"temperature={temperature} must be 0 (greedy) or more"
        )
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k} must be at least 1")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} must be above 0 and at most 1")
    if temperature == 0:
        likeliest = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter(-1, likeliest, 1.0)
    # The largest score becomes 0, so that a small temperature cannot overflow;
    # one that would be rounded to 0 is raised to the smallest number there is.
    temperature = max(temperature, torch.finfo(logits.dtype).tiny)
    logits = (logits - logits.max(dim=-1, keepdim=True).values) / temperature
    if top_k is None and top_p is None:
        return logits.softmax(dim=-1)  # nothing has to be sorted
    probabilities, order = logits.softmax(dim=-1).sort(
        dim=-1, descending=True, stable=True
    )
    if top_k is not None:
        probabilities[:, top_k:] = 0.0
        probabilities /= probabilities.sum(dim=-1, keepdim=True)
    if top_p is not None:
        # The sum of all likelier tokens.
        before = probabilities.cumsum(dim=-1) - probabilities
        probabilities[before >= top_p] = 0.0
    probabilities /= probabilities.sum(dim=-1, keepdim=True)
    # Vocabulary order.
    return torch.zeros_like(probabilities).scatter(-1, order, probabilities)


@torch.no_grad()
def stream_tokens(
    model: GPTModel,
    idx: Tensor,
    n_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Draw up to n_tokens tokens, and hand over each as soon as it is drawn.

    The model reads the last context_length tokens, and each only once as long
    as all of them fit. The draw is made on the CPU, so that a seeded generator
    gives the same random numbers for every device.
    Shapes: idx (B, T) -> at every step (B, 1).
    Raises: ValueError if idx is empty or n_tokens < 0, or as
    next_token_probabilities.
    """
    if n_tokens < 0:
        raise ValueError(f"n_tokens={n_tokens} must be at least 0")
    if idx.shape[1] == 0:
        raise ValueError(
            "the prompt is empty: a GPT continues at least one token"
        )
    stopped = torch.zeros(len(idx), 1, dtype=torch.bool, device=idx.device)
    cache = make_cache(model, len(idx), idx.shape[1] + n_tokens)
    for _ in range(n_tokens):
        with evaluating(model):  # no dropout while writing
            logits, cache = read(model, cache, idx)  # (B, V)
        probabilities = next_token_probabilities(
            logits, temperature, top_k, top_p
        )
        if temperature == 0:
            idx = probabilities.argmax(dim=-1, keepdim=True)  # (B, 1)
        else:
            idx = torch.multinomial(
                probabilities.cpu(), 1, generator=generator
            ).to(idx.device)
        if stop_id is not None:
            idx[stopped] = stop_id
            stopped |= idx == stop_id
        yield idx
        if stopped.all():
            break


def generate(
    model: GPTModel,
    idx: Tensor,
    n_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Append up to n_tokens drawn tokens; after stop_id a row gets only that.

    Shapes: idx (B, T) -> (B, T + n_tokens), or fewer if every row has stopped.
    Raises: ValueError as stream_tokens.
    """
    settings = (temperature, top_k, top_p, stop_id, generator)
    return torch.cat(
        [idx, *stream_tokens(model, idx, n_tokens, *settings)], dim=1
    )


def stream_text(
    decode: Callable[[list[int]], str], ids: Iterable[int]
) -> Iterator[str]:
    """The text of ids as they come, whole characters only: their bytes may span several tokens."""
    waiting = []
    for i in ids:
        waiting.append(i)
        text = decode(waiting)
        # No character is half there.
        if not text.endswith("\N{REPLACEMENT CHARACTER}"):
            yield text
            waiting.clear()
    if waiting:
        yield decode(waiting)


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ch05.gpt_generate", description="Write text."
    )
    parser.add_argument(
        "--model",
        default="course",
        help="a model folder, or course, smollm2, gpt2, … [%(default)s]",
    )
    parser.add_argument(
        "--prompt", default="The ", help="the text to go on from [%(default)r]"
    )
    parser.add_argument(
        "--tokens",
        type=int,
        default=100,
        help="how many to write [%(default)s]",
    )
    parser.add_argument(
        "--temperature", type=float, default=0.8, help="0: greedy [%(default)s]"
    )
    parser.add_argument(
        "--top-k", type=int, help="draw among the k likeliest [all]"
    )
    parser.add_argument(
        "--top-p",
        type=float,
        help="draw among the likeliest that reach p [all]",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the draw [%(default)s]"
    )
    parser.add_argument("--device", help="cpu, cuda or mps [the best one here]")
    args = translate_help(parser).parse_args()
    if not 0 <= args.seed < 2**63:
        parser.error(f"--seed {args.seed} must be at least 0 and below 2**63")
    try:
        device = choose_device(args.device)
        model, tokenizer = load_pretrained(args.model)
        prompt = tokenizer.encode(args.prompt)
        steps = stream_tokens(
            model.to(device),
            torch.tensor([prompt], dtype=torch.long, device=device),
            args.tokens,
            args.temperature,
            args.top_k,
            args.top_p,
            generator=torch.Generator().manual_seed(args.seed),
        )
        # A wrong setting shows before anything is printed.
        first = list(islice(steps, 1))
        ids = chain(prompt, map(int, chain(first, steps)))
        for text in stream_text(tokenizer.decode, ids):
            print(text, end="", flush=True)
        print()
    except BrokenPipeError:
        end_without_reader()
    except (ValueError, OSError) as error:
        raise SystemExit(f"gpt_generate: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(f"\ngpt_generate: {say('stopped')}") from None


if __name__ == "__main__":
    main()
