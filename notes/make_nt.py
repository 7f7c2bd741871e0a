import nbformat, sys, ast, json
from nbformat.v4 import new_notebook, new_markdown_cell, new_code_cell
ROOT = "/tmp/wt/newtok"
S, U, F = "slide", "subslide", "fragment"
cells = []
def md(i, kind, text):
    c = new_markdown_cell(text.strip("\n"), id="ch02-new-" + i); c.metadata["slideshow"] = {"slide_type": kind}; cells.append(c)
def code(i, kind, text, tags=(), hidden=False):
    c = new_code_cell(text.strip("\n"), id="ch02-new-" + i); c.metadata["slideshow"] = {"slide_type": kind}
    if tags: c.metadata["tags"] = list(tags)
    if hidden: c.metadata["jupyter"] = {"outputs_hidden": True}
    cells.append(c)
src = open(ROOT + "/ch02/bonus/new_tokens.py").read()
def of(*names):
    tree = ast.parse(src); out = []
    for n in names:
        for node in tree.body:
            got = getattr(node, "name", None) or (node.targets[0].id if isinstance(node, ast.Assign) else None)
            if got == n:
                lines = src.splitlines()
                first = min([node.lineno] + [d.lineno for d in getattr(node, "decorator_list", [])])
                out.append("\n".join(lines[first - 1 : node.end_lineno]))
    return "\n\n\n".join(out)

md("title", S, """
# Bonus. Words that a model lacks

A vocabulary is fixed before training. Then your own text comes along, with its own names, in another language, or with marks such as `<|user|>` between the turns of a talk. Each of them falls into pieces. Can a trained model get new words without losing the ones it has, and is it worth it?

We add tokens to two tokenizers and rows to a model, and test that nothing else has changed. Then we ask how large a vocabulary should be, and what Korean costs in vocabularies of several kinds.
""")
md("letters", U, """
**Letters.** `V` tokens in the vocabulary, `C` numbers in a token's vector. About 35 minutes. The models come from chapters 4 and 5, so read those first.
""")
code("imports", F, """
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from dataclasses import replace

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import tiktoken
import torch
import torch.nn.functional as F
from torch import nn

from ch02.bonus.new_tokens import RECORD, SIZES, read_record, tabulate
from ch02.dataloader import create_dataloader, read_text
from ch02.tokenizer import BPETokenizer, gpt2_encoding
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_weights import load_pretrained
from course.lessons import ROOT

torch.manual_seed(123)
BLUE, ORANGE, GREY = "#2f6fb0", "#d9822b", "#9aa5b1"
""")
md("pieces-md", S, """
## What does a missing word cost?

The story of chapter 2 is set at a weighbridge. The course's model was trained on other stories. How many tokens does its vocabulary of 2,048 need for a word such as "weighbridge", for a mark, and for a Korean greeting?
""")
code("pieces", F, """
model, tokenizer = load_pretrained("course")
gpt2 = gpt2_encoding()
for text in (" weighbridge", " Doreen", "<|user|>", " 안녕하세요"):
    ids = tokenizer.encode_ordinary(text)
    shown = [tokenizer.decode([i]) for i in ids]
    n_theirs = len(gpt2.encode_ordinary(text))
    print(f"{text.strip():12} {len(ids):2} ours, {n_theirs:2} GPT-2's", shown[:6])
assert len(tokenizer.encode_ordinary(" 안녕하세요")) > 10
""", hidden=False)
md("pieces-read", F, """
A word in many pieces takes room in the context, time to write, and practice: the model has to learn to put it together. A Korean syllable has three bytes, and a vocabulary that has read no Korean gives each byte a token.
""")
md("ids-md", S, """
## New ids, behind the old ones

Merges cannot be added afterwards: each builds on those before it. But a tokenizer also has *special* tokens, which are found in the text before any merge. So a new word becomes a special token, and its id comes after all others, because the old ids are the numbers of the model's rows.
""")
code("ours", F, of("with_new_tokens"))
md("tiktoken-md", F, """
An encoding of tiktoken is built in the same way, from its parts. They are private, and there is no other way to get them.
""")
code("theirs", F, of("with_new_tokens_in_tiktoken"))
code("ids", F, """
new = ["<|user|>", " 안녕하세요"]
text = "<|user|> 안녕하세요, Doreen"
for old, extend in ((tokenizer, with_new_tokens), (gpt2, with_new_tokens_in_tiktoken)):
    wide = extend(old, new)
    ids = wide.encode(text, allowed_special=set(new))
    print(len(old.encode_ordinary(text)), "tokens become", len(ids), ids[:2])
    assert wide.decode(ids) == text
    plain = "Nothing new in here."
    assert wide.encode(plain) == old.encode(plain)
""")
md("trap-md", U, """
Is that all? A special token knows nothing of words. What becomes of "article" when " art" is a new token?
""")
code("trap", F, """
art = with_new_tokens(tokenizer, [" art"])
for text in (" art", " article"):
    before = [tokenizer.decode([i]) for i in tokenizer.encode_ordinary(text)]
    after = [art.decode([i]) for i in art.encode(text, {" art"})]
    print(f"{text!r}: {before} before, {after} now")
assert art.encode(" article", {" art"})[0] == tokenizer.vocab_size
""", hidden=True)
md("trap-read", F, """
The new token cuts into every word that begins like it, and the model meets pieces that it has never seen in this place. So a new word should be long and rare, and the beginning of no other. Marks with brackets and bars are safe, which is why they look as they do.
""")
md("rows-md", S, """
## A row for each

The tokenizer now writes an id that the model has no row for. The embedding needs one, and so does the output layer; in the course's model both are the same matrix. What goes into the new row? It stands for pieces that the model knows, so their mean is a place in the right part of the space.
""")
code("widened", F, of("widened"))
md("rows-try-md", F, """
Everything else has to stay. How sure can we be that no score of an old token has moved? We can compare bit by bit.
""")
code("rows-try", F, """
stand_for = [tokenizer.encode_ordinary(word) for word in new]
wide = widened(model, stand_for)
V = tokenizer.vocab_size
idx = torch.tensor([tokenizer.encode("The baker put the bread on the table.")])
with torch.no_grad():
    before, after = model(idx), wide(idx)
    same_rows = torch.equal(wide.tok_emb.weight[:V], model.tok_emb.weight)
    same_features = torch.equal(wide.features(idx), model.features(idx))
largest = (after[..., :V] - before).abs().max().item()
print(tuple(before.shape), "->", tuple(after.shape))
print("old rows equal:", same_rows, " features equal:", same_features)
assert same_rows and same_features and largest <= 1e-4
""")
md("rows-try-read", F, """
Rows and features are the same in every bit. The old scores are products of both. On most processors they are equal in every bit as well; a wider matrix may be cut up in another way, and then a sum ends in another last digit.
""")
code("untied", F, """
for tied in (True, False):
    config = GPTConfig(300, 16, 32, 2, 2, drop_rate=0.0, tie_weights=tied)
    small = GPTModel(config)
    wider = widened(small, [[65, 66], [67]])
    shared = wider.out_head.weight is wider.tok_emb.weight
    means = wider.tok_emb.weight[300], small.tok_emb.weight[[65, 66]].mean(0)
    assert shared == tied and torch.equal(*means)
    head = wider.out_head.weight[300], small.out_head.weight[[65, 66]].mean(0)
    assert torch.equal(*head) and wider.out_head.bias is None
    print(f"tied {tied!s:5} {tuple(wider.out_head.weight.shape)}, one matrix: {shared}")
""")
md("bias-md", U, """
That last assert looks superfluous. It is not: `nn.Linear(C, V)` has a bias unless one says otherwise, and its numbers are random. Who builds the wider output layer by hand and forgets it moves the score of every old token. What does that do?
""")
code("bias", F, """
forgotten = deepcopy(wide)
forgotten.out_head = nn.Linear(model.config.emb_dim, V + len(new))
with torch.no_grad():
    forgotten.out_head.weight.copy_(wide.out_head.weight)
    moved = (forgotten(idx)[..., :V] - before).abs().max().item()
print(f"old scores move by up to {moved:.3f}")
assert moved > 0.01
""", tags=["nbval-ignore-output"])
md("bias-read", F, """
No error, and the text still reads well. This has stood in print. A test that compares old scores finds it in a moment.
""")
md("start-md", S, """
## Does it pay?

Take the story as your own text. The first four fifths are for training, the rest is held out. The new tokens are those of its words that take three tokens or more and occur at least four times. Three models read it: the old one, one with new rows at the mean, and one with new rows at random. Which is best before any training, and which after 30 steps?

Perplexity cannot compare them, since they predict different tokens. Bits per byte can.
""")
code("words", F, """
story = read_text()
cut = story.rindex("\\n", 0, int(0.8 * len(story)))
training, held_out = story[:cut], story[cut:]
n_pieces = {
    word: len(tokenizer.encode_ordinary(word))
    for word, n in Counter(re.findall(r" [A-Za-z]+", training)).items()
    if n >= 4
}
new = [word for word, n in n_pieces.items() if n >= 3]
wide_tokenizer = with_new_tokens(tokenizer, new)
allowed = set(wide_tokenizer.special_tokens)
ids = {
    "old": [tokenizer.encode_ordinary(t) for t in (training, held_out)],
    "new": [wide_tokenizer.encode(t, allowed) for t in (training, held_out)],
}
print(len(new), "new words:", ", ".join(word.strip() for word in new[:9]), "…")
print("tokens of the held-out part:", {k: len(v[1]) for k, v in ids.items()})
""")
code("bits", F, """
@torch.no_grad()
def bits_per_byte(model: GPTModel, ids: Sequence[int], n_bytes: int) -> float:
    \"\"\"Windows of 128 tokens, each read behind the 128 before it.\"\"\"
    x, nats = torch.tensor(ids), 0.0
    for start in range(0, len(x) - 1, 128):
        window = x[max(0, start - 128) : start + 129]
        n = min(128, len(x) - 1 - start)
        logits = model.eval()(window[None, :-1])[0, -n:]
        nats += F.cross_entropy(logits, window[-n:], reduction="sum").item()
    return nats / 0.6931 / n_bytes
""")
code("train", U, """
stand_for = [tokenizer.encode_ordinary(word) for word in new]
torch.manual_seed(0)
contestants = {
    "old words": (deepcopy(model), "old"),
    "new, at the mean": (widened(model, stand_for), "new"),
    "new, at random": (widened(model, stand_for, "random"), "new"),
}
n_bytes, rows = len(held_out.encode()), {}
for name, (contestant, which) in contestants.items():
    train_ids, test_ids = ids[which]
    loader = create_dataloader(train_ids, 128, batch_size=8, stride=64)
    optimizer = torch.optim.AdamW(contestant.parameters(), lr=3e-4)
    row, step = {0: bits_per_byte(contestant, test_ids, n_bytes)}, 0
    while step < 30:
        for inputs, targets in loader:
            logits = contestant.train()(inputs)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step in (2, 10, 30):
                row[step] = bits_per_byte(contestant, test_ids, n_bytes)
            if step == 30:
                break
    rows[name] = row
learned = pd.DataFrame(rows).T.rename_axis(columns="steps")
assert learned.loc["new, at the mean", 0] < learned.loc["old words", 0]
assert learned.loc["new, at the mean", 0] < learned.loc["new, at random", 0]
assert (learned[30] < learned[0]).all()
learned.round(2)
""", hidden=True)
md("train-read", F, """
START_READ
""")
md("size-md", S, """
## How large should a vocabulary be?

Larger is shorter: fewer tokens for the same text. It also costs a row for each token, and a rare token gives its row little practice. `python -m ch02.bonus.new_tokens` has trained the same small GPT with five vocabularies, three times each, on the same million bytes, and held each against documents that none has read. The larger the vocabulary, the fewer steps: all of them read the same text once.
""")
code("size", F, """
sizes = tabulate(read_record(RECORD))
assert list(sizes.index) == list(SIZES)
sizes.drop(columns="seconds").round(3)
""")
code("size-plot", F, """
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
for axis, column in ((left, "perplexity"), (right, "bits per byte")):
    axis.plot(sizes.index, sizes[column], "o-", color=BLUE)
    axis.set(xscale="log", xlabel="vocabulary", ylabel=column, title=column)
    axis.set_xticks(SIZES, SIZES)
    axis.minorticks_off()
plt.tight_layout()
plt.show()
""")
md("size-read", F, """
SIZE_READ
""")
md("korean-md", S, """
## What Korean costs, once more

In the bonus notebook on the fast tokenizer a small world showed that Korean is expensive in GPT-2's vocabulary and cheap in one that has read it. Here is real text: the Korean edition of this course, chapters 1 to 4 to train on, chapter 5 held out. And there are other units than bytes. A syllable such as 한 is one character; Unicode can also take it apart into its letters (*jamo*), ㅎ, ㅏ and ㄴ. Which unit would you choose?
""")
code("korean-text", F, """
def korean_prose(chapter: str) -> str:
    \"\"\"The Korean sentences of a lesson, without formulas and code.\"\"\"
    notebook = nbformat.read(ROOT / "ko" / chapter / f"{chapter}.ipynb", 4)
    text = " ".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return " ".join(re.findall(r"[가-힣][가-힣 ,.?!]{15,}", text))


def in_jamo(text: str) -> str:
    return unicodedata.normalize("NFD", text)


read = " ".join(korean_prose(f"ch0{i}") for i in range(1, 5))
test = korean_prose("ch05")
print(f"{len(read):,} characters to train on, {len(test):,} held out")
print(test[:60], "…", [unicodedata.name(j) for j in in_jamo("한")])
assert len(in_jamo("한")) == 3 and unicodedata.normalize("NFC", in_jamo(test)) == test
""")
code("korean-cost", F, """
n_syllables = len(re.findall("[가-힣]", test))
costs = {
    "bytes": (256, len(test.encode())),
    "letters (jamo)": (len({*in_jamo(read)}), len(in_jamo(test))),
    "syllables": (len({*read}), len(test)),
    "GPT-2's vocabulary": (gpt2.n_vocab, len(gpt2.encode_ordinary(test))),
    "the course's": (tokenizer.vocab_size, len(tokenizer.encode_ordinary(test))),
}
for size in (1000, 2000, 4000):
    korean = BPETokenizer.train(read, size)
    costs[f"BPE on Korean, {size:,}"] = (size, len(korean.encode_ordinary(test)))
cost = pd.DataFrame(costs, index=["vocabulary", "tokens"]).T
cost["tokens per syllable"] = cost["tokens"] / n_syllables
unseen = {*test} - {*read}
n_unseen = sum(test.count(character) for character in unseen)
cost.round(2)
""")
code("korean-plot", F, """
figure, axis = plt.subplots(figsize=(8, 3.2))
colors = [ORANGE if "BPE" in name else BLUE for name in cost.index][::-1]
axis.barh(cost.index[::-1], cost["tokens per syllable"][::-1], color=colors)
axis.set(xlabel="tokens per syllable", title="The same Korean text")
plt.tight_layout()
plt.show()
print(f"{len(unseen)} syllables of the held-out text were never read: ", end="")
print(f"{n_unseen} of {n_syllables:,} places")
per = cost["tokens per syllable"]
assert per["GPT-2's vocabulary"] > 2 > per["BPE on Korean, 1,000"]
assert per["BPE on Korean, 4,000"] < per["syllables"] < per["letters (jamo)"]
assert n_unseen > 0
""")
md("korean-read", F, """
KOREAN_READ
""")
md("exercise", S, """
## Exercise

A model for one task may do with fewer words. Write `narrowed(model, kept)`: a copy of a model that knows the ids in the list `kept` and no others, so that its row `i` is the old row `kept[i]`. `check_narrowed` compares the scores with the old ones, for a tied model and for an untied one, and holds that the old model is as it was. Below it judges an answer that cuts off the end in place of choosing.
""")
code("exercise-check", F, """
def check_narrowed(narrowed: Callable[[GPTModel, list[int]], GPTModel]) -> str:
    for tied in (True, False):
        torch.manual_seed(0)
        config = GPTConfig(20, 8, 12, 2, 1, drop_rate=0.0, tie_weights=tied)
        old, kept = GPTModel(config).eval(), [3, 7, 1, 19]
        before = deepcopy(old.state_dict())
        small = narrowed(old, kept).eval()
        if small.config.vocab_size != len(kept):
            return f"vocab_size is {small.config.vocab_size}, not {len(kept)}"
        idx = torch.tensor([[0, 2, 1, 3]])
        with torch.no_grad():
            wanted = old(torch.tensor(kept)[idx])[..., kept]
            if not torch.allclose(small(idx), wanted, atol=1e-5):
                return f"with tie_weights={tied} the scores are others"
        if any(not torch.equal(w, before[n]) for n, w in old.state_dict().items()):
            return "the old model has changed"
    return "right"


def cut_off(model: GPTModel, kept: list[int]) -> GPTModel:
    small = GPTModel(replace(model.config, vocab_size=len(kept)))
    state = model.state_dict()
    for name in ("tok_emb.weight", "out_head.weight"):
        state[name] = state[name][: len(kept)]
    small.load_state_dict(state)
    return small


verdict = check_narrowed(cut_off)
print(verdict)
assert verdict == "with tie_weights=True the scores are others"
""")
md("exercise-solution", F, """
<details>
<summary>Solution</summary>

```python
def narrowed(model: GPTModel, kept: list[int]) -> GPTModel:
    small = GPTModel(replace(model.config, vocab_size=len(kept)))
    state = model.state_dict()
    for name in ("tok_emb.weight", "out_head.weight"):
        state[name] = state[name][kept]
    small.load_state_dict(state)
    return small
```

Indexing with a list copies the rows, so the old model keeps its own.

</details>
""")
md("result-md", S, "## Result")
code("result", F, """
best = sizes["bits per byte"].idxmin()
results = {
    "new tokens of the story": f"{len(new)}",
    "of its held-out tokens saved": f"{1 - len(ids['new'][1]) / len(ids['old'][1]):.1%}",
    "bits per byte at once, mean against random": " and ".join(
        f"{learned.loc[f'new, at {how}', 0]:.2f}" for how in ("the mean", "random")
    ),
    "vocabulary with the fewest bits per byte": f"{best:,}",
    "tokens per Korean syllable, GPT-2's": f"{per[\\"GPT-2's vocabulary\\"]:.2f}",
    "the same, 4,000 trained on Korean": f"{per['BPE on Korean, 4,000']:.2f}",
}
pd.DataFrame({"result": results.values()}, index=results.keys())
""", tags=["result"])
texts = json.load(open("/tmp/me/w/nt_reads.json"))
for c in cells:
    for k, v in texts.items():
        c.source = c.source.replace(k, v)
nb = new_notebook(cells=cells)
nb.metadata = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
nbformat.write(nb, ROOT + "/ch02/bonus/new_tokens.ipynb")
