"""What people answer to the exercises of chapter 7 when they are not right yet."""

import re

import torch
import torch.nn.functional as F
from torch import nn

from ch05.gpt_train import IGNORE
from ch07.checks import (
    check_7_1,
    check_7_2,
    check_7_3,
    check_7_4,
    check_7_5,
    check_7_6,
    check_7_7,
    check_7_8,
    check_7_9,
    check_7_10,
    check_7_11,
)
from ch07.gpt_instruction_finetuning import format_prompt

# ---- 7.1

MARKS = ("<|user|>", "<|assistant|>")


def prompt_with(end="\n", gap="\n", history=True, order=1, refuse=True, leak=False, headings=False):
    """A right prompt; each argument changes one thing."""

    def chat_prompt(entry):
        turns = [*(entry.get("history", [])[::order] if history else []), entry]
        prompt = ""
        for turn in turns:
            given = turn.get("input", "")
            given = f"{'Input: ' * headings}{given}" if given else ""
            texts = [turn["instruction"], given, turn["output"] if turn is not entry else ""]
            if refuse and any(mark in text for mark in MARKS for text in texts):
                raise ValueError("a mark")
            prompt += f"<|user|>\n{texts[0]}{gap * bool(given)}{given}\n<|assistant|>"
            prompt += end if turn is entry else f"\n{texts[2]}\n"
        return prompt + entry["output"] * leak

    return chat_prompt


def prompt_without_last_mark(entry):
    return prompt_with()(entry).removesuffix("<|assistant|>\n")


def prompt_refusing_instructions_only(entry):
    if any(mark in entry["instruction"] for mark in MARKS):
        raise ValueError("a mark")
    return prompt_with(refuse=False)(entry)


def prompt_needing_an_input(entry):
    return f"<|user|>\n{entry['instruction']}\n{entry['input']}\n<|assistant|>\n"


def prompt_by_heart(entry):
    return "<|user|>\nWhat is the plural of goose?\n<|assistant|>\n"


def right_cost(entries, prompt_of, encode):
    return sum(len(encode(prompt_of(entry))) for entry in entries) / len(entries)


def cost_as_sum(entries, prompt_of, encode):
    return sum(len(encode(prompt_of(entry))) for entry in entries)


def cost_with_outputs(entries, prompt_of, encode):
    return right_cost(entries, lambda entry: prompt_of(entry) + entry["output"], encode)


def cost_in_letters(entries, prompt_of, encode):
    return right_cost(entries, prompt_of, list)


def cost_of_our_prompt(entries, prompt_of, encode):
    return right_cost(entries, format_prompt, encode)


def cost_of_one_text(entries, prompt_of, encode):
    return len(encode("".join(map(prompt_of, entries)))) / len(entries)


def cost_whole(entries, prompt_of, encode):
    return int(right_cost(entries, prompt_of, encode))


# ---- 7.2


def right_targets(ids, n_prompt, mask_instruction=True):
    n = n_prompt - 1 if mask_instruction else 0
    return [IGNORE] * n + ids[n + 1 :]


def targets_without_first(ids, n_prompt, mask_instruction=True):
    n = n_prompt if mask_instruction else 0
    return [IGNORE] * n + ids[n + 1 :]


def targets_with_one_of_the_prompt(ids, n_prompt, mask_instruction=True):
    n = max(0, n_prompt - 2) if mask_instruction else 0
    return [IGNORE] * n + ids[n + 1 :]


def targets_not_shifted(ids, n_prompt, mask_instruction=True):
    n = n_prompt if mask_instruction else 0
    return [IGNORE] * n + ids[n:-1]


def targets_always_masked(ids, n_prompt, mask_instruction=True):
    return right_targets(ids, n_prompt)


def targets_never_masked(ids, n_prompt, mask_instruction=True):
    return ids[1:]


def targets_cut(ids, n_prompt, mask_instruction=True):
    return ids[n_prompt:] if mask_instruction else ids[1:]


def targets_in_place(ids, n_prompt, mask_instruction=True):
    for i in range(n_prompt if mask_instruction else 0):
        ids[i] = IGNORE
    return ids[1:]


def targets_of_zero(ids, n_prompt, mask_instruction=True):
    return [i if i != IGNORE else 0 for i in right_targets(ids, n_prompt, mask_instruction)]


def targets_by_heart(ids, n_prompt, mask_instruction=True):
    return [-100, -100, 4, 5, 0] if mask_instruction else [8, 9, 4, 5, 0]


def loss_of(first=-1, shift=1, last=None, reduction="mean"):
    """The right loss; each argument changes one thing."""

    def answer_loss(model, ids, n_prompt):
        start = 0 if first is None else max(0, n_prompt + first)
        row = torch.tensor([ids])
        logits = model(row)[0, : len(ids) - shift]
        part = slice(start, last)
        return F.cross_entropy(logits[part], row[0, shift:][part], reduction=reduction).item()

    return answer_loss


def loss_as_tensor(model, ids, n_prompt):
    return torch.tensor(loss_of()(model, ids, n_prompt))


# ---- 7.3


def set_by(*names, seen=("test", "development"), repeats=False):
    """A larger set in which these fields make a question; each argument changes one thing."""

    def larger_set(sets):
        def question(entry):
            return repr([entry.get(name, []) for name in names])

        every = [entry for of_seed in sets for entry in of_seed]
        known = {question(entry) for entry in every if entry["split"] in seen}
        larger = []
        for entry in every:
            if entry["split"] == "train" and (repeats or question(entry) not in known):
                known.add(question(entry))
                larger.append(entry)
        return larger

    return larger_set


QUESTION = ("instruction", "input", "history")
right_set = set_by(*QUESTION)


def set_with_all_splits(sets):
    return list({str(entry): entry for of_seed in sets for entry in of_seed}.values())


def set_looking_back_only(sets):
    larger, seen = [], set()
    for entry in (entry for of_seed in sets for entry in of_seed):
        question = repr([entry.get(name, []) for name in QUESTION])
        if entry["split"] == "train" and question not in seen:
            larger.append(entry)
        seen.add(question)
    return larger


def set_sorted(sets):
    return sorted(right_set(sets), key=lambda entry: entry["instruction"])


def set_without_splits(sets):
    return [{k: v for k, v in entry.items() if k != "input"} for entry in right_set(sets)]


def comparison(by_kind=True, epochs=2, whole_epochs=1, up=1, swap=False, rest=False, last=False):
    """A right comparison; each argument changes one thing."""

    def compare_sizes(entries, score_after):
        half = entries[: (len(entries) + 1) // 2]
        if by_kind:
            groups = {}
            for entry in entries:
                groups.setdefault(entry["kind"], []).append(entry)
            cut = {kind: (len(group) + up) // 2 for kind, group in groups.items()}
            half = [e for k, g in groups.items() for e in (g[-cut[k] :] if last else g[: cut[k]])]
        whole = [entry for entry in entries if entry not in half] if rest else entries
        a, b = score_after(half, epochs), score_after(whole, whole_epochs)
        return {"half": b, "all": a} if swap else {"half": a, "all": b}

    return compare_sizes


def comparison_without_training(entries, score_after):
    return {"half": 0.5, "all": 0.6}


# ---- 7.4


class LoRA(nn.Module):
    """Right; each class below changes one thing."""

    def __init__(self, linear, rank, alpha):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, linear.in_features) * 0.1)
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        self.rank, self.alpha = rank, alpha

    def change(self, x):
        return x @ self.A.T @ self.B.T

    def forward(self, x):
        return self.linear(x) + self.alpha / self.rank * self.change(x)


class BothZero(LoRA):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        nn.init.zeros_(self.A)


class BothRandom(LoRA):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        nn.init.normal_(self.B)


class WeightTrains(LoRA):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        self.linear.requires_grad_(True)


class BiasTrains(LoRA):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        if self.linear.bias is not None:
            self.linear.bias.requires_grad_(True)


class PlainTensors(LoRA):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        A = self.A.data
        del self.A
        self.A = A


class Turned(LoRA):
    def __init__(self, linear, rank, alpha):
        super().__init__(linear, rank, alpha)
        self.A = nn.Parameter(torch.randn(linear.in_features, rank))

    def change(self, x):
        return x @ self.A @ self.B.T


class WithoutScale(LoRA):
    def forward(self, x):
        return self.linear(x) + self.change(x)


class OnlyAlpha(LoRA):
    def forward(self, x):
        return self.linear(x) + self.alpha * self.change(x)


class ScaleTurned(LoRA):
    def forward(self, x):
        return self.linear(x) + self.rank / self.alpha * self.change(x)


class OnlyChange(LoRA):
    def forward(self, x):
        return self.alpha / self.rank * self.change(x)


class WithoutBias(LoRA):
    def forward(self, x):
        return F.linear(x, self.linear.weight) + self.alpha / self.rank * self.change(x)


class WithoutGraph(LoRA):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class ChangesWeight(LoRA):
    def forward(self, x):
        self.linear.weight.data += 0.01 * self.B @ self.A
        return super().forward(x)


def adding(layer=LoRA, freeze="first", head=False, attention=True):
    """A right add_lora; each argument changes one thing."""

    def add_lora(model, rank, alpha):
        if freeze == "first":
            model.requires_grad_(False)
        for block in model.blocks:
            for parent, name in [
                (block.attention, "qkv"),
                (block.attention, "proj"),
                (block.feed_forward.layers, "0"),
                (block.feed_forward.layers, "2"),
            ]:
                if attention or parent is not block.attention:
                    setattr(parent, name, layer(getattr(parent, name), rank, alpha))
        if head:
            model.out_head = layer(model.out_head, rank, alpha)
        if freeze == "last":
            model.requires_grad_(False)
        return sum(p.numel() for p in model.parameters() if p.requires_grad)

    return add_lora


def adding_and_counting_all(model, rank, alpha):
    adding()(model, rank, alpha)
    return sum(p.numel() for p in model.parameters())


# ---- 7.5


def batch_with(shift=1, targets="length", front=False, fill=IGNORE, whole=False, inputs_fill=None):
    """A right batch; each argument changes one thing."""

    def pad_batch(rows, pad_id):
        T = max(map(len, rows))
        padded = []
        for ids in rows:
            padding = [pad_id] * (T - len(ids))
            padded.append(padding + ids if front else ids + padding)
        padded = torch.tensor(padded)
        inputs = padded if whole else padded[:, :-1]
        moved = (padded[:, 1:] if shift else padded[:, :-1]).clone()
        lengths = torch.tensor([len(ids) - 1 for ids in rows]).unsqueeze(1)
        padding = torch.arange(T - 1) >= lengths
        if targets == "any":
            padding = moved == pad_id
        elif targets == "second":
            padding = (moved == pad_id) & ((moved == pad_id).cumsum(1) > 1)
        if targets != "all":
            moved[padding] = fill
        if inputs_fill is not None:
            inputs = inputs.masked_fill(torch.arange(T - 1) >= lengths, inputs_fill)
        return inputs, moved

    return pad_batch


def batch_in_place(rows, pad_id):
    wanted = batch_with()(rows, pad_id)
    for ids in rows:
        ids += [pad_id] * (max(map(len, rows)) - len(ids))
    return wanted


def batch_of_decimals(rows, pad_id):
    return tuple(part.float() for part in batch_with()(rows, pad_id))


# ---- 7.6


def crop_from(direction=1, strict=False, gaps=False, refuse=True, one_more=0):
    """A right crop; each argument changes one thing."""

    def crop_turns(entry, n_tokens, length_of):
        def fits(turns):
            size = length_of(entry | {"history": turns})
            return size < n_tokens if strict else size <= n_tokens

        history = entry.get("history", [])
        if refuse and length_of(entry | {"history": []}) > n_tokens:
            raise ValueError("too long")
        if gaps:
            kept = []
            for turn in reversed(history):
                kept = [turn, *kept] if fits([turn, *kept]) else kept
            return entry | {"history": kept}
        for start in range(len(history) + 1):
            kept = history[start:] if direction == 1 else history[: len(history) - start]
            if fits(kept):
                break
        return entry | {"history": kept[one_more:] if start else kept}

    return crop_turns


def crop_in_place(entry, n_tokens, length_of):
    while length_of(entry) > n_tokens:
        if not entry["history"]:
            raise ValueError("too long")
        entry["history"].pop(0)
    return entry


def crop_nothing(entry, n_tokens, length_of):
    return entry


def crop_to_the_last(entry, n_tokens, length_of):
    return crop_from()(entry | {"history": entry.get("history", [])[-1:]}, n_tokens, length_of)


def crop_needing_a_history(entry, n_tokens, length_of):
    return crop_from()({**entry, "history": entry["history"]}, n_tokens, length_of)


# ---- 7.7


def step_reading(place, front=False, calls=1):
    """A step that reads the scores at another place, or with the padding in front."""

    def next_tokens(model, prompts, pad_id):
        T = max(map(len, prompts))
        rows = []
        for ids in prompts:
            padding = [pad_id] * (T - len(ids))
            rows.append(padding + ids if front else ids + padding)
        logits = model(torch.tensor(rows))
        for _ in range(calls - 1):
            logits = model(torch.tensor(rows))
        at = torch.tensor([min(max(0, place(len(ids))), T - 1) for ids in prompts])
        return logits[torch.arange(len(prompts)), at].argmax(-1).tolist()

    return next_tokens


def step_one_by_one(model, prompts, pad_id):
    return [model(torch.tensor([ids]))[0, -1].argmax().item() for ids in prompts]


def step_as_tensor(model, prompts, pad_id):
    return torch.tensor(step_one_by_one(model, prompts, pad_id))


def step_in_place(model, prompts, pad_id):
    T = max(map(len, prompts))
    lengths = [len(ids) for ids in prompts]
    for ids in prompts:
        ids += [pad_id] * (T - len(ids))
    logits = model(torch.tensor(prompts))
    return [logits[i, n - 1].argmax().item() for i, n in enumerate(lengths)]


# ---- 7.8


def count_by(right, strict=True, every="items", kind="task"):
    def count_right(entries, responses):
        counts = {}
        for entry, response in zip(entries, responses, strict=strict):
            for name in (entry.get("kind", kind), "all"):
                n_right, n = counts.get(name, (0, 0))
                counts[name] = (n_right + right(entry["output"], response), n + 1)
        if every == "kinds":
            pairs = [pair for name, pair in counts.items() if name != "all"]
            counts["all"] = (sum(a == b for a, b in pairs), len(pairs))
        if every == "none":
            del counts["all"]
        return counts

    return count_right


def to_the_letter(output, response):
    return output.strip() == response.strip()


def count_as_shares(entries, responses):
    return {k: a / b for k, (a, b) in count_by(to_the_letter)(entries, responses).items()}


def count_the_right_only(entries, responses):
    return {k: a for k, (a, b) in count_by(to_the_letter)(entries, responses).items()}


def count_the_wrong(entries, responses):
    return {k: (b - a, b) for k, (a, b) in count_by(to_the_letter)(entries, responses).items()}


# ---- 7.9


def scores_by(
    pattern, how=re.search, missing=None, think=True, limit=True, drop=False, lines=re.DOTALL
):
    def scores_in(replies):
        scores = []
        for reply in replies:
            if think:
                reply = re.sub(r"<think>.*?</think>", "", reply, flags=lines)
            found = how(pattern, reply, flags=re.IGNORECASE)
            score = int(found[1]) if found else None
            score = None if limit and score is not None and score > 100 else score
            if score is not None or not drop:
                scores.append(missing if score is None else score)
        return scores

    return scores_in


PATTERN = r"[\s*_#\"'(]*(?:score[\s*_:=]*)?(\d{1,3})(?:\s*/\s*100)?\W*"
WITH_ANY_SIGN = r"\W*(?:score\W*)?(\d{1,3})(?:\s*/\s*100)?\W*"
WITH_ANY_WORDS = r"[^\d]*?(?:score)?\W*(\d+)(?:\s*/\s*100)?\W*"
WITH_A_DOT = r"[\s*_#\"'(.]*(?:score[\s*_:=]*)?(\d{1,3})(?:\s*/\s*100)?\W*"
WITH_A_COMPARISON = r"[\s*_#\"'(<>]*(?:score[\s*_:=]*)?(\d{1,3})(?:\s*/\s*100)?\W*"


def scores_as_text(replies):
    scores = scores_by(PATTERN, re.fullmatch)(replies)
    return [None if score is None else str(score) for score in scores]


def scores_of_bare_numbers(replies):
    return [int(reply) if reply.isdigit() and int(reply) <= 100 else None for reply in replies]


def scores_not_zero(replies):
    return [score or None for score in scores_by(PATTERN, re.fullmatch)(replies)]


# ---- 7.10


def log_probs_with(reduce="sum", sign=1, softmax=-1, mask=True, power=False):
    def answer_log_probs(logits, targets):
        counted = targets != IGNORE
        log_probs = logits if softmax is None else logits.log_softmax(softmax)
        picked = log_probs.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        picked = sign * (picked * counted if mask else picked)
        result = {
            "sum": picked.sum(-1),
            "mean": picked.sum(-1) / counted.sum(-1),
            "batch": picked.sum(),
            "none": picked,
        }[reduce]
        return result.exp() if power else result

    return answer_log_probs


def log_probs_without_graph(logits, targets):
    return log_probs_with()(logits.detach(), targets)


def log_probs_at_minus_100(logits, targets):
    return logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1).sum(-1)


# ---- 7.11


def loss_from(margin=lambda a, b, c, d: (a - c) - (b - d), end=lambda m, beta: -F.logsigmoid(beta * m).mean()):  # fmt: skip # noqa: E501
    def dpo_loss(preferred, rejected, preferred_in_copy, rejected_in_copy, beta):
        return end(margin(preferred, rejected, preferred_in_copy, rejected_in_copy), beta)

    return dpo_loss


WRONG = [
    (check_7_1, (prompt_with(end=" "), right_cost), "let the prompt end in one line break"),
    (check_7_1, (prompt_with(end=""), right_cost), "let the prompt end in one line break"),
    (check_7_1, (prompt_with(end="\n\n"), right_cost), "let the prompt end in one line break"),
    (check_7_1, (prompt_with(gap=""), right_cost), "two words run together"),
    (check_7_1, (prompt_with(history=False), right_cost), "the history is left out"),
    (check_7_1, (prompt_with(order=-1), right_cost), "the oldest turn must stand first"),
    (check_7_1, (prompt_with(refuse=False), right_cost), "A mark in the instruction passes"),
    (check_7_1, (prompt_refusing_instructions_only, right_cost), "A mark in the input passes"),
    (check_7_1, (prompt_with(leak=True), right_cost), "holds its own output"),
    (check_7_1, (prompt_with(headings=True), right_cost), "but the turn says 'Say this backwards."),
    (
        check_7_1,
        (prompt_without_last_mark, right_cost),
        "are <|user|>, but <|user|> <|assistant|> is",
    ),
    (check_7_1, (prompt_needing_an_input, right_cost), "raises KeyError: 'input'"),
    (check_7_1, (prompt_by_heart, right_cost), "but the turn says 'Say this backwards."),
    (check_7_1, (prompt_with(), cost_as_sum), "take the mean, not the sum"),
    (check_7_1, (prompt_with(), cost_with_outputs), "the output is no part of the prompt"),
    (check_7_1, (prompt_with(), cost_in_letters), "count tokens, not letters"),
    (check_7_1, (prompt_with(), cost_whole), "the mean need not be whole"),
    (check_7_1, (prompt_with(), cost_of_our_prompt), "The cost of 2 prompts is"),
    (check_7_1, (prompt_with(), cost_of_one_text), "The cost of 2 prompts is"),
    (check_7_2, (targets_without_first, loss_of()), "the answer's first one is the target"),
    (check_7_2, (targets_with_one_of_the_prompt, loss_of()), "is still a target"),
    (check_7_2, (targets_not_shifted, loss_of()), "the targets are not shifted"),
    (check_7_2, (targets_always_masked, loss_of()), "mask nothing"),
    (check_7_2, (targets_never_masked, loss_of()), "the prompt is not masked"),
    (check_7_2, (targets_cut, loss_of()), "a masked target is -100, not left out"),
    (check_7_2, (targets_in_place, loss_of()), "changes what it is given"),
    (check_7_2, (targets_of_zero, loss_of()), "0 is a token, -100 is none"),
    (check_7_2, (targets_by_heart, loss_of()), "targets_of([3, 9, 0], 2, True) is"),
    (check_7_2, (right_targets, loss_of(first=None)), "also counts the prompt's tokens"),
    (check_7_2, (right_targets, loss_of(first=0)), "leaves out the answer's first token"),
    (check_7_2, (right_targets, loss_of(first=-2)), "counts a token of the prompt"),
    (check_7_2, (right_targets, loss_of(last=-1)), "leaves out the last token"),
    (check_7_2, (right_targets, loss_of(reduction="sum")), "is a sum: take the mean"),
    (check_7_2, (right_targets, loss_of(first=0, shift=0)), "shift by one"),
    (check_7_2, (right_targets, loss_as_tensor), "must be a float"),
    (check_7_3, (set_with_all_splits, comparison()), "is of the 'test' split"),
    (check_7_3, (set_by(*QUESTION, repeats=True), comparison()), "stands 2 times"),
    (check_7_3, (set_by("instruction"), comparison()), "another input makes it another question"),
    (check_7_3, (set_by("instruction", "input"), comparison()), "after another history"),
    (check_7_3, (set_by(*QUESTION, seen=()), comparison()), "in another of the 'test' split"),
    (check_7_3, (set_looking_back_only, comparison()), "in another of the 'test' split"),
    (check_7_3, (set_sorted, comparison()), "must stand as they first came"),
    (check_7_3, (right_set, comparison(by_kind=False)), "halve each kind, and round up"),
    (check_7_3, (right_set, comparison(up=0)), "halve each kind, and round up"),
    (check_7_3, (right_set, comparison(epochs=1)), "only if it is read 2× are there as many"),
    (check_7_3, (right_set, comparison(whole_epochs=2)), "All entries are read 2×"),
    (check_7_3, (right_set, comparison(swap=True)), "The two shares are swapped"),
    (check_7_3, (right_set, comparison(rest=True)), "but all 12 are asked for"),
    (check_7_3, (right_set, comparison(last=True)), "must hold the first 3 entries"),
    (check_7_3, (right_set, comparison_without_training), "score_after is called 0 times"),
    (check_7_4, (BothZero, adding(BothZero)), "A is zero at the start"),
    (check_7_4, (BothRandom, adding(BothRandom)), "B must be zero at the start"),
    (check_7_4, (WeightTrains, adding(WeightTrains)), "linear.weight can still be trained"),
    (check_7_4, (BiasTrains, adding(BiasTrains)), "linear.bias can still be trained"),
    (check_7_4, (PlainTensors, adding(PlainTensors)), "A cannot be trained"),
    (check_7_4, (Turned, adding(Turned)), "A has shape (5, 4), but (4, 5) is asked for"),
    (check_7_4, (WithoutScale, adding(WithoutScale)), "not scaled by alpha / rank"),
    (check_7_4, (OnlyAlpha, adding(OnlyAlpha)), "multiplied by alpha, but not divided"),
    (check_7_4, (ScaleTurned, adding(ScaleTurned)), "turn the fraction over"),
    (check_7_4, (OnlyChange, adding(OnlyChange)), "the linear layer's output is missing"),
    (check_7_4, (WithoutBias, adding(WithoutBias)), "has lost the linear layer's bias"),
    (check_7_4, (WithoutGraph, adding(WithoutGraph)), "The output has no gradient"),
    (check_7_4, (ChangesWeight, adding(ChangesWeight)), "The change that the layer adds"),
    (check_7_4, (LoRA, adding(freeze="last")), "is frozen, too: freeze before you add"),
    (check_7_4, (LoRA, adding(freeze="never")), "tok_emb.weight can still be trained"),
    (check_7_4, (LoRA, adding(head=True)), "out_head has got LoRA"),
    (check_7_4, (LoRA, adding(attention=False)), "4 layers have LoRA"),
    (check_7_4, (LoRA, adding_and_counting_all), "which counts the frozen parameters, too"),
    (check_7_5, (batch_with(targets="all"),), "count the padding"),
    (check_7_5, (batch_with(targets="any"),), "the model would never stop"),
    (check_7_5, (batch_with(targets="second"),), "go by its length, not by the id"),
    (check_7_5, (batch_with(shift=0),), "are not shifted: a target is the token after"),
    (check_7_5, (batch_with(front=True),), "are padded in front"),
    (check_7_5, (batch_with(whole=True),), "hold the last token too"),
    (check_7_5, (batch_with(fill=0),), "count the padding"),
    (check_7_5, (batch_with(inputs_fill=IGNORE),), "the padding of the inputs is pad_id"),
    (check_7_5, (batch_in_place,), "changes what it is given"),
    (check_7_5, (batch_of_decimals,), "holds decimal numbers"),
    (check_7_6, (crop_from(direction=-1),), "the newest are dropped: drop the oldest"),
    (check_7_6, (crop_from(strict=True),), "exactly the limit is allowed"),
    (check_7_6, (crop_from(gaps=True),), "leave out the oldest only"),
    (check_7_6, (crop_from(refuse=False),), "raise a ValueError"),
    (check_7_6, (crop_from(one_more=1),), "turns [3] are kept, but 2 would fit"),
    (check_7_6, (crop_in_place,), "changes what it is given"),
    (check_7_6, (crop_nothing,), "which do not fit"),
    (check_7_6, (crop_to_the_last,), "but 3 would fit"),
    (check_7_6, (crop_needing_a_history,), "raises KeyError: 'history'"),
    (check_7_7, (step_reading(lambda n: 10**6),), "read each row at its own last token"),
    (check_7_7, (step_reading(lambda n: 10**6, front=True),), "the padding stands in front"),
    (check_7_7, (step_reading(lambda n: n),), "one place too late"),
    (check_7_7, (step_reading(lambda n: n - 2),), "one place too early"),
    (check_7_7, (step_reading(lambda n: n - 1, calls=2),), "the model is called 2 times"),
    (check_7_7, (step_one_by_one,), "the model is called 2 times"),
    (check_7_7, (step_as_tensor,), "must return a list of ints"),
    (check_7_7, (step_in_place,), "changes what it is given"),
    (check_7_8, (count_by(lambda a, b: a == b),), "the pair is (0, 1), but (1, 1)"),
    (check_7_8, (count_by(lambda a, b: a.lower() == b.strip().lower()),), "'it is Geese.'"),
    (check_7_8, (count_by(lambda a, b: a.strip(" .") == b.strip(" .\n")),), "the pair is (1, 1)"),
    (check_7_8, (count_by(lambda a, b: a.split() == b.split()),), "'It is  geese.'"),
    (check_7_8, (count_by(lambda a, b: "".join(a.split()) == "".join(b.split())),), "geese.'"),
    (check_7_8, (count_by(lambda a, b: a in b),), "the pair is (1, 1), but (0, 1)"),
    (check_7_8, (count_by(lambda a, b: b.strip() in a),), "the pair is (1, 1), but (0, 1)"),
    (check_7_8, (count_by(to_the_letter, strict=False),), "Two entries and one response pass"),
    (check_7_8, (count_by(to_the_letter, every="kinds"),), "counts kinds: it must count items"),
    (check_7_8, (count_by(to_the_letter, every="none"),), "The row 'all' is missing"),
    (
        check_7_8,
        (count_by(to_the_letter, kind=None),),
        "The kind 'task', of an entry without the field, is missing",
    ),
    (check_7_8, (count_as_shares,), "is a share"),
    (check_7_8, (count_the_right_only,), "is one number"),
    (check_7_8, (count_the_wrong,), "the pair is (0, 1), but (1, 1)"),
    (check_7_9, (scores_by(r"(\d+)"),), "two numbers are no score"),
    (check_7_9, (scores_by(r"(\d{1,3})"),), "two numbers are no score"),
    (check_7_9, (scores_by(PATTERN, re.match),), "two numbers are no score"),
    (check_7_9, (scores_by(WITH_ANY_WORDS, re.fullmatch),), "a number in a sentence is no score"),
    (check_7_9, (scores_by(WITH_ANY_SIGN, re.fullmatch),), "with a minus in front"),
    (check_7_9, (scores_by(WITH_A_DOT, re.fullmatch),), "with a dot in front"),
    (check_7_9, (scores_by(WITH_A_COMPARISON, re.fullmatch),), "with a comparison in front"),
    (check_7_9, (scores_by(PATTERN, re.fullmatch, missing=0),), "no score is not the same as 0"),
    (check_7_9, (scores_by(PATTERN, re.fullmatch, think=False),), "what is thought before"),
    (check_7_9, (scores_by(PATTERN, re.fullmatch, lines=0),), "may have several lines"),
    (check_7_9, (scores_by(PATTERN, re.fullmatch, limit=False),), "more than 100 is no score"),
    (check_7_9, (scores_by(PATTERN, re.fullmatch, drop=True),), "keeps its place"),
    (check_7_9, (scores_as_text,), "a score is an int"),
    (check_7_9, (scores_of_bare_numbers,), "white space around it does not matter"),
    (check_7_9, (scores_not_zero,), "0 is a score"),
    (check_7_10, (log_probs_with(reduce="mean"),), "is a mean"),
    (check_7_10, (log_probs_with(reduce="batch"),), "is one number: each of the 1 answers"),
    (check_7_10, (log_probs_with(reduce="none"),), "add those of an answer"),
    (check_7_10, (log_probs_with(sign=-1),), "has the sign of a loss"),
    (check_7_10, (log_probs_with(softmax=None),), "the log-softmax is missing"),
    (check_7_10, (log_probs_with(softmax=1),), "softmax over the tokens"),
    (check_7_10, (log_probs_with(mask=False),), "as if they were token 0"),
    (check_7_10, (log_probs_with(power=True),), "its logarithm is asked for"),
    (check_7_10, (log_probs_without_graph,), "has no gradient"),
    (check_7_10, (log_probs_at_minus_100,), "raises RuntimeError: index -100 is out of bounds"),
    (check_7_11, (loss_from(lambda a, b, c, d: (b - d) - (a - c)),), "turn the difference round"),
    (check_7_11, (loss_from(lambda a, b, c, d: a - b),), "leaves out the frozen copy"),
    (check_7_11, (loss_from(lambda a, b, c, d: (a - c) + (b - d)),), "adds the two changes"),
    (check_7_11, (loss_from(end=lambda m, beta: -F.logsigmoid(m).mean()),), "leaves out beta"),
    (
        check_7_11,
        (loss_from(end=lambda m, beta: -beta * F.logsigmoid(m).mean()),),
        "beta outside the logarithm",
    ),
    (
        check_7_11,
        (loss_from(end=lambda m, beta: -(beta * m).sigmoid().log().mean()),),
        "is not finite",
    ),
    (
        check_7_11,
        (loss_from(end=lambda m, beta: -(beta * m).sigmoid().mean()),),
        "leaves out the logarithm",
    ),
    (check_7_11, (loss_from(end=lambda m, beta: F.logsigmoid(beta * m).mean()),), "wrong sign"),
    (check_7_11, (loss_from(end=lambda m, beta: -F.logsigmoid(beta * m).sum()),), "is a sum"),
    (check_7_11, (loss_from(end=lambda m, beta: -F.logsigmoid(beta * m)),), "one for each pair"),
    (
        check_7_11,
        (loss_from(end=lambda m, beta: -F.logsigmoid(beta * m.mean())),),
        "averages the differences",
    ),
    (
        check_7_11,
        (loss_from(end=lambda m, beta: -F.logsigmoid(beta * m).mean().detach()),),
        "has no gradient",
    ),
]
