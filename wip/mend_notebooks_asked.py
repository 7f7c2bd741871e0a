"""What viewers usually ask, into the metadata of main notebooks: PYTHONPATH=ROOT python this ROOT CHAPTER...

Writes course.asked, a list of {question, answer}, and nothing else. Can be run again on any state.
"""
import sys
from pathlib import Path
import nbformat
from course.lessons import chapters

ASKED = {
"ch01": [
 ("If it only predicts the next word, why does it seem to understand?",
  "To predict well in many different texts it pays to keep track of who did what, of grammar, and of facts. How much of this deserves the word understanding is disputed. What can be measured is which predictions a model gets right, and in this chapter we measure that."),
 ("How is this different from the suggestions on my phone's keyboard?",
  "The task is the same. A keyboard model is small and looks back a few words; a GPT reads everything in its context at once. The table of counts that we build first is close to the old kind of keyboard."),
 ("Will the model know what happened last week?",
  "Not from its weights: they hold what was in the texts of its training. It can use what is written into its prompt, and that is how search tools give a model recent news."),
 ("Why does it invent things so confidently?",
  "The training rewards a likely continuation, not a true one, and a made-up name can be as likely as the right one. A model has no separate place in which it looks up whether something is so."),
 ("Can I train something useful on my laptop?",
  "A small model for a narrow task, yes: the course's own was trained in hours, and you will finetune it in minutes. A model like GPT-3 needs thousands of times more computation; the section on cost does that sum."),
],
"ch02": [
 ("Why not use letters? Then nothing would ever be unknown.",
  "It works, and some models do it. The price is length: the same text has four or five times as many positions, attention compares all pairs of them, and the model has to learn spelling before it can learn anything else. Byte-pair encoding starts from that safe end and shortens what is frequent."),
 ("Which tokenizer do today's models use?",
  "Nearly all use byte-pair encoding or a close relative, with larger vocabularies, of 100,000 to 250,000 tokens, and merges counted on more languages. So Korean costs fewer tokens there than with GPT-2's."),
 ("Is this why models are bad at counting letters?",
  "It is a large part of it. The model reads the id of a whole piece and never sees the letters inside; it has to learn them from texts that talk about spelling."),
 ("Can I add a word to GPT-2's vocabulary?",
  "Yes, a special token can be added with a new row in the embedding table. The row starts at random, so the model has to be trained further before the token means anything."),
 ("Do we lose data when windows do not overlap?",
  "No token is lost as a target, apart from a last window that is not full. What changes is how much each token can see: at the start of a window there is little before it. Overlap gives more examples, which are near copies of each other."),
],
"ch03": [
 ("What is the difference between a query and a key? They are made in the same way.",
  "Only the role differs: a token's query is compared with everybody's keys. Two matrices make it possible that an article looks for nouns while nouns do not look for articles. With one matrix for both, the scores would be symmetric."),
 ("Why dot products and not distances or cosines?",
  "A dot product is one matrix multiplication for all pairs, which is what hardware does fastest. It also lets a vector's length count. Cosines are used in some models, where queries and keys are normalised first."),
 ("What do the heads learn to look at?",
  "Some can be read: the token before, the same word earlier, the matching bracket. Many cannot, and a head that looks clear on a few examples may do something else on others. Weights show what was read, not why it mattered."),
 ("Does attention not get slow for long texts?",
  "Yes: twice the length makes four times as many pairs. The fused kernel saves the memory for the table of weights, but not the multiplications. Other models read only a window, or share keys and values among heads."),
 ("Why is there no mask in the final class?",
  "It is there, as an argument: PyTorch's kernel is told that attention is causal, and knows which pairs to leave out. The probe at the end shows that nothing before a changed token moves."),
],
"ch04": [
 ("Why does the model write nonsense if it is the same as GPT-2?",
  "The structure is the same, the numbers are not. Ours are random. At the end of the chapter the same class learns one sentence by heart, and in chapter 5 it gets trained weights."),
 ("Why LayerNorm and not BatchNorm, as in image networks?",
  "BatchNorm takes its mean over the examples of a batch, so a text would depend on its neighbours in the batch, and a text generated alone would be treated in another way than in training. LayerNorm looks at one token only."),
 ("Is this still how models are built today?",
  "The frame is: embedding, a stack of blocks with shortcuts, a norm, an output layer. Parts were exchanged: RMSNorm for LayerNorm, a gated feed-forward block for GELU, rotary positions for the position table, shared keys and values. Each is a change inside one of our classes."),
 ("What happens if I make it deeper instead of wider?",
  "Both add parameters. Depth gives more steps one after the other and trains with more difficulty and more slowly, since layers cannot run side by side. Width is faster on hardware. Models that work keep a proportion between the two; `bonus/sizes.ipynb` has those of GPT-2."),
 ("Why four times the width in the feed-forward block?",
  "It is a convention of the first transformer that has proved good enough, not a law. Gated variants use about 8/3, which gives the same number of parameters."),
],
"ch05": [
 ("Is a loss of 4 good or bad?",
  "Alone it says little. Compare it with ln V, the loss of a model that knows nothing, and with another model on the same text and the same tokenizer. Bits per byte allow a comparison between tokenizers."),
 ("Why does it repeat the training text word for word?",
  "The story is short and the model reads it many times, so learning it by heart is the easiest way to a low loss. The validation loss shows it: it turns while the training loss goes on falling. More text is the best remedy."),
 ("Which temperature should I use?",
  "Near 0 where there is one right answer, 0.7 to 1 for text that should vary, with top-p of about 0.9 to cut off the unlikely rest. There is no setting that makes a model know more."),
 ("Could we train longer and get a real GPT-2?",
  "Not on this text: it would only be learned by heart. GPT-2 read about 40 GB of text. The loop is the same, and `ch05/course_model/pretrain.py` is the version for many hours."),
 ("Why save the optimizer? I only want the weights.",
  "For use you need only the weights. To go on training, AdamW needs its two averages for each weight; without them the first steps after the restart are of the wrong size."),
],
"ch06": [
 ("Why not just ask a large model whether it is spam?",
  "That works with a large instruction model, at a higher price for each message and without a probability that you can set a threshold on. A small model with two outputs is fast, cheap, and can be measured on your own messages."),
 ("How many labelled messages do I need?",
  "Plot the accuracy against the number of labels and see where it flattens. The chapter's record compares two sizes: with few labels, pretraining helps most; with many, a bag of words comes close."),
 ("Why does the last token decide, and not the first, as in BERT?",
  "A GPT reads only backwards. The first token has seen nothing but itself, the last one the whole message. BERT reads in both directions, so its first token has seen everything."),
 ("Our data are 99% of one class. What then?",
  "Accuracy is useless there, because always saying the frequent class is right in 99%. Look at recall and precision of the rare class, train on balanced draws, and choose the threshold on messages with the real proportion."),
 ("Can it explain why it called a message spam?",
  "Not by itself. Leaving out one word at a time shows which words move the score, as the last section does. That tells what the model reacts to, and not whether the reason is a good one."),
],
"ch07": [
 ("Is this how ChatGPT was made?",
  "It is the first step of it, on a tiny scale: pretraining, then finetuning on instructions with answers. After that came training on people's preferences, which the last section sketches."),
 ("Why does it know some facts and not others?",
  "What it knows comes from the pretraining; about a thousand instructions teach it mostly the form of an answer. The test asks for facts that no training instruction tells, to see the difference."),
 ("Can I teach it my company's knowledge in this way?",
  "Finetuning on questions and answers is good for form, tone and task. For facts that change, it is safer to put the relevant text into the prompt: then the answer can be checked against its source."),
 ("Why do targets of −100 stand on the prompt?",
  "The model should learn to answer, not to write questions. PyTorch's cross-entropy ignores targets with this number, so only the tokens of the answer produce a gradient."),
 ("Can one model judge another one's answers fairly?",
  "Only with care. Judges prefer long answers, the first of two, and sometimes their own style. Compare the judge with people on a sample first, and report that as well."),
],
"appendix-A": [
 ("Do I need a GPU for this course?",
  "No. Every notebook runs on a laptop's processor. A GPU makes the trainings shorter, and the same code uses it when there is one."),
 ("Why do gradients add up instead of being replaced?",
  "A value that is used in two places gets a slope from each, and the right total is their sum. That is why each step has to begin by clearing them. It also lets several small batches act as a large one."),
 ("What is the difference between view, reshape and transpose?",
  "`view` gives another shape to the same numbers in memory and fails if that is impossible; `reshape` copies in that case. `transpose` exchanges two dimensions, so the order in memory no longer fits the shape."),
 ("When do I need eval(), and when no_grad()?",
  "`eval()` changes what layers do: dropout rests, BatchNorm uses its stored numbers. `no_grad()` changes what is remembered: no graph, less memory. For measuring you want both."),
 ("PyTorch or TensorFlow or JAX?",
  "All compute gradients automatically on tensors. Research on language models is mostly published in PyTorch, so code and weights are easiest to get there. What you learn about graphs and gradients holds for all three."),
],
"appendix-D": [
 ("Which of these should I always use?",
  "Warmup and clipping cost nearly nothing and protect from a bad start and from single bad batches. A decay of the learning rate usually helps at the end of a long run. What each gains must be measured on your own run; here it is, over five seeds."),
 ("How long should the warmup be?",
  "Long enough for AdamW's averages to settle: some hundred steps, or one to a few percent of the run. In a short run like ours it is a few dozen steps."),
 ("Why do we need five seeds? That is five times the cost.",
  "A single run differs from the next by chance as much as many tricks differ from each other. Without the spread one cannot say whether a gain is one. Five is the fewest with which an interval means something."),
 ("What does the norm tell me while training?",
  "It is an early sign: if the gradient's length grows for many steps, the learning rate is too high or the data have changed. A single spike is what clipping is for."),
],
"appendix-E": [
 ("Does LoRA make training faster?",
  "It saves memory first: gradients and AdamW's averages exist only for the small matrices. The forward pass is the same and the backward pass nearly so, so the time for each step falls much less."),
 ("Which rank should I take?",
  "Start with 8 or 16 and compare with one smaller and one larger. If the quality does not change, take the smaller. For a task far from the pretraining a larger rank, or full finetuning, may be needed."),
 ("Why does one of the two matrices start at zero?",
  "So that the product is zero and the model begins exactly as it was. If both were zero, neither would get a gradient. With one at random, the other learns at once."),
 ("Is a model with LoRA slower in use?",
  "Not after merging: the product of the small matrices is added to the weights once, and the model has its old shape and speed. Unmerged, it costs two small extra products in each layer, but several tasks can share one model."),
],
}
root = Path(sys.argv[1])
for name in sys.argv[2:]:
    path = chapters(root)[name]
    nb = nbformat.read(path, as_version=4)
    nb.metadata.setdefault("course", {})["asked"] = [{"question": q, "answer": a} for q, a in ASKED[name]]
    nbformat.write(nb, path)
    print(name, len(ASKED[name]), "questions")
