"""A chapter's module repeats the final definitions of its notebooks, character for character.

Each stands in exactly one notebook: in the main one if it is the lesson, else in a bonus one.
"""

import ast
from collections import defaultdict
from pathlib import Path

import pytest
from course_files import (
    DISTILLED,
    NOT_DISTILLED,
    ROOT,
    bonus_notebooks,
    dotted_name,
    main_notebook,
    package_of,
    python_cells,
    python_of,
    relative,
)

# What a module has beyond its notebook, and why. Imports that only these use are exempt too.
EXEMPT = {
    "ch02/bonus/new_tokens.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "RECORD": "the record of the command line",
        "read_record": "the record of the command line",
        "tabulate": "the table of the record",
        "SIZES": "the rows of the command line",
        "CONFIG": "the rows of the command line",
        "VOCABULARY_BYTES": "the rows of the command line",
        "HELD_OUT_SEED": "the text of the command line",
        "N_HELD_OUT": "the text of the command line",
        "PIECE_BYTES": "the text of the command line",
        "train_on_bytes": "the training of the command line",
        "counted_bits": "the baseline of the record",
    },
    "ch04/bonus/attention_zoo.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "read_record": "the record of the command line",
        "measure_row": "the rows of the command line",
        "check_variant": "what the command line's rows could get wrong",
        "train_on": "the training of the command line",
        "train_indexers": "the training of the command line",
        "next_token_loss": "the training of the command line",
        "tabulate": "the table of the record",
        "RECORD": "the record of the command line",
        "ROWS": "the rows of the command line",
        "CONTROL": "the rows of the command line",
        "HELD_OUT_SEED": "the text of the command line",
        "HELD_OUT_BYTES": "the text of the command line",
        "TEXT_SEED": "the text of the command line",
    },
    "ch04/bonus/experts_and_states.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "widen": "the control of the trainings",
        "MEMORIES": "the rows of the command line",
        "WAYS": "the rows of the command line",
        "START": "the rows of the command line",
        "N_EXPERTS": "the trainings of the command line",
        "N_CHOSEN": "the trainings of the command line",
        "LOSS_WEIGHT": "the trainings of the command line",
        "BIAS_RATE": "the trainings of the command line",
        "start_of": "the trainings of the command line",
        "train_way": "the trainings of the command line",
        "TASKS": "the lists that are learned: data",
        "N_KEYS": "the lists that are learned: data",
        "N_VALUES": "the lists that are learned: data",
        "PAGE": "the lists that are learned: data",
        "ASK": "the lists that are learned: data",
        "NONE": "the lists that are learned: data",
        "MAX_ASKED": "the lists that are learned: data",
        "draw_recall": "the lists that are learned: data",
        "train_recall": "the trainings of the command line",
        "recall_accuracy": "the trainings of the command line",
        "KINDS": "the record of the command line",
        "kind_of": "the record of the command line",
        "count_readers": "the record of the command line",
        "entropy": "the table of the command line",
        "told_by_the_kind": "the table of the command line",
        "RECORD": "the record of the command line",
        "HELD_OUT_SEED": "the record of the command line",
        "HELD_OUT_BYTES": "the record of the command line",
        "read_record": "the record of the command line",
        "measure_way": "the record of the command line",
        "measure_recall": "the record of the command line",
        "tabulate_ways": "the table of the command line",
        "tabulate_readers": "the record of the command line",
        "tabulate_recall": "the table of the command line",
    },
    "ch04/bonus/speed.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "RECORD": "the record of the command line",
        "CONFIG": "the model of the command line",
        "COMPILERS": "what a system's compiler is called",
        "INSTALL": "what a system's compiler is called",
        "why_not": "what the command line can run here",
        "text_batches": "the text of the trainings: data",
        "is_row": "the record of the command line",
        "read_record": "the record of the command line",
        "threads_of": "the record of the command line",
        "peak_name": "the record of the command line",
        "measure_peak": "the record of the command line",
        "measure_rung": "the record of the command line",
        "tabulate": "the table of the record",
    },
    "ch05/bonus/weights.py": {
        "main": "the command line",
        "parse_arguments": "the command line",
        "RECORD": "what the command line writes",
        "CONFIG": "the model that is loaded",
        "WITHIN": "the limits of the trials",
        "WAYS": "the names of the seven ways",
        "own_memory": "processes with limits: the notebook starts the command",
        "data_bytes": "processes with limits: the notebook starts the command",
        "in_child": "processes with limits: the notebook starts the command",
        "trial": "processes with limits: the notebook starts the command",
        "compare_ways": "processes with limits: the notebook starts the command",
    },
    "ch05/gpt_train.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "check_folder": "the runs of the command line",
        "settings_of": "the runs of the command line",
        "make_loaders": "what the command line trains on",
    },
    "ch05/bonus/gpt_to_llama.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "COUNTS": "the baseline of the record",
        "TokenCounts": "the baseline of the record",
        "measure_row": "the record of the command line",
        "tabulate": "the record of the command line",
        "RECORD": "the record of the command line",
        "HELD_OUT_SEED": "the record of the command line",
        "HELD_OUT_BYTES": "the record of the command line",
        "read_record": "the record of the command line",
    },
    "ch05/bonus/recipe.py": {
        "main": "the command line",
        "parse_arguments": "the command line",
        "record": "the record of the command line",
        "all_experiments": "the record of the command line",
        "is_row": "the record of the command line",
        "RECORD": "the record of the command line",
        "Runs": "the record, out of which the notebook takes its rows",
        "repeat_again": "the record of the command line",
        "best_rate": "the record of the command line",
        "SEEDS": "the record of the command line",
        "NOISE_SEEDS": "the record of the command line",
        "RATES": "the grids of the record",
        "WIDTH_RATES": "the grids of the record",
        "SCHEDULES": "the grids of the record",
        "PARTS": "the grids of the record",
        "FULL": "the length of a run",
        "VOCAB_SIZE": "the sizes of the model",
        "T": "the sizes of the model",
        "CREDITS": "the forms of a line",
        "read_book": "the encodings of a file",
        "clean_books": "reads and writes a folder",
        "LICENCE": "a stand-in for books",
        "write_stand_in": "a stand-in for books",
        "write_stand_ins": "a stand-in for books",
        "prepare_stand_ins": "a stand-in for books",
        "Data": "opens what chapter 5 has prepared",
        "open_data": "opens what chapter 5 has prepared",
        "make_optimizer": "chapter 5's optimizers",
    },
    "ch05/bonus/real_llm.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "measurements": "what the command line measures",
        "read_record": "the record of the command line",
        "write_record": "the record of the command line",
        "RECORD": "the record of the command line",
        "file_facts": "what the command line measures",
        "held_out_texts": "what the command line measures",
        "items_to_judge": "what the command line measures",
        "answer": "chapter 5's generate, with the marks of a conversation",
        "text_bits": "bits per byte, as chapter 5's lesson has them",
        "requantized": "the matrices of a whole model, one after the other",
        "verdicts": "the judge is asked; the notebook reads what it said",
        "judge_question": "the notebook prints it",
        "WAYS": "the choices of the command line",
        "WAYS_OF_SMOLLM2": "the choices of the command line",
        "N_ITEMS": "the choices of the command line",
        "PARAGRAPHS": "the texts of the command line",
        "PIECES": "the texts of the command line",
        "PROMPTS": "the texts of the command line",
        "FORMS": "the choices of the command line",
    },
    "ch05/bonus/training_at_scale.py": {
        "RECORD": "the record of the command line",
        "LADDER": "the runs of the command line",
        "SMALL": "the runs of the command line",
        "LARGE": "the runs of the command line",
        "SEEDS": "the runs of the command line",
        "RATES": "the runs of the command line",
        "HELD_OUT_BYTES": "the text of the command line",
        "CPU": "the runs of the command line",
        "now": "the record of the command line",
        "course_tokenizer": "the runs of the command line",
        "training_ids": "the text of the command line",
        "held_out": "the text of the command line",
        "bits_per_byte": "bits per byte, as chapter 5's lesson has them",
        "train_once": "the runs of the command line",
        "tried_rate": "the runs of the command line",
        "run": "the runs of the command line",
        "small_runs": "the record of the command line",
        "digest": "the record of the command line",
        "predict": "what the command line writes down; the notebook reads it",
        "count_bits": "the baseline of the record",
        "check_order": "the record of the command line",
        "is_row": "the record of the command line",
        "missing": "the record of the command line",
        "do": "the command line",
        "parse_arguments": "the command line",
        "work": "the command line",
        "main": "the command line",
    },
    "ch05/gpt_generate.py": {"main": "the command line", "stream_text": "what it prints"},
    "appendix-A/ddp.py": {
        "main": "the command line",
        "leave_processes": "the command line; a notebook has no other processes",
        "run": "the command line",
        "parse_arguments": "the command line",
        "say": "what --explain prints",
        "explain": "what --explain prints",
    },
    "appendix-E/bonus/ranks_and_rates.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "write_record": "the record of the command line",
    },
    "ch06/bonus/classifiers.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "RECORD": "what the command line writes",
        "ELSEWHERE": "records of other commands",
        "read_elsewhere": "records of other commands",
        "is_row": "the rows of the command line",
        "as_runs": "the rows of the command line",
        "plan_rows": "the rows of the command line",
        "summary": "the table of the command line",
        "Bench": "the rows of the command line",
        "WORDS": "the rows of the command line",
        "ENOUGH": "the rows of the command line",
        "SIZES": "the rows of the command line",
        "MAX_TOKENS": "the rows of the command line",
        "epochs_for": "the rows of the command line",
        "sizes_for": "the rows of the command line",
        "find_encoder": "where an optional package lies",
        "read_imdb": "files of another collection",
        "read_collection": "files of other collections",
    },
    "ch06/gpt_class_finetune.py": {
        "main": "the command line",
        "show_page": "the page of the command line",
        "run": "the command line",
        "BAG": "the table of the command line",
        "NOT_FOR_TABLE": "the command line",
        "plan_table": "the table of the command line",
        "describe_table": "the table of the command line",
        "read_record": "the table of the command line",
        "write_record": "the table of the command line",
        "run_table": "the table of the command line",
        "load_gpt": "the command line",
        "parse_arguments": "the command line",
    },
    "ch07/bonus/preferences.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "make_tasks": "the questions that are asked: data",
        "N_ANSWERS": "the questions that are asked: data",
        "REFUSAL": "the questions that are asked: data",
        "FORMS": "the questions that are asked: data",
        "ASKED_IN": "the questions that are asked: data",
        "make_forms": "the questions that are asked: data",
        "other_questions": "the questions that are asked: data",
        "REWARDS": "the choices of the command line",
        "draw_once": "the record of the command line",
        "compare": "the record of the command line",
        "exact_hits": "the record of the command line",
        "exact": "the record of the command line",
        "refused": "the record of the command line",
        "N_TAUGHT": "the sizes of the command line",
        "N_ASKED": "the sizes of the command line",
        "N_OTHERS": "the sizes of the command line",
        "N_BEST": "the sizes of the command line",
        "N_FORMS": "the sizes of the command line",
        "RECORD": "the record of the command line",
        "START": "the rows of the command line",
        "FAST": "the rows of the command line",
        "SHORT": "the rows of the command line",
        "TRAININGS": "the rows of the command line",
        "REWARD": "the rows of the command line",
        "REFUSALS": "the rows of the command line",
        "ROWS": "the rows of the command line",
        "STEPS": "the rows of the command line",
        "RATES": "the rows of the command line",
        "Study": "the rows of the command line",
        "finetuned": "chapter 7's finetuning, as the command line needs it",
        "interval": "the table of the record",
        "tabulate": "the table of the record",
        "read_record": "the record of the command line",
    },
    "ch07/bonus/data.py": {
        "recall_by_jaccard": "the table of a curve",
        "confidence": "log_prob of entries_and_judges.ipynb, in batches",
        "judge_pairs": "the record of the command line",
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "record_generated": "the command line",
        "GENERATED": "the record of the command line",
        "N_TOPICS": "the record of the command line",
        "RECORD": "the record of the command line",
        "read_record": "the record of the command line",
        "KINDS": "the questions that are drawn: data",
        "N_TOLD": "the questions that are drawn: data",
        "N_UNTOLD": "the questions that are drawn: data",
        "N_ASKED": "the questions that are drawn: data",
        "draw_entries": "the questions that are drawn: data",
        "WAYS": "the rows of the command line",
        "chosen_by_chance": "the control of the trainings",
        "learn": "the trainings of the command line",
        "counts_of": "the record of the command line",
        "measure_seed": "the rows of the command line",
        "percent": "the table of the record",
        "mean_and_half": "the table of the record",
        "tabulate": "the table of the record",
    },
    "ch07/bonus/tools.py": {
        "main": "the command line",
        "run": "the command line",
        "parse_arguments": "the command line",
        "FIELDS": "the questions that are written: data",
        "OPERATIONS": "the questions that are written: data",
        "UNKNOWN": "the questions that are written: data",
        "N_TAUGHT": "the questions that are written: data",
        "N_ASKED": "the questions that are written: data",
        "ToolAuthor": "the questions that are written: data",
        "with_busy": "the questions that are written: data",
        "taught_again": "the questions that are written: data",
        "make_examples": "the questions that are written: data",
        "make_test": "the questions that are written: data",
        "GAPS": "the talks of the command line",
        "later_questions": "the talks of the command line",
        "remembered": "the talks of the command line",
        "WAYS": "the rows of the command line",
        "training_entries": "the trainings of the command line",
        "teach": "the trainings of the command line",
        "counts_of": "the record of the command line",
        "NEEDS_A_TOOL": "the record of the command line",
        "measure_trouble": "the record of the command line",
        "measure_way": "the record of the command line",
        "LESSON": "the record of the command line",
        "RECORD": "the record of the command line",
        "read_record": "the record of the command line",
        "percent": "the table of the record",
        "others": "the table of the record",
        "tabulate": "the table of the record",
    },
    "ch07/gpt_instruction_finetuning.py": {
        "main": "the command line",
        "run": "the command line",
        "pick": "the splits of the command line",
        "prepare": "the splits of the command line",
        "describe_run": "the runs of the command line",
        "N_NEW": "the answers of the command line",
        "parse_arguments": "the command line",
    },
    "ch07/ollama_evaluate.py": {"main": "the command line"},
    "ch07/reward_model.py": {
        "fooled": "the record of the command line",
        "best_of": "the record of the command line",
    },
}


def statements(body: list[ast.stmt]):
    """Every statement that runs in the outermost scope, those inside of if, for, with, try too."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for part in ("body", "orelse", "finalbody"):
            yield from statements(getattr(node, part, []))
        for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
            yield from statements(part.body)


def outer_nodes(node: ast.AST):
    """A statement's own nodes: not the statements inside of it, not what has a scope of its own."""
    yield node
    own_scope = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt | own_scope | ast.excepthandler | ast.match_case):
            yield from outer_nodes(child)


def patches(node: ast.AST):
    """What is changed, not bound, by setattr, or by storing or deleting an attribute or item."""
    for part in ast.walk(node):
        if isinstance(getattr(part, "ctx", None), ast.Store | ast.Del):
            if isinstance(part, ast.Attribute | ast.Subscript):
                yield root_name(part)
        elif isinstance(part, ast.Call) and part.args:
            if isinstance(part.func, ast.Name) and part.func.id == "setattr":
                yield root_name(part.args[0])


def local_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    bound = {
        n.id for n in ast.walk(function) if isinstance(n, ast.Name) and type(n.ctx) is ast.Store
    }
    return bound | {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}


def root_name(node: ast.expr) -> str | None:
    """The variable at the left end: GPTModel in GPTModel.forward, SIZES in SIZES["small"]."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def bindings(sources: list[str]) -> dict[str, list[str]]:
    """Name -> every text in the outermost scope that binds, patches or deletes it, in order.

    The text of an import is the dotted name of what it binds.
    """
    found = defaultdict(list)
    for source in sources:
        tree, lines = ast.parse(source), source.splitlines()
        for node in statements(tree.body):
            if isinstance(node, ast.Import):
                for a in node.names:
                    name = a.asname or a.name.partition(".")[0]
                    found[name].append(f"import {a.name if a.asname else name}")
                continue
            if isinstance(node, ast.ImportFrom):
                for a in node.names:
                    found[a.asname or a.name].append(f"import {node.module}.{a.name}")
                continue
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names = {node.name}
                first = min(n.lineno for n in [node, *node.decorator_list])
            else:
                first, names = node.lineno, set()
                for part in outer_nodes(node):
                    if isinstance(getattr(part, "ctx", None), ast.Store | ast.Del):
                        names.add(root_name(part))
                    if isinstance(part, ast.Call) and part.args:
                        if isinstance(part.func, ast.Name) and part.func.id == "setattr":
                            names.add(root_name(part.args[0]))
                for handler in getattr(node, "handlers", []):
                    names.add(handler.name)
                for case in getattr(node, "cases", []):
                    for part in ast.walk(case.pattern):
                        names.add(getattr(part, "name", None) or getattr(part, "rest", None))
            text = "\n".join(lines[first - 1 : node.end_lineno])
            for name in sorted(names - {None}):
                found[name].append(text)
        for node in ast.walk(tree):  # a function that says "global NAME" may bind it as well
            if isinstance(node, ast.Global):
                for name in node.names:
                    found[name].append(f"global {name}")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for name in set(patches(node)) - local_names(node) - {None}:
                    found[name].append(f"{node.name} changes {name}")
    return found


def other_statements(module: str) -> list[str]:
    """What a module does when it is imported, beside binding names."""
    allowed = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign
    return [
        ast.unparse(node)
        for i, node in enumerate(ast.parse(module).body)
        if not isinstance(node, allowed | ast.AnnAssign)
        and not (i == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not (isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'")
    ]


def uses(source: str) -> dict[str, set[str]]:
    """Name -> the names that the module's statements use which bind it."""
    found = defaultdict(set)
    for node in ast.parse(source).body:
        used = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                used.add(part.id)
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                used.add(part.value)  # an annotation in quotes
        for name in bindings([ast.unparse(node)]):
            found[name] |= used
    return found


def is_import(text: str) -> bool:
    return text.startswith("import ")


def differences(
    module: str,
    notebooks: dict[str, list[str]],
    dotted: str = "",
    exempt: set[str] = frozenset(),
) -> list[str]:
    """What a chapter's notebooks do not bind exactly as its module does, a sentence for each name.

    The notebooks are given by name, each with its cells; the module with its dotted name.
    """
    in_module, in_notebook = bindings([module]), {n: bindings(c) for n, c in notebooks.items()}
    used = uses(module)
    problems = [
        f"the module does more than bind names: {text}" for text in other_statements(module)
    ]
    homes = defaultdict(list)  # notebook -> the module's names that it defines
    for name, texts in in_module.items():
        if name in exempt or is_import(texts[0]):
            continue
        from_module = f"import {dotted}.{name}"
        bound = {n: b[name] for n, b in in_notebook.items() if b[name]}
        defining = [n for n, theirs in bound.items() if set(theirs) != {from_module}]
        for n in defining:
            homes[n].append(name)
        if len(texts) > 1:
            problems.append(f"the module binds {name} {len(texts)} times")
        elif not defining:
            problems.append(f"no notebook binds {name}")
        elif len(defining) > 1:
            problems.append(f"more than one notebook binds or patches {name} : {defining}")
        elif len(theirs := bound[defining[0]]) > 1:
            problems.append(f"the notebook binds or patches {name} {len(theirs)} times: {theirs}")
        elif theirs != texts:
            problems.append(f"{name} differs. Module:\n{texts[0]}\nNotebook:\n{theirs[0]}")
    package = dotted.partition(".")[0]
    for name, texts in in_module.items():
        if not is_import(texts[0]):
            continue
        if len(texts) > 1:
            problems.append(f"the module binds {name} {len(texts)} times")
        is_sibling = package and texts[0].startswith(f"import {package}.")
        if is_sibling and f"{texts[0].split('.')[1]}.py" in NOT_DISTILLED:
            is_sibling = False  # it makes data: the notebook imports it too
        for n, names in homes.items():
            theirs = in_notebook[n][name]
            if not any(name in used[definition] for definition in names):
                continue  # what stands here does not need it
            if not theirs:
                problems.append(f"{n} does not bind {name}")
            elif is_sibling and not is_import(theirs[0]):
                # It is grown here, and compared by its own module's test.
                if len(theirs) > 1:
                    problems.append(f"{n} does not define {name} once: {theirs}")
            elif set(theirs) != set(texts):
                problems.append(f"{name} is {texts[0]!r} in the module, {theirs} in {n}")
    return problems


@pytest.mark.parametrize("module", DISTILLED, ids=relative)
def test_the_module_is_the_notebooks_text(module: Path):
    folder = ROOT / module.relative_to(ROOT).parts[0]
    paths = [main_notebook(folder), *bonus_notebooks(folder)]
    notebooks = {relative(path): python_cells(path) for path in paths}
    exempt = EXEMPT.get(relative(module), {})
    source = module.read_text(encoding="utf-8")
    problems = differences(source, notebooks, dotted_name(module), set(exempt))
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("module", EXEMPT)
def test_every_exemption_is_still_needed(module: str):
    (path,) = (path for path in DISTILLED if relative(path) == module)
    assert EXEMPT[module].keys() <= bindings([path.read_text(encoding="utf-8")]).keys()


# ---- The comparison itself: a pair that agrees, and faults planted into it, one at a time.

MODULE = '''"""A module."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ch00.sibling import helper

LIMIT = 8  # tokens


@dataclass(frozen=True)
class Config:
    """The sizes."""

    width: int = 4


class Scale(nn.Module):
    """Multiply."""

    def forward(self, x: Tensor, factor: float = 2.0) -> Tensor:
        x = x * factor  # (B, T)
        return torch.relu(x)


def double(x: Tensor) -> Tensor:
    return helper(x, LIMIT) + math.pi


def main() -> None:
    print(json.dumps({}))


if __name__ == "__main__":
    main()
'''
CELLS = [
    "import math\nfrom dataclasses import dataclass\nimport torch\nfrom torch import nn, Tensor",
    "class ScaleV1(nn.Module):\n    pass",
    "%time x = torch.ones(2)\nmath.pi",
    *[part.strip("\n") for part in MODULE.split("\n\n\n")[1:4]],
    "def helper(x, limit):\n    return x",
    "LIMIT = 8  # tokens",
    "for i in range(3):\n    y = [LIMIT for Tensor in range(2)]",
]


def compare(module: str, cells: list[str], bonus: list[str] = ()) -> list[str]:
    notebooks = {"the-lesson": cells, "the-bonus": bonus}
    notebooks = {name: [python_of(cell) for cell in cells] for name, cells in notebooks.items()}
    return differences(module, notebooks, "ch00.module", {"main"})


def test_a_true_pair_agrees():
    assert compare(MODULE, CELLS) == []


IMPORTS, DOUBLE, HELPER = CELLS[0], CELLS[5], CELLS[6]


@pytest.mark.parametrize(
    "lesson",
    [
        ["from ch00.module import double"],  # with a sentence that says where it is grown
        [],
        ["from ch00.module import double", "from ch00.module import double"],
    ],
)
def test_a_definition_may_stand_in_the_bonus_in_place_of_the_lesson(lesson: list[str]):
    cells = [cell for cell in CELLS if cell not in (DOUBLE, HELPER)] + lesson
    bonus = [IMPORTS, "from ch00.sibling import helper", "from ch00.module import LIMIT", DOUBLE]
    assert compare(MODULE, cells, bonus) == []
    assert compare(MODULE, cells, [*bonus[:1], HELPER, *bonus[2:]]) == []  # grown there as well


@pytest.mark.parametrize(
    ("lesson", "bonus", "problem"),
    [
        (CELLS, [IMPORTS, DOUBLE], "more than one notebook binds or patches double"),
        (CELLS, ["def double(x):\n    return 2 * x"], "more than one notebook binds or patches"),
        (CELLS, ["LIMIT = 9"], "more than one notebook binds or patches LIMIT"),
        (CELLS, ["Scale.forward = None"], "more than one notebook binds or patches Scale"),
        (CELLS, ["from ch00.module import Scale", "del Scale"], "more than one notebook"),
        (CELLS, ["from ch01.module import LIMIT"], "more than one notebook binds or patches LIMIT"),
        (CELLS[:5] + CELLS[6:], [], "no notebook binds double"),
        (CELLS[:5] + CELLS[6:], [HELPER, DOUBLE], "the-bonus does not bind math"),
        (CELLS[:5] + CELLS[6:], ["import cmath as math", IMPORTS, HELPER, DOUBLE], "math is"),
        (CELLS[:5] + CELLS[6:], [IMPORTS, HELPER, HELPER, DOUBLE], "the-bonus does not define"),
    ],
)
def test_a_definition_stands_in_one_notebook(lesson: list[str], bonus: list[str], problem: str):
    found = compare(MODULE, lesson, bonus)
    assert any(text.startswith(problem) for text in found), found


def test_a_notebook_that_only_uses_the_module_may_bind_other_names_as_it_likes():
    assert compare(MODULE, CELLS, ["from ch00.module import double", "math = 3"]) == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("# (B, T)", "# (B, T, C)", "Scale"),
        ('"""Multiply."""', '"""Multiply by a factor."""', "Scale"),
        ("factor: float = 2.0", "factor: float = 3.0", "Scale"),
        ("return torch.relu(x)", "return torch.relu(x) + 1", "Scale"),
        ("frozen=True", "frozen=False", "Config"),
        ("LIMIT = 8  # tokens", "LIMIT = 9  # tokens", "LIMIT"),
        ("LIMIT = 8  # tokens", "LIMIT = 8  # windows", "LIMIT"),
        ("import math", "import cmath as math", "math"),
        ("from torch import nn, Tensor", "from torch import nn, FloatTensor as Tensor", "Tensor"),
        ("def double(", "def doubled(", "double"),
    ],
)
def test_a_changed_text_is_found(old: str, new: str, name: str):
    cells = [cell.replace(old, new) for cell in CELLS]
    assert cells != CELLS
    (problem,) = compare(MODULE, cells)
    assert name in problem.splitlines()[0].split()


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("def double(x):\n    return 2 * x", "double"),
        ("if True:\n    def double(x):\n        return 2 * x", "double"),
        (CELLS[5], "double"),  # the same text once more: still not "exactly once"
        ("Scale.forward = lambda self, x: x", "Scale"),
        ("setattr(Scale, 'forward', None)", "Scale"),
        ("LIMIT += 1", "LIMIT"),
        ("%%time\nLIMIT = 9", "LIMIT"),
        ("for LIMIT in range(3):\n    pass", "LIMIT"),
        ("with open('x') as LIMIT:\n    pass", "LIMIT"),
        ("print(LIMIT := 3)", "LIMIT"),
        ("del double", "double"),
        ("def change():\n    global LIMIT\n    LIMIT = 3", "LIMIT"),
        ("Config: type = None", "Config"),
        ("(a, *Config), [b] = (1, 2), [3]", "Config"),
        ("try:\n    pass\nexcept ValueError as LIMIT:\n    pass", "LIMIT"),
        ("from cmath import pi as math", "math"),
        ("helper = torch.relu", "helper"),
        ("from ch00.sibling import helper", "helper"),
        ("match 3:\n    case LIMIT:\n        pass", "LIMIT"),
        ("match [3]:\n    case [*LIMIT]:\n        pass", "LIMIT"),
        ("match {}:\n    case {**LIMIT}:\n        pass", "LIMIT"),
        ("def late():\n    Scale.forward = None\nlate()", "Scale"),
        ("def late():\n    setattr(Scale, 'forward', None)\nlate()", "Scale"),
        ("def late():\n    Config.__annotations__['width'] = float\nlate()", "Config"),
    ],
)
def test_a_later_binding_is_found(cell: str, name: str):
    (problem,) = compare(MODULE, [*CELLS, cell])
    assert name in problem.split()


@pytest.mark.parametrize(
    "statement", ["torch.set_default_dtype(torch.float64)", "if True:\n    torch.manual_seed(1)"]
)
def test_a_module_only_binds_names(statement: str):
    (problem,) = compare(f"{MODULE}\n{statement}\n", CELLS)
    assert problem == f"the module does more than bind names: {statement}"


def test_a_function_may_change_what_is_its_own():
    cell = "def late(x):\n    x.Scale, Config = 1, {}\n    Config['width'] = x\n    return Config"
    assert compare(MODULE, [*CELLS, cell]) == []


def test_a_decorator_dropped_is_found():
    cells = [cell.removeprefix("@dataclass(frozen=True)\n") for cell in CELLS]
    (problem,) = compare(MODULE, cells)
    assert problem.startswith("Config differs")


def test_an_unparsable_cell_is_an_error():
    with pytest.raises(SyntaxError):
        compare(MODULE, [*CELLS, "def double(:"])


def test_appendices_are_packages_too():
    assert package_of("appendix-E") == "appendix_e"
