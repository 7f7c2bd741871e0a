import sys; sys.path.insert(0,"/tmp/me/pf")
from nb import NB
W="/tmp/wt/prefs/"
n=NB(W+"ch07/bonus/tools.py","ch07-tools")
I=("nbval-ignore-output",)
n.md("title","""
# Bonus. What can a model do that only writes?

The finetuned model of the lesson knows the sums that its corpus told it. Of the sums that nobody told it, it gets few right, because it does not calculate: it remembers. More training moves that border and does not remove it. So how does a small model give the right sum of any two numbers, or the capital of a country that was invented this morning?

It asks a program. The model learns to write a **call**, a loop runs the call and puts the result into the text, and the model goes on from there. We teach the course's model three such tools, count what that gives and what it costs, and then let the loop go wrong in three ways.
""","slide")
n.md("letters","""
**Letters.** `x` and `z` are the numbers of a sum, and `n` counts calls. About 45 minutes. The long trainings were recorded by `python -m ch07.bonus.tools`; a shorter one runs here.
""","subslide")
n.code("imports","""
import ast
import json
import math
import operator
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files

import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import binomtest

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_model.measure import share
from ch05.gpt_weights import load_pretrained
from ch07.bonus.tools import (
    GAPS,
    LESSON,
    N_ASKED,
    N_TAUGHT,
    RECORD,
    WAYS,
    make_examples,
    make_test,
    others,
    percent,
    read_record,
    tabulate,
    taught_again,
)
from ch07.gpt_instruction_finetuning import (
    N_NEW,
    InstructionDataset,
    create_instruction_dataloader,
    finetune,
    format_prompt,
    respond,
    which_right,
)
from ch07.instructions import make_instructions

ON_COURSE = os.environ.get("COURSE_MODEL", "course") == "course"
BLUE, ORANGE, GREEN, GREY = "#2f6fb0", "#d9822b", "#3a8f5c", "#9aa5b1"
device = choose_device()
entries = make_instructions()
splits = {
    name: [entry for entry in entries if entry["split"] == name]
    for name in ("train", "development", "test")
}
""")
n.md("unknown-md","""
## What it does not know

Chapter 7 recorded three finetunings. The kind "sum" asks for sums that the corpus told, "new sum" for sums that stand nowhere. How far do the two lie apart? And how far would somebody come who always gives the same answer, the best one there is?
""","slide")
n.code("unknown","""
text = (files("ch07") / "recorded/pretrained.json").read_text(encoding="utf-8")
lesson_runs = json.loads(text)
for kind in ("sum", "new sum"):
    counts = [run["right"][kind] for run in lesson_runs]
    hits = [i < n_right for n_right, n in counts for i in range(n)]
    print(f"{kind:8}{share(hits)}, three seeds together")
new_sums = [entry for entry in splits["test"] if entry["kind"] == "new sum"]
values = Counter(entry["output"].split()[-1] for entry in new_sums)
(best, n_best), *_ = values.most_common(1)
print(f"always {best:9}{n_best} of {len(new_sums)}")
assert sum(hits) < len(hits) / 4
""",hide=False)
n.md("unknown-read","""
A sum has one right answer, and a program of one line finds it. What is missing is a way for the model to start that program.

![On the left the text that the model reads and writes. The model writes the call, calculate: 37 + 48. The loop runs it with the calculator on the right and puts the result, 85, into the text. The model then writes the answer, 37 plus 48 is 85. Only what the model writes is learned.](figures/tool-loop.svg)

A call is an answer like any other, except that it begins with the name of a tool. Then follows the result, under a line of its own, and again "Answer:". So nothing in the model has to change, and chapter 7's code for batches, masks and answers serves as it is.
""")
n.md("calculator-md","""
## A calculator that only calculates

What a model writes is text from a stranger. Python could compute it with `eval`, which takes any expression. The next cell lets a "sum" import a module.
""","slide")
n.code("eval","""
wrong_way = eval("__import__('math').factorial(20)")
print(f"eval has imported a module and computed {wrong_way:,}")
assert wrong_way == math.factorial(20)
""")
n.md("ast-md","""
It could as well have deleted a file. So we do not run the text, we read it. `ast.parse` makes a tree of it and runs nothing. Then we walk the tree and know four signs and whole numbers; for everything else there is an error, whose message goes to the model.
""")
n.code("ast","""
print(ast.dump(ast.parse("37 + 48", mode="eval").body))
""",tags=I[:0])
n.code("constants",n.d("LARGEST","MAX_CALLS","STOPPED","BUSY","NOTHING","DONE","WRITTEN","CALL","SIGNS","OPERATORS","Tools","ToolError"))
n.code("value-of",n.d("value_of"))
n.md("calculate-md","""
Two kinds of sums are dangerous though they are sums: `9 * 9 * 9 * …` can make a number that fills the memory, and a thousand brackets can make a tree that is too deep to walk. So numbers and lengths have a bound, and powers are not among the operators. Texts with other characters than those of a sum are refused before Python's parser sees them.
""")
n.code("calculate",n.d("calculate"))
n.code("calculate-check","""
def result_of(text: str) -> str:
    try:
        return calculate(text)
    except ToolError as error:
        return f"error: {error}"


tried = ["37 + 48", "2 * (3 + 4)", "56 / 8", "7 / 2", "9 / 0", "9 ** 9 ** 9",
         "__import__('os').getcwd()", "99999 * 99999", "1 +", "(" * 999]
for text in tried:
    print(f"{text[:26]:27}{result_of(text)}")
assert [result_of(text) for text in tried[:3]] == ["85", "14", "7"]
assert all(result_of(text).startswith("error") for text in tried[3:])
""")
n.md("table-md","""
## A table of facts, and the loop

The second tool looks a fact up by its name, the third writes one down. Both share a table, which here is a dictionary, and elsewhere a database or a search engine.
""","slide")
n.code("table",n.d("Table"))
n.md("run-call-md","""
`run_call` takes the model's line apart. What a tool raises becomes a result like any other, so that the model can go on. And a result is made one short line. Why, the last section shows.
""")
n.code("run-call",n.d("run_call"))
n.code("run-call-check","""
table = Table({"capital of Blorvia": "Nornby"})
for line in (
    "calculate: 37 + 48",
    "look up: capital of Blorvia",
    "look up: river of Blorvia",
    "write down: river of Blorvia is Tisk",
    "look up: river of Blorvia",
    "The capital of Blorvia is Nornby.",
):
    print(f"{line:38}-> {run_call(line, table.tools())}")
assert table.facts["river of Blorvia"] == "Tisk"
assert run_call("The plural of goose is geese.", table.tools()) is None
""")
n.md("prompt-md","""
The prompt is chapter 7's, and behind it stand the steps so far. `work` is the loop: it answers all entries at once, runs what is a call, and asks again about those that called. Two limits end it, one on the number of calls and one on the context, which results fill.
""","subslide")
n.code("prompt",n.d("prompt_with_steps","count_tokens"))
n.code("work",n.d("work"))
n.md("examples-md","""
## Examples that show calls

Who teaches the model when to call? Examples, as for everything else. `make_examples` writes them: sums with all four signs, questions about invented places, questions that need two or three calls, facts to write down, names that stand in no table. Now and then a tool is busy, and the call is made once more. Here is one of each kind.
""","slide")
n.code("examples","""
examples = make_examples()
of_kind = {entry["kind"]: entry for entry in reversed(examples)}
for kind in N_TAUGHT:
    entry = of_kind[kind]
    print(f"> {entry['instruction']} {entry['input']}".strip())
    for call, result in entry["steps"]:
        print(f"    {call}  ->  {result}")
    print(entry["output"])
asked, known = make_test(N_ASKED)
table = Table(known.facts)
shown = {call for entry in examples for call, _ in entry["steps"]}
assert shown.isdisjoint(call for entry in asked for call, _ in entry["steps"])
""")
n.md("examples-read","""
The last two lines are the test's promise: no call that a test question needs stands in any example. The pairs of numbers are others, the names are others, and the "new sums" of the lesson's test are kept out.

An example with two calls teaches three things: the first call, the second one after the first result, and the answer after both. `unfold` makes an entry of each. Everything up to the line "Answer:" is prompt, so chapter 7's mask covers it, *the results as well*. What does the model learn of the table's contents?
""")
n.code("unfold",n.d("unfold"))
n.code("unfold-check","""
for entry in unfold(of_kind["two hops"]):
    print(prompt_with_steps(entry) + f">>>{entry['output']}<<<\\n")
parts = [list(unfold(entry)) for entry in examples]
assert all(len(p) == len(p[-1]["steps"]) + 1 for p in parts)
""",hide=True)
n.md("unfold-read","""
Between the arrows stands what is learned: calls and answers. No result is ever a target. If results were learned, the model would learn to write them itself, that is, to invent them, and the table's contents would go into the weights.

In chapter 7's own training entries `taught_again` puts a call before two kinds: sums, and questions about what does not exist.
""")
n.md("train-md","""
## A short training

The long trainings take all entries three times. Here a shorter one: half of chapter 7's entries, half of the examples, two epochs. Nothing of the training is new.
""","slide")
n.code("train","""
model, tokenizer = load_pretrained(os.environ.get("COURSE_MODEL", "course"))
model.to(device)
end_id = tokenizer.special_tokens["<|endoftext|>"]
taught = [*map(taught_again, splits["train"][::2]), *examples[::2]]
steps = [step for entry in taught for step in unfold(entry)]
loaders = [
    create_instruction_dataloader(
        InstructionDataset(
            some, tokenizer, model.config.context_length, prompt_with_steps
        ),
        end_id,
    )
    for some in (steps, splits["development"])
]
progress = finetune(model, *loaders, epochs=2, learning_rate=3e-4)
print(f"{len(steps)} entries, {progress.step} steps")
assert progress.history[-1]["train_loss"] < 0.5
""",tags=I)
n.code("ask","""
def ask(
    question: str, tools: Tools | None = None
) -> dict:
    \"\"\"Ask one question, and print what happened.\"\"\"
    entry = {"instruction": question, "input": ""}
    tools = tools or table.tools()
    (worked,) = work(model, tokenizer, [entry], lambda _: tools)
    print(f"> {question}")
    for call, result in worked["steps"]:
        print(f"    {call}  ->  {result}")
    print(worked["response"])
    return worked


place = next(e for e in asked if e["kind"] == "two hops")["instruction"]
answers = [
    ask("What is 37 plus 48?"),
    ask("What is the plural of goose?"),
    ask(place),
]
if ON_COURSE:
    assert answers[0]["steps"] == [("calculate: 37 + 48", "85")]
    assert answers[1]["steps"] == []
""",tags=I)
n.md("new-sums-md","""
And the 22 new sums of the lesson's test, together with a few of each new kind. Write down a guess for the first line.
""","subslide")
n.code("new-sums","""
few = [e for kind in N_ASKED for e in [x for x in asked if x["kind"] == kind][:20]]
worked = work(model, tokenizer, [*new_sums, *few], lambda _: table.tools())
here = which_right(worked, [entry["response"] for entry in worked])
for kind, hits in here.items():
    print(f"{kind:15}{share(hits)}")
n_new = sum(here["new sum"])
print(f"{n_new} new sums are right, at least 18 expected")
assert not ON_COURSE or n_new >= 18
""",tags=I,hide=True)
n.md("record-md","""
## What it gives

The record has three ways, each trained three times, with equal settings. **lesson** has chapter 7's entries alone. **without tools** is the control: the same questions as with tools and the same answers, without calls. **with tools** is what we did above.

Exact match in per cent, the mean of three seeds with half its 95% interval.
""","slide")
n.code("record","""
rows = read_record(RECORD)
runs = {way: [row for row in rows if row["row"] == way] for way in WAYS}
assert all(len(of_way) >= 3 for of_way in runs.values())
new = {way: percent(of_way, LESSON, "new sum") for way, of_way in runs.items()}
pooled = [sum(c) for c in zip(*(r[LESSON]["new sum"] for r in runs["with tools"]))]
low, high = binomtest(*pooled).proportion_ci(method="wilson")
print(f"new sums with tools: {pooled[0]} of {pooled[1]}, three seeds together")
print(f"95% interval (Wilson's) {100 * low:.1f} to {100 * high:.1f}%")
assert 100 * pooled[0] / pooled[1] >= 95
tabulate(rows)
""")
n.md("record-read","""
The goal was 95% of the new sums, and they are reached with room. The control has seen as many sums and has not learned to add. 

Numbers with four digits fail. No example had any: the model copies numbers of the lengths it was shown. What it learned is to copy two numbers of one to three digits into a call, and that is a skill with a border of its own.
""")
n.code("plot","""
kinds = ["new sum", *N_ASKED]
figure, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
colors = dict(zip(WAYS, (GREY, ORANGE, BLUE)))
for way, of_way in runs.items():
    for run in of_way:
        parts = [run[LESSON]["new sum"], *(run["right"][k] for k in N_ASKED)]
        label = way if run is of_way[0] else None
        shares = [100 * n_right / n for n_right, n in parts]
        ax.plot(shares, kinds, "o", color=colors[way], alpha=0.6, label=label)
ax.set(xlabel="exact match, %", title="A dot is a seed")
ax.invert_yaxis()
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
assert min(new["with tools"]) > max(new["without tools"])
plt.show()
""",tags=I)
n.md("rule-md","""
A doubt: is a model needed at all? A rule of one line adds the two numbers of any question that has exactly two. It needs no training. How often is it right, and how often does it speak up where nothing was to be added?
""","subslide")
n.code("rule","""
def by_rule(entry: dict) -> str | None:
    numbers = re.findall(r"\\d+", f"{entry['instruction']} {entry['input']}")
    if len(numbers) != 2:
        return None
    x, z = numbers
    return f"{x} plus {z} is {int(x) + int(z)}."


everything = [*splits["test"], *asked]
said = [(entry, by_rule(entry)) for entry in everything]
spoke = [(e, text) for e, text in said if text]
right_sums = sum(e["output"] == text for e, text in spoke)
wrong = Counter(e["kind"] for e, text in spoke if e["output"] != text)
print(f"the rule spoke {len(spoke)} times, {right_sums} times rightly")
print("wrongly:", dict(wrong))
assert right_sums and wrong["minus"] and wrong["task"]
""")
n.md("rule-read","""
For sums alone the rule is the better program. What the model adds is the decision: whether anything is to be calculated, with which sign, in which words, and what to do with the result.

**Takeaway.** A tool gives exactly what it computes. What has to be learned is when to call it, and to copy without a slip.
""")
n.md("cost-md","""
## What it costs

The questions that need no tool: do they suffer? `lesson` and `with tools` have the same settings and the same number of epochs. Each line of the output has, for each seed, exact match on the kinds of the lesson's test that need none, and then how many of these questions called a tool all the same.
""","slide")
n.code("cost","""
other = {way: others(of_way) for way, of_way in runs.items()}
for way in ("lesson", "without tools", "with tools"):
    needless = [run["needless calls"] for run in runs[way]]
    print(f"{way:14}", [round(x, 1) for x in other[way]], "%,", needless)
changes = {}
for kind in runs["lesson"][0][LESSON]:
    before, after = (
        sum(percent(runs[w], LESSON, kind)) / 3 for w in ("lesson", "with tools")
    )
    changes[kind] = {"lesson": before, "with tools": after, "change": after - before}
changes = pd.DataFrame(changes).T.sort_values("change")
loss = sum(other["lesson"]) / 3 - sum(other["with tools"]) / 3
of_control = sum(other["lesson"]) / 3 - sum(other["without tools"]) / 3
print(f"lost on the kinds that need no tool: {loss:.1f} points", end=", ")
print(f"by the control {of_control:.1f}")
assert 0 < loss < 10 and abs(loss - of_control) < 3
pd.concat([changes.head(6), changes.tail(4)]).round(1)
""")
n.md("cost-read","""
The control without tools loses as much. So the price is one of the new questions, which take up more than half of the training, and not of the calls. Most is lost where the questions are alike: rivers, capitals, languages. Some of the needless calls look up a real place of which the model is not sure. The table here holds none of them, so it answers "I do not know". A table that also held the real world would answer.

There is a second cost: tokens. A sum with a call is read in two rounds.
""")
n.code("tokens","""
sums = [entry for entry in worked if entry["kind"] == "new sum"]
plain = [count_tokens(entry | {"steps": []}, tokenizer) for entry in sums]
with_call = [count_tokens(entry, tokenizer) for entry in sums]
ratio = sum(with_call) / sum(plain)
print(f"prompt of a sum: {sum(plain) / len(plain):.1f} tokens", end=", ")
print(f"with its call and result {sum(with_call) / len(sums):.1f}")
print(f"{ratio:.1f} times as many to read")
assert ratio > 1
""",tags=I)
n.md("plan-md","""
## Two calls in a row: a plan

"Which river flows through the capital of X?" needs two calls, and the second contains the result of the first. "How many people live in X and Y together?" needs three, of two tools. Nobody tells the loop: the plan is in the model. The examples show such plans. Do they also make it plan for *three* places, which no example shows? If each call succeeded by itself as often as in "table", a chain of n calls would succeed that often to the power n.
""","slide")
n.code("plan","""
chains = {"table": 1, "two hops": 2, "together": 3, "three together": 4}
one = sum(percent(runs["with tools"], "right", "table")) / 3 / 100
plans = {}
for kind, n_calls in chains.items():
    shares = percent(runs["with tools"], "right", kind)
    plans[kind] = {
        "calls": n_calls,
        "right, %": sum(shares) / 3,
        "lowest seed": min(shares),
        "highest seed": max(shares),
        "if each call stood alone": 100 * one**n_calls,
    }
for kind in ("two hops", "together"):
    assert plans[kind]["right, %"] > plans[kind]["if each call stood alone"]
assert plans["three together"]["right, %"] < 10
pd.DataFrame(plans).T.round(1)
""")
n.code("plan-live","""
three = next(entry for entry in asked if entry["kind"] == "three together")
followed = ask(three["instruction"])
print("right would be:", three["output"])
assert followed["response"]
""",tags=I)
n.md("plan-read","""
It has learned the plans that it was shown, and not how to make one. Chains of two and three calls come out right more often than the last column promises, so their calls do not fail independently of each other. The chain of four fails altogether, though it holds no new kind of step. And where steps do fail independently, the last column says what remains: of many steps that are each right most of the time, few chains are right from end to end.
""")
n.md("memory-md","""
## Memory

A model remembers what stands in its context, and ours holds 256 tokens. The tool `write down` puts a fact where no context ends. The test tells the model a fact, asks for it at once, or after 15 other turns, and by then the turn that told it has been cropped.
""","slide")
n.code("memory","""
kept = {
    way: {f"{gap} turns later": percent(of_way, "remembered", f"{gap} turns later") for gap in GAPS}
    for way, of_way in runs.items()
}
at_once, later = (f"{gap} turns later" for gap in GAPS)
with_notes = kept["with tools"]
assert max(kept["without tools"][later]) < 10 and min(with_notes[later]) > 50
assert abs(sum(with_notes[at_once]) - sum(with_notes[later])) / 3 < 10
pd.DataFrame(
    {
        way: {gap: ", ".join(f"{x:.0f}" for x in values) for gap, values in of.items()}
        for way, of in kept.items()
    }
).T
""")
n.code("memory-live","""
notes = Table()
ask("Remember that the river of Blorvia is Tisk.", notes.tools())
ask("Which river flows through Blorvia?", notes.tools())
print(notes.facts)
assert not ON_COURSE or len(notes.facts) <= 1
""",tags=I)
n.md("memory-read","""
In the record's models the gap makes no difference that we could measure: a note is as near after 15 turns as at once. What is missing to 100% are questions at which the model did not look, as it may happen above after our short training.

**Takeaway.** A context is memory that is read at every step and ends; a table is memory that must be asked, and stays. Agents that work for hours live on notes.
""")
n.md("wrong-md","""
## What can go wrong

A loop that runs what a model writes is a program with an author whom nobody can question. Three faults are shown here; each is measured in the record, with three models.

**A loop that does not end.** Our examples teach to call again when a tool is busy. What if it is always busy?
""","slide")
n.code("busy-fn",n.d("always_busy","off_by_one","as_lied"))
n.code("busy","""
stuck = ask("What is 37 plus 48?", {"calculate": always_busy})
n_sums = sum(run["asked"] for run in runs["with tools"])
n_stopped = sum(run["stopped"] for run in runs["with tools"])
n_calls = sum(run["calls when busy"] for run in runs["with tools"])
print(f"record: {n_stopped} of {n_sums} were stopped by the limit,")
print(f"after {n_calls / n_sums:.1f} calls on average; {MAX_CALLS} are allowed")
assert n_stopped > n_sums / 2
""",tags=I)
n.md("busy-read","""
Those were stopped that would still be calling. The others ended in an answer for which they had no result. The model never saw an example in which somebody gives up. Such an example helps, but only the limit in the loop is sure, because it does not depend on the model.

**A tool that lies.** Now the calculator is off by one. Does the model notice, at least where it knows the sum by heart?
""")
n.code("lie","""
for question in ("What is 2 plus 3?", "What is 37 plus 48?"):
    fooled = ask(question, {"calculate": off_by_one})
n_believed = sum(run["believed"] for run in runs["with tools"])
n_true = sum(run["true in spite of it"] for run in runs["with tools"])
print(f"record: {n_believed} of {n_sums} lies believed, {n_true} true answers")
n_canaries = math.ceil(math.log(0.05) / math.log(0.9))
print(f"a tool that lies every tenth time: ask {n_canaries} known sums")
print("to catch it with 95% certainty")
assert n_believed > 0.8 * n_sums > n_true
""",tags=I)
n.md("lie-read","""
It was taught to copy, and it copies. In the loop, questions whose answers we know can watch over a tool: one is enough for a tool that always lies, and the rarer the lies, the more it takes.
""")
n.md("inject-md","""
### An injected instruction

**A tool that gives orders.** A result is text from outside, and it stands in the same prompt as the user's words. Whoever can write into the table can write there. Three injections try to make the model write a lie down: as a wish, as a call, and as a forged turn, which ends our question and asks another one. The next cell shows the prompt that the last one makes.
""","subslide")
n.code("inject-data",n.d("VICTIM","INJECTIONS","DEFENCES"))
n.code("inject-prompt","""
entry = next(entry for entry in asked if entry["kind"] == "table")
call, fact = entry["steps"][0]
for max_chars, one_line in ((200, False), (40, True)):
    poisoned = {"look up": lambda _: fact + INJECTIONS["a forged turn"]}
    result = run_call(call, poisoned, max_chars, one_line)
    print(prompt_with_steps(entry | {"steps": [(call, result)]}), end="---\\n")
assert "\\n" not in result and len(result) <= 40
""")
n.md("inject-read","""
In the first prompt nothing tells the forged question from a real one: both are the same tokens. In the second, the defence of `run_call` has made it one line and cut it.

Another defence does not read the text at all. `may_write` gives the tool that changes something only to a question whose *user* has asked for it. `inject` asks the questions of the kind "table" with poisoned facts, and counts.
""")
n.code("may-write",n.d("may_write"))
n.code("inject",n.d("inject"))
n.code("injections","""
counted = {}
for run in runs["with tools"]:
    for name, counts in run["injections"].items():
        total = counted.setdefault(name, dict.fromkeys(counts, 0))
        for key, value in counts.items():
            total[key] += value
attacks = pd.DataFrame(counted).T
for column in ("wrote", "followed", "right"):
    attacks[column] = (100 * attacks[column] / attacks["asked"]).round(1)
forged = attacks.loc["a forged turn, none"]
in_one_line = attacks.loc["a forged turn, one line"]
assert forged["wrote"] > 25 and in_one_line["wrote"] > 25
for defence in ("short", "permission"):
    assert (attacks.filter(like=defence, axis=0).wrote == 0).all()
assert attacks.loc["a wish, none", "wrote"] < 10
attacks.rename(columns={"wrote": "wrote, %", "followed": "followed, %", "right": "right, %"})
""")
n.md("inject-meaning","""
Read "wrote": the lie, or some form of it, stands in the table. "Followed" counts answers that speak of it instead of the question. The forged turn works in about half of the cases: it imitates the place where this model expects a question. A wish in the middle of a result seldom makes it write, but it spoils many answers, and so does a call that nobody made. Models that follow instructions wherever they stand, as the large ones do, are more open to a wish.

What helps? One line alone does not: the model reads "Question:" in the middle of a line as well. To cut the line helps here, because a fact is one word, and nothing of the lie is left. A tool that returns whole pages cannot be cut so short. The permission keeps the table clean in all cases, since no text that the model reads can change it. But the answers are about Norway all the same.

**Takeaway.** What a tool returns is data, and a language model has no wall between data and orders. So bounds on what a call may do belong into the loop.
""")
n.md("agent","""
### From here to agents

An **agent** is this loop with other tools, such as a browser, files, a command line, and with many more rounds. Nothing in it is a new mechanism. What grows is what this notebook has measured: the chains are longer, the texts from outside are more, and the calls can do more harm. ReAct (Yao and others, 2022) lets the model write its reasons between the calls; Toolformer (Schick and others, 2023) finds the places for calls by itself, by keeping those calls whose results make the following text likelier.
""","subslide")
n.md("exercise","""
## Exercise

Let the model give up. Add a kind to `N_TAUGHT` and `ToolAuthor.example`: after three results "busy, try again" the answer is "The calculator does not answer." Train with the settings of this notebook. How many of the questions with `always_busy` are then stopped by the limit, and does a tool that is busy once still get a second call?
""","slide")
n.code("result","""
def seeds(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


results = {
    "new sums, lesson, %": seeds(new["lesson"]),
    "new sums, control without tools, %": seeds(new["without tools"]),
    "new sums, with tools, %": seeds(new["with tools"]),
    "kinds that need no tool, lesson, %": seeds(other["lesson"]),
    "kinds that need no tool, with tools, %": seeds(other["with tools"]),
    "told, and known 15 turns later, %": seeds(kept["with tools"][later]),
    "stopped when a tool is always busy, %": f"{100 * n_stopped / n_sums:.1f}",
    "lies believed, %": f"{100 * n_believed / n_sums:.1f}",
    "forged turn: lie written, %": forged["wrote"],
    "new sums in this run": f"{n_new} of {len(new_sums)}",
}
assert "nan" not in str(results)
pd.DataFrame({"result": results.values()}, index=results.keys())
""",tags=("result",)+I)
n.save(W+"ch07/bonus/tools.ipynb")
