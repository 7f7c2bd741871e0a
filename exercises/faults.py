"""Twenty faults that stood in public code, each switched on in ours by one small change of a text.

    right, faulty = pair("lora-without-rank")    # two modules: as it is, and with the fault
    with switched_on("lora-without-rank"):       # whatever is imported inside has the fault
        from appendix_e.lora import LoRALayer

No file is changed: the changed text is compiled under the module's name. `python -m
exercises.museum` shows which of the course's tests catches which fault.
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FrameType, ModuleType

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fault:
    """A text of a module, what takes its place, where such a fault stood, and our test for it."""

    number: str  # of its exhibit
    name: str
    module: str
    right: str
    wrong: str
    stood: str  # repository and thread, or file
    test: str
    runs: str = ""  # the function to run, where the text is outside of all


FAULTS = [
    Fault(
        "M.1",
        "lost-line-breaks",
        "ch02.tokenizer",
        r'    r"|\s+"  # what is left of it',
        r'    r"| +"  # what is left of it',
        "rasbt/LLMs-from-scratch#495",
        "test_ch02.py::test_pieces_put_together_are_the_text",
        runs="split_pieces",
    ),
    Fault(
        "M.2",
        "merges-across-borders",
        "ch02.tokenizer",
        "pieces = Counter(split_pieces(text))",
        "pieces = Counter([text])",
        "rasbt/LLMs-from-scratch#975",
        "test_ch02.py::test_training_finds_the_merges_of_hugging_face",
    ),
    Fault(
        "M.3",
        "same-order-in-every-epoch",
        "ch05.training_loop",
        "data.generator.manual_seed(seed + epoch)",
        "data.generator.manual_seed(seed)",
        "facebookresearch/fairseq#1383",
        "test_training_loop.py::test_every_epoch_has_all_batches_in_an_order_of_its_own",
    ),
    Fault(
        "M.4",
        "inverted-mask",
        "ch03.multihead_attention",
        "q, k, v, dropout_p=dropout, is_causal=True",
        "q, k, v, x.new_ones(T, T).triu(1).bool(), dropout",
        "rasbt/LLMs-from-scratch#1061",
        "test_ch03.py::test_a_token_cannot_see_its_future",
    ),
    Fault(
        "M.5",
        "dropout-without-training",
        "ch03.multihead_attention",
        "dropout = self.dropout if self.training else 0.0",
        "dropout = self.dropout",
        "karpathy/nanoGPT#240",
        "test_ch03.py::test_dropout_works_in_training_and_is_off_in_eval",
    ),
    Fault(
        "M.6",
        "positions-in-16-bits",
        "ch05.llama",
        "(positions[..., None].float() * speeds)",
        "(positions[..., None].bfloat16() * speeds)",
        "huggingface/transformers#29285",
        "test_llama.py::test_neighbours_far_from_the_start_are_told_apart",
    ),
    Fault(
        "M.7",
        "cache-not-used",
        "ch04.kv_cache",
        "cache.kept is not None and n <= model.config.context_length",
        "cache.kept is None and n <= model.config.context_length",
        "rasbt/LLMs-from-scratch#981",
        "test_kv_cache.py::test_a_step_reads_one_token_until_the_context_is_full",
    ),
    Fault(
        "M.8",
        "window-of-one-more",
        "ch04.bonus.attention_zoo",
        "size = min(variant.window(layer) or n_tokens, n_tokens)",
        "size = min((variant.window(layer) or n_tokens) + 1, n_tokens)",
        "mistralai/mistral-inference#60",
        "test_attention_zoo.py::test_step_by_step_it_predicts_as_at_once",
    ),
    Fault(
        "M.9",
        "position-of-the-longest",
        "ch04.kv_cache",
        "positions = torch.arange(T) + torch.tensor(cache.lengths)[:, None]",
        "positions = torch.arange(T) + torch.full((len(idx), 1), max(cache.lengths))",
        "huggingface/transformers#21080",
        "test_kv_cache.py::test_pieces_of_any_length_have_the_scores_of_each_row_alone",
    ),
    Fault(
        "M.10",
        "top-p-stops-early",
        "ch05.gpt_generate",
        "before = probabilities.cumsum(dim=-1) - probabilities",
        "before = probabilities.cumsum(dim=-1)",
        "rasbt/reasoning-from-scratch#164",
        "test_ch05.py::test_top_p_keeps_the_fewest_tokens_that_reach_p",
    ),
    Fault(
        "M.11",
        "mean-of-means",
        "appendix_d.training_extras",
        "loss = loss * (n / n_targets)",
        "loss = loss / len(batches)",
        "huggingface/transformers#34191",
        "test_appendix_d.py::test_small_batches_give_the_gradient_of_the_large_one",
    ),
    Fault(
        "M.12",
        "evaluation-for-ever",
        "ch05.gpt_train",
        "model.train(was_training)",
        "model.eval()",
        "NVIDIA/Megatron-LM#411",
        "test_gpt_train.py::test_evaluate_is_the_mean_over_tokens_and_changes_nothing",
    ),
    Fault(
        "M.13",
        "every-step-but-the-nth",
        "ch05.training_loop",
        "ends or progress.step % eval_every == 0",
        "ends or progress.step % eval_every",
        "rasbt/LLMs-from-scratch: ch05/03_bonus_pretraining_on_gutenberg/pretraining_simple.py",
        "test_training_loop.py::test_the_history_says_what_happened",
    ),
    Fault(
        "M.14",
        "slope-that-overflows",
        "appendix_f.numpy_gpt",
        "    t = np.tanh(GELU_SCALE * (x + GELU_CUBE * x**3))",
        "    e = np.exp(2 * GELU_SCALE * (x + GELU_CUBE * x**3))\n    t = (e - 1) / (e + 1)",
        "karpathy/llm.c#168",
        "test_four_ways.py::test_the_slope_of_gelu_is_0_or_1_far_from_0_and_never_overflows",
    ),
    Fault(
        "M.15",
        "lora-without-rank",
        "appendix_e.lora",
        "return self.alpha / self.rank",
        "return self.alpha",
        "rasbt/LLMs-from-scratch#821",
        "test_appendix_e.py::test_the_layer_is_the_sum_of_its_rank_one_parts",
    ),
    Fault(
        "M.16",
        "end-that-is-never-learned",
        "ch07.gpt_instruction_finetuning",
        "targets[row, first : len(ids) - 1] = torch.tensor(ids[first + 1 :])",
        "targets[row, first : len(ids) - 1] = torch.tensor(ids[first + 1 :])\n"
        "    targets[targets == pad_id] = IGNORE",
        "huggingface/transformers#23530",
        "test_ch07.py::test_targets_are_the_inputs_one_token_later",
    ),
    Fault(
        "M.17",
        "head-that-reads-padding",
        "ch06.gpt_class_finetune",
        'place = end if self.token == "end" else end - 1',
        'place = idx.shape[1] - 1 if self.token == "end" else end - 1',
        "huggingface/transformers#46782",
        "test_ch06.py::test_more_padding_does_not_change_what_a_tokens_own_place_says",
    ),
    Fault(
        "M.18",
        "batches-weigh-the-same",
        "ch05.gpt_train",
        "total += loss.item() * counted\n        n_tokens += counted",
        "total += loss.item()\n        n_tokens += 1",
        "pytorch/torchtitan#4167",
        "test_gpt_train.py::test_evaluate_is_the_mean_over_tokens_and_changes_nothing",
    ),
    Fault(
        "M.19",
        "answers-left-out",
        "ch07.ollama_evaluate",
        'scores = [entry["score"] for entry in scored if entry["score"] is not None]',
        'scored = [entry for entry in scored if entry["score"] is not None]\n'
        '    scores = [entry["score"] for entry in scored]',
        "modelscope/evalscope#1575",
        "test_ollama.py::test_unscored_responses_are_counted_and_not_averaged",
    ),
    Fault(
        "M.20",
        "no-means-yes",
        "ch07.gpt_instruction_finetuning",
        '"--no-mask",\n        action="store_true",',
        '"--no-mask",\n        type=bool,\n        default=False,',
        "rasbt/LLMs-from-scratch: ch05/03_bonus_pretraining_on_gutenberg/pretraining_simple.py",
        "test_ch07.py::test_a_switch_of_the_command_takes_no_word",
    ),
]


def find_fault(name: str) -> Fault:
    """The fault of this name.

    Raises: ValueError if there is none.
    """
    for fault in FAULTS:
        if fault.name == name:
            return fault
    names = ", ".join(fault.name for fault in FAULTS)
    raise ValueError(f"there is no fault called {name!r}: choose one of {names}")


def path_of(fault: Fault, root: Path = ROOT) -> Path:
    """The file of the module in which the fault is switched on."""
    folder, *rest = fault.module.split(".")
    if folder.startswith("appendix_"):
        folder = f"appendix-{folder[-1].upper()}"
    return root.joinpath(folder, *rest).with_suffix(".py")


@cache
def changed_source(fault: Fault, root: Path = ROOT) -> str:
    """The module's text with the fault in it.

    Raises: ValueError if the text to change does not stand there, or more than once.
    """
    path = path_of(fault, root)
    source = path.read_text(encoding="utf-8")
    if (n := source.count(fault.right)) != 1:
        what = f"{fault.right.strip()!r} stands {n} times in {path.relative_to(root).as_posix()}"
        raise ValueError(f"the fault {fault.name} cannot be switched on: {what}, not once")
    return source.replace(fault.right, fault.wrong)


def changed_lines(fault: Fault) -> range:
    """The lines of the changed text, counted from 1."""
    before = changed_source(fault).partition(fault.wrong)[0]
    first = before.count("\n") + 1
    return range(first, first + fault.wrong.count("\n") + 1)


def place_of(fault: Fault) -> str:
    """The function that the fault is in, as MultiHeadAttention.forward."""
    if fault.runs:
        return fault.runs
    names, inside = [], ast.parse(changed_source(fault)).body
    line = changed_lines(fault)[0]
    while inside:
        named = ast.FunctionDef | ast.ClassDef
        parts = [p for p in inside if isinstance(p, named) and p.lineno <= line <= p.end_lineno]
        inside = parts[0].body if parts else []
        names += [part.name for part in parts]
    return ".".join(names)


def compiled(fault: Fault, is_on: bool) -> CodeType:
    """The module's program, with the fault or as it is, under one and the same file's name."""
    path = path_of(fault)
    source = changed_source(fault) if is_on else path.read_text(encoding="utf-8")
    return compile(source, path.as_posix(), "exec")


def pair(name: str) -> tuple[ModuleType, ModuleType]:
    """Two modules of their own, as the course has it and with the fault; nobody imports them.

    Raises: ValueError as find_fault and changed_source.
    """
    fault = find_fault(name)
    changed_source(fault)
    origin = importlib.import_module(fault.module)
    made = []
    for is_on in (False, True):
        module = ModuleType(fault.module, origin.__doc__)
        module.__file__, module.__package__ = origin.__file__, origin.__package__
        exec(compiled(fault, is_on), vars(module))
        made.append(module)
    return tuple(made)


def versions(name: str) -> list[tuple[str, ModuleType]]:
    """The same two modules, each with the word for it."""
    return list(zip(("right", "faulty"), pair(name)))


def show_change(name: str) -> str:
    """Where the fault is switched on, and which lines take the place of which."""
    fault = find_fault(name)
    lines = [f"{path_of(fault).relative_to(ROOT).as_posix()}, {place_of(fault)}"]
    old, new = fault.right.strip().splitlines(), fault.wrong.strip().splitlines()
    lines += [f"- {line.strip()}" for line in old if line not in new]
    lines += [f"+ {line.strip()}" for line in new if line not in old]
    return "\n".join(lines)


# ---- Did a test run the fault?


class Watched:
    """While it is entered, note whether the changed lines of a module's program are run."""

    def __init__(self, fault: Fault, module: ModuleType):
        self.names, self.runs = vars(module), fault.runs
        self.lines, self.reached = set(statement_lines(fault)), False

    def __enter__(self) -> "Watched":
        self.before = sys.gettrace()
        sys.settrace(self.called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(self.before)

    def called(self, frame: FrameType, event: str, _: object):
        if frame.f_globals is not self.names or self.reached:
            return None
        if self.runs and frame.f_code.co_name == self.runs:
            self.reached = True
        return self.stepped

    def stepped(self, frame: FrameType, event: str, _: object):
        if not self.runs and event == "line" and frame.f_lineno in self.lines:
            self.reached = True
        return None if self.reached else self.stepped


def statement_lines(fault: Fault) -> range:
    """The lines of the smallest statement that holds the first changed line."""
    line = changed_lines(fault)[0]
    found = [
        node
        for node in ast.walk(ast.parse(changed_source(fault)))
        if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno
    ]
    smallest = min(found, key=lambda node: node.end_lineno - node.lineno)
    return range(smallest.lineno, smallest.end_lineno + 1)


# ---- The fault in whatever is imported.


class FaultyLoader(SourceFileLoader):
    """Load a module with a fault, never from a cached program, and cache none."""

    def __init__(self, fault: Fault):
        super().__init__(fault.module, path_of(fault).as_posix())
        self.fault = fault

    def get_code(self, fullname: str) -> CodeType:
        return compiled(self.fault, is_on=True)


class FaultyFinder:
    """Find one module with its fault, and leave all others to those who come after."""

    def __init__(self, fault: Fault):
        self.fault = fault

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec:
        if fullname != self.fault.module:
            return None
        return spec_from_file_location(
            fullname, path_of(self.fault), loader=FaultyLoader(self.fault)
        )


def is_ours(name: str, module: ModuleType) -> bool:
    """Whether a module is of a chapter or a test: those may hold one another's definitions."""
    file = Path(getattr(module, "__file__", None) or "nowhere")
    return re.match(r"(ch\d\d|appendix_[a-z])\b", name) is not None or file.parent == ROOT / "tests"


@contextmanager
def switched_on(name: str) -> Iterator[Fault]:
    """Give what is imported inside the fault, in a fresh copy of all chapters and tests.

    Afterwards the modules from before are back.
    Raises: ValueError as find_fault and changed_source.
    """
    fault = find_fault(name)
    changed_source(fault)
    before = {n: module for n, module in sys.modules.items() if is_ours(n, module)}
    finder = FaultyFinder(fault)
    for module in before:
        del sys.modules[module]
    sys.meta_path.insert(0, finder)
    try:
        yield fault
    finally:
        sys.meta_path.remove(finder)
        for module in [n for n, m in sys.modules.items() if is_ours(n, m)]:
            del sys.modules[module]
        sys.modules.update(before)
