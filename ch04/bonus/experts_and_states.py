"""Experts and states: more weights at equal work, and memories of fixed size.

    python -m ch04.bonus.experts_and_states

makes ch04/recorded/experts_and_states.json: the course's model trained on with
experts, and four memories that learn to recall. Given again, it goes on.

Dimension key: B batch, T tokens, C embedding (emb_dim), H heads, D head size,
N = B T rows, E experts, k of them chosen.
"""

import argparse
import copy
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer
from ch04.gpt import (
    GPTConfig,
    GPTModel,
    TransformerBlock,
    choose_device,
    count_parameters,
)
from ch05.bonus.gpt_to_llama import paired_difference
from ch05.course_model.corpus import BYTES_PER_TOKEN, generate_documents
from ch05.course_model.measure import perplexity
from ch05.course_model.pretrain import encode_documents, warmup_cosine
from ch05.gpt_weights import load_pretrained
from course.commands import check_least, check_rate, one_sentence
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable


class Experts(nn.Module):
    """Several feed-forwards; a router chooses n_chosen of them for each token.

    The last call's probabilities (N, E) and choices (N, k) stay in
    `probabilities` and `chosen`.
    Shapes: x (B, T, C) -> (B, T, C).
    Raises: ValueError if n_chosen is not from 1 to n_experts.
    Source: Shazeer et al. 2017 (arXiv:1701.06538); gates that sum to one as
    in Qwen3 (arXiv:2505.09388).
    """

    def __init__(
        self,
        emb_dim: int,
        hidden_dim: int,
        n_experts: int,
        n_chosen: int,
        swiglu: bool = False,
    ):
        super().__init__()
        if not 1 <= n_chosen <= n_experts:
            raise ValueError(
                f"n_chosen={n_chosen} must be from 1 to n_experts={n_experts}"
            )
        self.n_experts, self.n_chosen = n_experts, n_chosen
        self.swiglu = swiglu
        up_dim = 2 * hidden_dim if swiglu else hidden_dim
        self.router = nn.Linear(emb_dim, n_experts, bias=False)
        nn.init.normal_(self.router.weight, std=0.02)
        self.up = nn.Parameter(0.02 * torch.randn(n_experts, up_dim, emb_dim))
        self.up_bias = nn.Parameter(torch.zeros(n_experts, up_dim))
        self.down = nn.Parameter(
            0.02 * torch.randn(n_experts, emb_dim, hidden_dim)
        )
        self.down_bias = nn.Parameter(torch.zeros(n_experts, emb_dim))
        self.register_buffer("preference", torch.zeros(n_experts))

    def answer(self, expert: int, rows: Tensor) -> Tensor:
        """What one expert makes of its rows: (n, C) -> (n, C)."""
        hidden = F.linear(rows, self.up[expert], self.up_bias[expert])
        if self.swiglu:
            gate, up = hidden.chunk(2, dim=-1)
            hidden = F.silu(gate) * up
        else:
            hidden = F.gelu(hidden, approximate="tanh")
        return F.linear(hidden, self.down[expert], self.down_bias[expert])

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])  # (N, C)
        self.probabilities = self.router(rows).softmax(dim=-1)  # (N, E)
        liked = self.probabilities + self.preference  # for the choice alone
        self.chosen = liked.topk(self.n_chosen).indices  # (N, k)
        gates = self.probabilities.gather(1, self.chosen)
        gates = gates / gates.sum(dim=1, keepdim=True)  # (N, k)
        by_expert = self.chosen.flatten().argsort(stable=True)  # (N k,)
        token = by_expert // self.n_chosen  # whose row it is
        counts = self.chosen.flatten().bincount(minlength=self.n_experts)
        answers = [
            self.answer(expert, part)
            for expert, part in enumerate(rows[token].split(counts.tolist()))
        ]
        weighted = torch.cat(answers) * gates.flatten()[by_expert, None]
        return torch.zeros_like(rows).index_add(0, token, weighted).view_as(x)


def shares(chosen: Tensor, n_experts: int) -> Tensor:
    """The share of all choices that each expert got: (N, k) -> (E,)."""
    counts = chosen.flatten().bincount(minlength=n_experts)
    return counts / chosen.numel()


def balance_loss(probabilities: Tensor, chosen: Tensor) -> Tensor:
    """How unevenly tokens are spread: 1 if evenly, more if not.

    A count has no gradient: it flows through the mean probabilities.
    Shapes: probabilities (N, E), chosen (N, k) -> a number.
    Source: Fedus et al. 2021, section 2.2 (arXiv:2101.03961).
    """
    E = probabilities.shape[1]
    return E * (shares(chosen, E) * probabilities.mean(dim=0)).sum()


@torch.no_grad()
def move_preferences(experts: Experts, rate: float) -> None:
    """Make who had too few tokens in the last call a little more liked.

    Source: Wang et al. 2024, loss-free balancing (arXiv:2408.15664).
    """
    E = experts.n_experts
    too_few = 1 / E - shares(experts.chosen, E)
    experts.preference += rate * too_few.sign()


def upcycle(model: GPTModel, n_experts: int, n_chosen: int) -> GPTModel:
    """A copy whose experts all start as the block's trained feed-forward.

    Source: Komatsuzaki et al. 2022 (arXiv:2212.05055).
    """
    model = copy.deepcopy(model)
    for block in model.blocks:
        up, _, down = block.feed_forward.layers
        experts = Experts(
            up.in_features, up.out_features, n_experts, n_chosen
        ).to(up.weight.device)
        with torch.no_grad():
            experts.up.copy_(up.weight.expand_as(experts.up))
            experts.up_bias.copy_(up.bias.expand_as(experts.up_bias))
            experts.down.copy_(down.weight.expand_as(experts.down))
            experts.down_bias.copy_(down.bias.expand_as(experts.down_bias))
        block.feed_forward = experts
    return model


def widen(model: GPTModel) -> GPTModel:
    """A copy with twice the hidden numbers, which computes the same.

    Each of them is there twice and shares its outgoing weights with its twin
    in a ratio that is drawn, so that the two do not learn the same.
    Source: Chen et al. 2015, Net2Net (arXiv:1511.05641).
    """
    model = copy.deepcopy(model)
    for block in model.blocks:
        up, gelu, down = block.feed_forward.layers
        ratio = torch.rand(up.out_features, device=up.weight.device)
        wide_up = nn.Linear(up.in_features, 2 * up.out_features)
        wide_down = nn.Linear(2 * up.out_features, down.out_features)
        wide_up.weight.data = torch.cat([up.weight.data] * 2)
        wide_up.bias.data = torch.cat([up.bias.data] * 2)
        halves = [down.weight.data * ratio, down.weight.data * (1 - ratio)]
        wide_down.weight.data = torch.cat(halves, dim=1)
        wide_down.bias.data = down.bias.data.clone()
        block.feed_forward.layers = nn.Sequential(wide_up, gelu, wide_down)
    return model


def layers_of_experts(model: nn.Module) -> list[Experts]:
    """The layers of a model that have experts, from first to last."""
    return [m for m in model.modules() if isinstance(m, Experts)]


def active_parameters(model: nn.Module) -> int:
    """How many of its numbers a model uses for one token."""
    idle = 0
    for layer in layers_of_experts(model):
        weights = (layer.up, layer.up_bias, layer.down, layer.down_bias)
        of_one = sum(weight[0].numel() for weight in weights)
        idle += (layer.n_experts - layer.n_chosen) * of_one
    return count_parameters(model) - idle


def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Add every key and value to a state, and read it, token by token.

    Shapes: q, k (B, H, T, D), v (B, H, T, W), state (B, H, D, W) -> outputs
    (B, H, T, W) and the state after them.
    Source: Katharopoulos et al. 2020 (arXiv:2006.16236), not normalized.
    """
    if state is None:
        state = k.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1])
    outputs = []
    for t in range(k.shape[2]):
        state = state + k[:, :, t, :, None] * v[:, :, t, None, :]
        outputs.append(q[:, :, t, None, :] @ state)  # (B, H, 1, W)
    return torch.cat(outputs, dim=2), state


def linear_attention_chunked(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    size: int = 32,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The same as linear_attention, size tokens at a time."""
    if state is None:
        state = k.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1])
    outputs = []
    chunks = (x.split(size, dim=2) for x in (q, k, v))
    for queries, keys, values in zip(*chunks):  # (B, H, L, D) or (…, W)
        inside = (queries @ keys.mT).tril() @ values  # of this chunk's own
        outputs.append(queries @ state + inside)
        state = state + keys.mT @ values
    return torch.cat(outputs, dim=2), state


def delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Correct what the state says of a key, and read it, token by token.

    With log_decay the whole state fades first: the gated delta rule. Keys
    should have length 1.
    Shapes: as in linear_attention; beta and log_decay (B, H, T).
    Source: Schlag et al. 2021 (arXiv:2102.11174); with gates Yang et al. 2024
    (arXiv:2412.06464).
    """
    if state is None:
        state = k.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1])
    if log_decay is None:
        log_decay = torch.zeros_like(beta)
    outputs = []
    for t in range(k.shape[2]):
        key = k[:, :, t, :, None]  # (B, H, D, 1)
        state = state * log_decay[:, :, t, None, None].exp()
        error = v[:, :, t, None, :] - key.mT @ state  # (B, H, 1, W)
        state = state + beta[:, :, t, None, None] * key * error
        outputs.append(q[:, :, t, None, :] @ state)
    return torch.cat(outputs, dim=2), state


def delta_rule_chunked(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    log_decay: Tensor | None = None,
    size: int = 32,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The same as delta_rule, size tokens at a time.

    The corrections of a chunk depend on those before them in a straight line,
    so one triangular system gives them all.
    Source: Yang et al. 2024 (arXiv:2406.06484 and arXiv:2412.06464).
    """
    if state is None:
        state = k.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1])
    if log_decay is None:
        log_decay = torch.zeros_like(beta)
    outputs = []
    chunks = (x.split(size, dim=2) for x in (q, k, v, beta, log_decay))
    for queries, keys, values, betas, decays in zip(*chunks):
        betas = betas[..., None]  # (B, H, L, 1)
        total = decays.cumsum(dim=-1)[..., None]
        kept = total.exp()  # of the state, at each token
        left = (total - total.mT).tril().exp().tril()  # of token j, at i
        overlap = (betas * (keys @ keys.mT) * left).tril(-1)
        errors = betas * (values - kept * (keys @ state))  # of the state
        # Each corrects what those before it have written:
        # correction + overlap @ correction = error.
        written = torch.linalg.solve_triangular(
            overlap, errors, upper=False, unitriangular=True
        )
        inside = (queries @ keys.mT * left) @ written
        outputs.append(kept * (queries @ state) + inside)
        faded = left[..., -1, :, None] * keys
        state = kept[..., -1:, :] * state + faded.mT @ written
    return torch.cat(outputs, dim=2), state


STATES = ("linear attention", "delta rule", "gated delta rule")
MEMORIES = ("softmax attention", *STATES)


class StateAttention(nn.Module):
    """Attention whose past is a state of fixed size, read and written.

    Shapes: x (B, T, C) -> (B, T, C).
    """

    def __init__(self, kind: str, emb_dim: int, n_heads: int):
        super().__init__()
        if kind not in STATES:
            raise ValueError(f"{kind!r} is none of {', '.join(STATES)}")
        self.kind, self.n_heads = kind, n_heads
        self.qkv = nn.Linear(emb_dim, 3 * emb_dim)
        self.beta = nn.Linear(emb_dim, n_heads)
        self.decay = nn.Linear(emb_dim, n_heads)
        self.proj = nn.Linear(emb_dim, emb_dim)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        qkv = self.qkv(x).view(B, T, 3, self.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, D) each
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        if self.kind == "linear attention":
            out, _ = linear_attention_chunked(q, k, v)
        else:
            beta = self.beta(x).sigmoid().mT  # (B, H, T)
            log_decay = None
            if self.kind == "gated delta rule":
                log_decay = F.logsigmoid(self.decay(x) + 4).mT
            out, _ = delta_rule_chunked(q, k, v, beta, log_decay)
        return self.proj(out.transpose(1, 2).reshape(B, T, C))


TASKS = ("store", "replace", "clear")
N_KEYS, N_VALUES = 64, 64
PAGE = N_KEYS  # in the place of a key: nothing before it counts any more
ASK = NONE = N_VALUES  # in the place of a value; and the answer "not there"
MAX_ASKED = 16


def draw_recall(
    task: str, n_pairs: int, batch_size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw lists of pairs, then questions: keys, values and answers.

    store: every key once. replace: every key twice, and its last value
    counts. clear: somewhere a page is turned, and keys from before it are not
    there any more.
    Shapes: keys and values (B, T), answers (B, A) of the last A positions.
    Raises: ValueError for an unknown task, or pairs that cannot be drawn.
    """
    if task not in TASKS:
        raise ValueError(f"task {task!r} is none of {', '.join(TASKS)}")
    if n_pairs % 2 or not 2 <= n_pairs <= N_KEYS:
        raise ValueError(f"n_pairs={n_pairs} must be even, from 2 to {N_KEYS}")
    shape = (batch_size, n_pairs)
    keys = torch.rand(batch_size, N_KEYS, generator=generator).argsort()
    keys = keys[:, :n_pairs]  # (B, n_pairs), all different
    values = torch.randint(N_VALUES, shape, generator=generator)
    answers = values
    if task == "replace":
        half = keys[:, : n_pairs // 2]
        order = torch.rand(shape, generator=generator).argsort()
        keys = torch.cat([half, half], dim=1).gather(1, order)
        # The last place of each key: later places overwrite earlier ones.
        is_key = keys[:, None, :] == half[:, :, None]  # (B, n / 2, n)
        last = (is_key * torch.arange(1, n_pairs + 1)).argmax(dim=-1)
        asked, answers = half, values.gather(1, last)
    elif task == "clear":
        asked, place = keys, torch.arange(n_pairs + 1)
        cut = torch.randint(1, n_pairs, (batch_size, 1), generator=generator)
        answers = values.masked_fill(place[:-1] < cut, NONE)
        written = (place - (place > cut).long()).clamp(max=n_pairs - 1)
        page = place == cut  # (B, n_pairs + 1), once in each row
        keys = keys.gather(1, written).masked_fill(page, PAGE)
        values = values.gather(1, written).masked_fill(page, ASK)
    else:
        asked = keys
    order = torch.rand(asked.shape, generator=generator).argsort()
    order = order[:, :MAX_ASKED]
    asked, answers = asked.gather(1, order), answers.gather(1, order)
    keys = torch.cat([keys, asked], dim=1)
    values = torch.cat([values, torch.full_like(asked, ASK)], dim=1)
    return keys, values, answers


class RecallModel(nn.Module):
    """One block of a GPT that reads pairs, with a memory of one kind.

    Shapes: keys and values (B, T) -> scores (B, T, N_VALUES + 1).
    """

    def __init__(self, kind: str, config: GPTConfig):
        super().__init__()
        C = config.emb_dim
        self.key_emb = nn.Embedding(N_KEYS + 1, C)
        self.value_emb = nn.Embedding(N_VALUES + 1, C)
        self.pos_emb = nn.Embedding(config.context_length, C)
        nn.init.normal_(self.pos_emb.weight, std=0.02)
        self.block = TransformerBlock(config)
        if kind != "softmax attention":
            self.block.attention = StateAttention(kind, C, config.n_heads)
        self.out_head = nn.Linear(C, N_VALUES + 1)

    def forward(self, keys: Tensor, values: Tensor) -> Tensor:
        positions = torch.arange(keys.shape[1], device=keys.device)
        x = self.key_emb(keys) + self.value_emb(values)
        return self.out_head(self.block(x + self.pos_emb(positions)))


RECALL_SIZES = GPTConfig(
    context_length=N_KEYS + 1 + MAX_ASKED,
    emb_dim=64,
    n_heads=2,
    n_layers=1,
    drop_rate=0.0,
)
N_PAIRS = (4, 8, 16, 32, 64)


def train_recall(
    kind: str, task: str, seed: int, n_steps: int, lr: float = 3e-3
) -> tuple[RecallModel, list[float]]:
    """Train a memory on lists of every length; its loss at each step."""
    torch.manual_seed(seed)
    model = RecallModel(kind, RECALL_SIZES)
    drawing = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    scheduler = LambdaLR(optimizer, warmup_cosine(n_steps, n_steps // 10 + 1))
    losses = []
    for step in tqdm(range(n_steps), desc=f"{kind}, {task}", leave=False):
        n_pairs = N_PAIRS[step % len(N_PAIRS)]
        keys, values, answers = draw_recall(task, n_pairs, 32, drawing)
        scores = model(keys, values)[:, -answers.shape[1] :]
        loss = F.cross_entropy(scores.flatten(0, 1), answers.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return model, losses


@torch.no_grad()
def recall_accuracy(
    model: RecallModel, task: str, n_pairs: int, n_lists: int = 100
) -> float:
    """The share of questions answered rightly, on lists of a seed of its own."""
    drawing = torch.Generator().manual_seed(1_000_000 + n_pairs)
    keys, values, answers = draw_recall(task, n_pairs, n_lists, drawing)
    guessed = model(keys, values)[:, -answers.shape[1] :].argmax(dim=-1)
    return (guessed == answers).float().mean().item()


WAYS = (
    "dense",
    "dense, twice as wide",
    "experts, no balancing",
    "experts, auxiliary loss",
    "experts, bias rule",
)
START = "before"  # the course's model as it is
N_EXPERTS, N_CHOSEN = 4, 2
LOSS_WEIGHT = 0.01  # of the auxiliary loss, as in Switch Transformer
BIAS_RATE = 0.01  # ten times the paper's: our trainings are short


def start_of(way: str, course: GPTModel) -> GPTModel:
    """A copy of the course's model, grown as a way asks for it.

    Raises: ValueError for an unknown way.
    """
    if way not in WAYS:
        raise ValueError(f"{way!r} is none of {'; '.join(WAYS)}")
    if way.startswith("experts"):
        return upcycle(course, N_EXPERTS, N_CHOSEN)
    return widen(course) if "wide" in way else copy.deepcopy(course)


def train_way(
    way: str,
    course: GPTModel,
    ids: Tensor,
    seed: int,
    batch_size: int,
    lr: float,
    context_length: int | None = None,
) -> tuple[GPTModel, list[float], list[list[float]]]:
    """Read ids once; give the model, its losses and how its experts share.

    The last is, at every step, the mean over layers of the shares, the busiest
    expert of each layer first. The seed draws the order of the batches and
    what a way has to draw.
    """
    torch.manual_seed(seed)
    model = start_of(way, course).train()
    length = context_length or model.config.context_length
    loader = create_dataloader(ids.cpu(), length, batch_size, seed=seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.1
    )
    n_steps, layers = len(loader), layers_of_experts(model)
    scheduler = LambdaLR(optimizer, warmup_cosine(n_steps, n_steps // 10 + 1))
    losses, shared = [], []
    for inputs, targets in tqdm(loader, desc=f"{way}, {seed}", leave=False):
        logits = model(inputs.to(ids.device)).flatten(0, 1)
        loss = F.cross_entropy(logits, targets.to(ids.device).flatten())
        losses.append(loss.item())
        if "loss" in way:
            for layer in layers:
                extra = balance_loss(layer.probabilities, layer.chosen)
                loss = loss + LOSS_WEIGHT * extra
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        each = [shares(layer.chosen, layer.n_experts) for layer in layers]
        if each:
            by_rank = torch.stack(each).sort(dim=1, descending=True).values
            shared.append(by_rank.mean(dim=0).tolist())
        if "bias" in way:
            for layer in layers:
                move_preferences(layer, BIAS_RATE)
    return model.eval(), losses, shared


KINDS = ("begins a word", "goes on with it", "digit", "punctuation", "line end")


def kind_of(token: str) -> str:
    """Which kind of token a piece of text is."""
    if "\n" in token or token.startswith("<|"):
        return "line end"
    if any(c.isdigit() for c in token):
        return "digit"
    if any(c.isalpha() for c in token):
        return "begins a word" if token[0] == " " else "goes on with it"
    return "punctuation"


@torch.no_grad()
def count_readers(
    model: GPTModel, ids: Tensor, tokenizer: BPETokenizer
) -> Tensor:
    """How often each expert of a layer reads each kind of token.

    Shapes: ids (n,), read in windows of a context -> (layers, kinds, E).
    """
    kind = torch.tensor(
        [
            KINDS.index(kind_of(tokenizer.decode([i])))
            for i in range(tokenizer.vocab_size)
        ]
    )
    T = model.config.context_length
    idx = ids[: len(ids) // T * T].view(-1, T)
    layers = layers_of_experts(model)
    chosen = [[] for _ in layers]
    for rows in idx.split(8):
        model(rows)
        for of_layer, layer in zip(chosen, layers):
            of_layer.append(layer.chosen)
    E = layers[0].n_experts
    kinds = kind[idx.flatten().cpu()].to(ids.device)[:, None]  # (N, 1)
    return torch.stack(
        [
            torch.bincount(
                (kinds * E + torch.cat(of_layer)).flatten(),
                minlength=len(KINDS) * E,
            ).view(len(KINDS), E)
            for of_layer in chosen
        ]
    )


def entropy(counts: Tensor) -> Tensor:
    """The entropy in bits of the shares that counts give: (..., E) -> (...)."""
    p = counts / counts.sum(dim=-1, keepdim=True)
    return torch.special.entr(p).sum(dim=-1) / math.log(2)


def told_by_the_kind(counts: Tensor) -> Tensor:
    """How many bits the kind of a token tells about who reads it.

    Shapes: counts (..., kinds, E) -> (...).
    """
    of_kind = counts.sum(dim=-1) / counts.sum(dim=(-1, -2))[..., None]
    given = (of_kind * entropy(counts).nan_to_num()).sum(dim=-1)
    return entropy(counts.sum(dim=-2)) - given


RECORD = files("ch04") / "recorded" / "experts_and_states.json"
HELD_OUT_SEED, HELD_OUT_BYTES = 1000, 100_000  # of documents for the bits


def read_record(path: Path, settings: dict | None = None) -> list[dict]:
    """The rows of a record, none if there is no file.

    Raises: ValueError if it is damaged, or of other settings than these.
    """

    known = {START, *WAYS} | {f"{m}, {t}" for m in MEMORIES for t in TASKS}

    def is_row(row: dict) -> bool:
        return row["row"] in known and row["seed"] >= 0

    return read_rows(path, is_row, settings)


def measure_way(
    way: str,
    course: GPTModel,
    ids: Tensor,
    seed: int,
    tokenizer: BPETokenizer,
    documents: Sequence[str],
    batch_size: int,
    lr: float,
) -> dict:
    """Train one way with one seed: how well it predicts, and who reads what."""
    model, losses, shared = course, [], []
    if way != START:
        model, losses, shared = train_way(
            way, course, ids, seed, batch_size, lr
        )
    row = {
        "row": way,
        "seed": seed,
        "bits_per_byte": perplexity(model, tokenizer, documents)[
            "bits per byte"
        ],
        "parameters": count_parameters(model),
        "active": active_parameters(model),
        "losses": [round(loss, 3) for loss in losses[9::10]],
    }
    if shared:
        unread = [
            i for text in documents for i in tokenizer.encode_ordinary(text)
        ]
        readers = count_readers(
            model, torch.tensor(unread, device=ids.device), tokenizer
        )
        row["shares"] = [[round(s, 3) for s in step] for step in shared[::5]]
        row["readers"] = readers.tolist()
    return row


def measure_recall(row: str, seed: int, n_steps: int) -> dict:
    """Train one memory for one task with one seed, and question it."""
    memory, task = row.split(", ")
    model, losses = train_recall(memory, task, seed, n_steps)
    return {
        "row": row,
        "seed": seed,
        "accuracy": {
            str(n): round(recall_accuracy(model, task, n), 4) for n in N_PAIRS
        },
        "losses": [round(loss, 3) for loss in losses[9::50]],
    }


def tabulate_ways(rows: Sequence[dict]) -> pd.DataFrame:
    """The rows with experts and their controls, with means over seeds.

    Units: bits per byte of held-out documents, and the difference to the dense
    model of equal active parameters, seed by seed with its 95% interval.
    """
    by_way = {}
    for row in rows:
        by_way.setdefault(row["row"], {})[row["seed"]] = row
    control, table = by_way.get("dense, twice as wide", {}), {}
    for way in (w for w in (START, *WAYS) if w in by_way):
        runs = by_way[way]
        bits = [run["bits_per_byte"] for run in runs.values()]
        seeds = [s for s in runs if s in control and runs is not control]
        shown = ""
        if seeds and way != START:
            mean, half = paired_difference(
                (runs[s]["bits_per_byte"] for s in seeds),
                (control[s]["bits_per_byte"] for s in seeds),
            )
            shown = f"{mean:+.4f} ± {half:.4f}"
        first = runs[min(runs)]
        counts = [
            torch.tensor(r["readers"]) for r in runs.values() if "readers" in r
        ]
        uneven = {}
        if counts:
            per_expert = torch.stack(counts).sum(dim=2)  # (seeds, layers, E)
            part = per_expert / per_expert.sum(dim=-1, keepdim=True)
            uneven = {
                "busiest": f"{part.amax(dim=-1).mean():.0%}",
                "idlest": f"{part.amin(dim=-1).mean():.0%}",
                "entropy": f"{entropy(per_expert).mean():.2f}",
            }
        table[way] = {
            "parameters": f"{first['parameters']:,}",
            "active": f"{first['active']:,}",
            "bits per byte": f"{sum(bits) / len(bits):.4f}",
            "against twice as wide": shown,
            **uneven,
            "seeds": len(runs),
        }
    return pd.DataFrame(table).T.fillna("")


def tabulate_readers(row: dict, layer: int) -> pd.DataFrame:
    """Which share of a kind's choices each expert of a layer got, in percent.

    Below the kinds stand all tokens together.
    """
    counts = torch.tensor(row["readers"])[layer].float()
    counts = torch.cat([counts, counts.sum(dim=0, keepdim=True)])
    percent = (100 * counts / counts.sum(dim=1, keepdim=True)).round().int()
    columns = [f"expert {e}" for e in range(counts.shape[1])]
    names = [*KINDS, "all tokens"]
    return pd.DataFrame(percent.numpy(), index=names, columns=columns)


def tabulate_recall(rows: Sequence[dict]) -> pd.DataFrame:
    """Share of right answers by task, memory and number of pairs.

    Shown is the mean over seeds, and the lowest to the highest of them.
    """
    table = {}
    for task in TASKS:
        for memory in MEMORIES:
            runs = [r for r in rows if r["row"] == f"{memory}, {task}"]
            for n in map(str, N_PAIRS) if runs else ():
                right = [100 * run["accuracy"][n] for run in runs]
                mean = sum(right) / len(right)
                table.setdefault((task, memory), {})[f"{n} pairs"] = (
                    f"{mean:.0f} ({min(right):.0f} to {max(right):.0f})"
                )
    return pd.DataFrame(table).T


def run(args: argparse.Namespace) -> None:
    """Train what the record lacks, seed by seed; print its tables."""
    device = choose_device(args.device)
    settings = {
        name: getattr(args, name)
        for name in ("steps", "batch_size", "lr", "recall_steps")
    }
    path = Path(args.record)
    rows = read_record(path, settings)
    known = {(row["row"], row["seed"]) for row in rows}
    recalls = [f"{memory}, {task}" for task in TASKS for memory in MEMORIES]
    course, tokenizer = load_pretrained("course")
    course = course.to(device)
    documents = list(
        generate_documents(HELD_OUT_SEED, n_bytes=HELD_OUT_BYTES, held_out=True)
    )
    n_ids = args.steps * args.batch_size * course.config.context_length + 1
    for seed in range(args.seeds):
        missing = [r for r in recalls if (r, seed) not in known]
        missing += [w for w in (START, *WAYS) if (w, seed) not in known]
        ids = None
        for name in missing:
            if name in recalls:
                rows.append(measure_recall(name, seed, args.recall_steps))
                said = f"accuracy {rows[-1]['accuracy']}"
            else:
                if ids is None:  # other text than the course's model has read
                    n_bytes = round(1.1 * n_ids * BYTES_PER_TOKEN) + 10_000
                    ids = encode_documents(tokenizer, 500 + seed, n_bytes)
                    ids = torch.from_numpy(ids.astype("int64"))[:n_ids]
                    ids = ids.to(device)
                rows.append(
                    measure_way(
                        name,
                        course,
                        ids,
                        seed,
                        tokenizer,
                        documents,
                        args.batch_size,
                        args.lr,
                    )
                )
                said = f"{rows[-1]['bits_per_byte']:.4f} bits per byte"
            write_rows(path, settings, rows)
            print(f"{name}, seed {seed}: {said}", flush=True)
    print(tabulate_ways(rows).to_string())
    print(tabulate_recall(rows).to_string())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch04.bonus.experts_and_states",
        description="Train on with experts, and train memories to recall.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="runs of each row")
    add("--steps", type=int, default=120, help="of a run with experts")
    add("--batch-size", type=int, default=8, help="windows for each step")
    add("--lr", type=float, default=2e-4, help="the peak of the learning rate")
    add("--recall-steps", type=int, default=800, help="of a run that recalls")
    add("--record", default=str(RECORD), help="the file of rows")
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    args = parser.parse_args()
    check_least(args, seeds=1, steps=1, batch_size=1, recall_steps=1)
    check_rate(args.lr)
    return args


def main() -> None:
    replace_unprintable()
    with one_sentence("experts_and_states"):
        run(parse_arguments())


if __name__ == "__main__":
    main()
