"""Mark the harder questions of a chapter's quiz.yaml: python this ROOT CHAPTER...   (can be run again)

A line `  hard: true` is put under the section of each question that begins with one of these texts.
"""
import re, sys
from pathlib import Path

HARD = {
"ch01": ["In a training step, a word had the probability 0.3", "A held-out text contains one pair", "After every word ten more are imagined",
  "How many words to imagine is tried", "A model of letters has perplexity 4", "What does the triangle of the decoder save",
  "At the first places of a window", "A GPU's data sheet promises", "GPT-3's texts had shares", "In a small GPT the token table"],
"ch02": ["Documents are laid end to end", "`encode` refuses a text", "Before training, the text is cut into pieces", "The trainer leaves old entries",
  "To encode a word we merge", "A prompt for GPT-2 ends in a space", "We go from a stride of", "Someone cuts a text into windows", "A token of the vocabulary never occurs"],
"ch03": ["Someone writes `scores.softmax(dim=0)`", "Queries and keys have numbers with mean 0", "Weights are copied from", "The weights of the future are set to 0",
  "Why is the mask registered", "Why does `q.view(B, H, T, D)`", "After the heads have attended", "A model with `emb_dim` 768 gets 24", "The context becomes twice as long"],
"ch04": ["What would go wrong in a GPT if mean", "A unit with ReLU is negative", "The exact GELU and its tanh form", "Why does a feed-forward block hold about twice",
  "A block reads 8 tokens", "A block in `ch04` uses one", "Weights are tied, and PyTorch", "What distinguishes a tied output", "Without a key-value cache"],
"ch05": ["What is the gradient of the cross-entropy", "Why does `HeadLoss` work", "AdamW divides the average", "Two processes share each batch",
  "A prompt is continued a hundred times", "A training is taken up again", "The course's model has read millions", "A model finishes the sentence"],
"ch06": ["A message and its answer belong", "The sampler adds noise", "`x` has shape (B, T, C) and `end`", "Only the last of twelve blocks",
  "A pretrained model gets a learning rate", "If only the head learns", "The pretrained GPT is ahead of a rival", "A classifier is trained on as much spam"],
"ch07": ["The same model with random weights is trained", "The words \"### Instruction:\" cost", "All targets that are `<|endoftext|>`", "A prompt has n tokens",
  "One training masks the instructions", "Batches sorted by the exact length", "The control with random weights gets", "During finetuning the development loss",
  "A model gets many sums right", "Before finetuning, the first line", "At the start of DPO"],
"appendix-A": ["`predictions` has shape (8, 1)", "`backward()` is called twice", "A bias of shape (32,)", "Three scores are 2, 0 and 0", "In `scores = x @ matrix`",
  "A loader draws each batch by choosing", "Around `a @ b` on a GPU", "Two ranks have shares of 8 and 40"],
}
root = Path(sys.argv[1])
for name in sys.argv[2:]:
    path = root / name / "quiz.yaml"
    parts = re.split(r"(?m)^(?=- section:)", path.read_text(encoding="utf-8"))
    parts = [re.sub(r"(?m)^  hard: true\n", "", part) for part in parts]
    for beginning in HARD[name]:
        plain = lambda t: re.sub(r"[\"'\\`]", "", t)
        text = lambda p: " ".join(re.sub(r"^\s*[>|]-?", "", q[1]).split()) if (q := re.search(r"(?ms)^  question: (.*?)^  choices:", p)) else ""
        hits = [i for i, p in enumerate(parts) if plain(text(p)).startswith(plain(beginning))]
        if len(hits) != 1:
            print(f"{name}: {len(hits)} questions begin with {beginning!r}"); continue
        parts[hits[0]] = re.sub(r"(?m)^(- section:.*\n)", r"\1  hard: true\n", parts[hits[0]], count=1)
    path.write_text("".join(parts), encoding="utf-8")
    print(name, sum("  hard: true\n" in p for p in parts), "hard")
