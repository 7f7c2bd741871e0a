"""Experts and states: equal to what others compute, and the record of their trainings."""

import copy
import json
import random

import pytest
import torch
import torch.nn.functional as F

from ch04.bonus import experts_and_states
from ch04.bonus.experts_and_states import (
    ASK,
    KINDS,
    MEMORIES,
    N_CHOSEN,
    N_EXPERTS,
    NONE,
    PAGE,
    RECALL_SIZES,
    START,
    STATES,
    TASKS,
    WAYS,
    Experts,
    RecallModel,
    StateAttention,
    active_parameters,
    balance_loss,
    count_readers,
    delta_rule,
    delta_rule_chunked,
    draw_recall,
    entropy,
    kind_of,
    layers_of_experts,
    linear_attention,
    linear_attention_chunked,
    move_preferences,
    read_record,
    recall_accuracy,
    shares,
    start_of,
    tabulate_readers,
    tabulate_recall,
    tabulate_ways,
    told_by_the_kind,
    train_recall,
    train_way,
    upcycle,
    widen,
)
from ch04.gpt import FeedForward, GPTConfig, GPTModel, count_parameters
from ch05.gpt_weights import load_pretrained

SMALL = GPTConfig(61, 16, 32, 4, 2, drop_rate=0.0, qkv_bias=True, tie_weights=True)
SEEDS = range(40)


# ---- Experts.


def copies_of(dense: FeedForward, n_experts: int, n_chosen: int) -> Experts:
    model = GPTModel(SMALL)
    model.blocks[0].feed_forward = dense
    return upcycle(model, n_experts, n_chosen).blocks[0].feed_forward


@pytest.mark.parametrize(("n_experts", "n_chosen"), [(1, 1), (4, 1), (4, 2), (4, 4), (7, 3)])
def test_copies_whose_gates_sum_to_one_are_the_dense_layer(n_experts, n_chosen):
    dense, x = FeedForward(32), torch.randn(2, 9, 32)
    experts = copies_of(dense, n_experts, n_chosen)
    torch.testing.assert_close(experts(x), dense(x), atol=1e-5, rtol=1e-5)


def random_experts(rng: random.Random) -> Experts:
    E = rng.randint(1, 9)
    sizes = (rng.randint(1, 20), rng.randint(1, 20), E, rng.randint(1, E))
    experts = Experts(*sizes, swiglu=rng.random() < 0.5)
    with torch.no_grad():
        for weight in experts.parameters():
            weight.normal_()
    return experts


@pytest.mark.parametrize("seed", SEEDS)
def test_gathering_by_expert_gives_what_a_loop_over_tokens_gives(seed):
    experts = random_experts(random.Random(seed))
    x = torch.randn(2, 5, experts.up.shape[2])
    found = experts(x)
    for row, out in zip(x.flatten(0, 1), found.flatten(0, 1)):
        p = experts.router(row).softmax(dim=0)
        best = p.argsort(descending=True)[: experts.n_chosen]
        expected = sum(p[e] * experts.answer(int(e), row[None])[0] for e in best) / p[best].sum()
        torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_experts_are_those_of_qwen3_moe(seed):
    moe = pytest.importorskip("transformers.models.qwen3_moe.modeling_qwen3_moe")
    rng = random.Random(seed)
    E = rng.randint(1, 9)
    C, M, k = rng.randint(1, 40), rng.randint(1, 40), rng.randint(1, E)
    config = moe.Qwen3MoeConfig(
        hidden_size=C,
        moe_intermediate_size=M,
        num_experts=E,
        num_experts_per_tok=k,
        norm_topk_prob=True,
    )
    theirs, ours = moe.Qwen3MoeSparseMoeBlock(config), Experts(C, M, E, k, swiglu=True)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.copy_(torch.randn_like(weight) / weight.shape[-1] ** 0.5)
        ours.router.weight.copy_(theirs.gate.weight)
        ours.up.copy_(theirs.experts.gate_up_proj)
        ours.down.copy_(theirs.experts.down_proj)
    x = torch.randn(rng.randint(1, 3), rng.randint(1, 30), C)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
    # Theirs sums over the k choices, so that even routing gives k.
    logits = theirs.gate.weight @ x.flatten(0, 1).T
    loss = moe.load_balancing_loss_func((logits.T,), E, k)
    torch.testing.assert_close(k * balance_loss(ours.probabilities, ours.chosen), loss)


def test_an_expert_without_tokens_has_no_gradient_and_does_no_harm():
    experts = Experts(8, 16, 4, 1)
    with torch.no_grad():
        experts.preference[2] = 10.0  # it gets all
    experts(torch.randn(3, 5, 8)).square().sum().backward()
    moved = experts.up.grad.abs().amax(dim=(1, 2)) > 0
    assert moved.tolist() == [False, False, True, False]


def test_a_preference_moves_the_choice_and_not_the_gates():
    experts, x = Experts(8, 16, 4, 4), torch.randn(3, 5, 8)
    before = experts(x)
    experts.preference += torch.tensor([0.3, -0.1, 0.0, 5.0])
    torch.testing.assert_close(experts(x), before)
    assert (experts.chosen[:, 0] == 3).all()


def test_the_auxiliary_loss_is_one_if_all_is_even_and_most_if_one_expert_has_all():
    even = torch.full((8, 4), 0.25)
    chosen = torch.arange(8)[:, None] % 4
    torch.testing.assert_close(balance_loss(even, chosen), torch.tensor(1.0))
    one = torch.eye(4)[torch.zeros(8, dtype=torch.long)]
    torch.testing.assert_close(balance_loss(one, torch.zeros_like(chosen)), torch.tensor(4.0))


@pytest.mark.parametrize("remedy", ["loss", "bias"])
def test_either_remedy_spreads_tokens_most_of_which_liked_one_expert(remedy):
    experts, x = Experts(8, 16, 4, 1), torch.randn(256, 8)
    with torch.no_grad():
        experts.router.weight.normal_(std=0.5)
        experts.router.weight[0, 0] = 2.0
    x[:, 0] = 1.0
    optimizer = torch.optim.SGD(experts.router.parameters(), lr=0.3)
    experts(x)
    before = shares(experts.chosen, 4).max()
    for _ in range(300):
        experts(x)
        if remedy == "bias":
            move_preferences(experts, 0.003)
        else:
            optimizer.zero_grad()
            balance_loss(experts.probabilities, experts.chosen).backward()
            optimizer.step()
    assert before > 0.5 and shares(experts.chosen, 4).max() < 0.3


def test_shares_sum_to_one():
    torch.testing.assert_close(
        shares(torch.tensor([[0, 1], [0, 3]]), 4), torch.tensor([0.5, 0.25, 0.0, 0.25])
    )


@pytest.mark.parametrize("way", WAYS)
def test_every_way_starts_as_the_same_model(way):
    course = GPTModel(SMALL)
    idx = torch.randint(61, (2, 16))
    torch.testing.assert_close(start_of(way, course)(idx), course(idx), atol=1e-5, rtol=1e-5)


def test_experts_and_their_control_have_equally_many_active_parameters_but_for_the_router():
    course = GPTModel(SMALL)
    wide, experts = widen(course), upcycle(course, N_EXPERTS, N_CHOSEN)
    C, M, L = 32, 128, 2
    router_and_bias = L * (N_EXPERTS * C + C)  # an output bias for each of the two chosen
    assert active_parameters(experts) - count_parameters(wide) == router_and_bias
    more = L * (N_EXPERTS - N_CHOSEN) * (2 * C * M + M + C)
    assert count_parameters(experts) - active_parameters(experts) == more
    assert active_parameters(wide) == count_parameters(wide)


def test_twins_learn_differently():
    model = widen(GPTModel(SMALL))
    model(torch.randint(61, (2, 16))).square().sum().backward()
    grad = model.blocks[0].feed_forward.layers[0].weight.grad
    assert not torch.allclose(grad[:128], grad[128:])


@pytest.mark.parametrize("n_chosen", [0, 5])
def test_more_choices_than_experts_are_refused(n_chosen):
    with pytest.raises(ValueError, match=f"n_chosen={n_chosen} must be from 1 to n_experts=4"):
        Experts(8, 16, 4, n_chosen)


# ---- States.


def drawn(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Inputs of random sizes, as a layer makes them: keys of length 1."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    B, H, T = rng.randint(1, 3), rng.randint(1, 3), rng.randint(1, 70)
    D, W = rng.randint(1, 20), rng.randint(1, 20)
    q, k = F.normalize(torch.randn(2, B, H, T, D, dtype=dtype), dim=-1)
    decay = 1 - torch.rand(B, H, T, dtype=dtype) ** rng.choice([1, 4])
    return {
        "q": q,
        "k": k,
        "v": torch.randn(B, H, T, W, dtype=dtype),
        "beta": torch.rand(B, H, T, dtype=dtype),
        "log_decay": decay.clamp(min=1e-6).log(),
        "state": torch.randn(B, H, D, W, dtype=dtype),
    }


FORMS = {
    "linear attention": (linear_attention, linear_attention_chunked, ("q", "k", "v")),
    "delta rule": (delta_rule, delta_rule_chunked, ("q", "k", "v", "beta")),
    "gated delta rule": (
        delta_rule,
        delta_rule_chunked,
        ("q", "k", "v", "beta", "log_decay"),
    ),
}


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("seed", SEEDS)
def test_both_forms_give_the_same_outputs_states_and_gradients(kind, seed):
    recurrent, chunked, names = FORMS[kind]
    results, size = [], random.Random(seed).choice([1, 3, 8, 32, 64])
    weights = None
    for form, extra in ((recurrent, {}), (chunked, {"size": size})):
        inputs = {n: x.requires_grad_() for n, x in drawn(seed).items() if n in (*names, "state")}
        out, state = form(**inputs, **extra)
        weights = weights or (torch.randn_like(out), torch.randn_like(state))
        ((out * weights[0]).sum() + (state * weights[1]).sum()).backward()
        results.append([out, state, *(x.grad for x in inputs.values())])
    for one, other in zip(*results):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("kind", STATES)
def test_in_64_bits_both_forms_agree_to_ten_digits(kind):
    recurrent, chunked, names = FORMS[kind]
    for seed in SEEDS:
        inputs = {n: x for n, x in drawn(seed, torch.float64).items() if n in (*names, "state")}
        for one, other in zip(recurrent(**inputs), chunked(**inputs, size=16)):
            torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("kind", STATES)
def test_a_text_can_be_read_in_parts(kind):
    _, chunked, names = FORMS[kind]
    inputs = drawn(3)
    state = inputs["state"]
    inputs = {name: inputs[name] for name in names}
    whole, end = chunked(**inputs, state=state)
    outs = []
    for part in (slice(0, 5), slice(5, None)):
        out, state = chunked(**{n: x[:, :, part] for n, x in inputs.items()}, state=state)
        outs.append(out)
    torch.testing.assert_close(torch.cat(outs, dim=2), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, end, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gated_delta_rule_is_that_of_qwen3_next(seed):
    theirs = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")
    inputs = drawn(seed)
    D = inputs["q"].shape[-1]
    given = {
        "query": inputs["q"],
        "key": inputs["k"],
        "value": inputs["v"],
        "g": inputs["log_decay"],
        "beta": inputs["beta"],
    }
    given = {name: x.transpose(1, 2) for name, x in given.items()}  # (B, T, H, ...)
    given |= {"initial_state": inputs["state"], "output_final_state": True}
    expected = [
        theirs.torch_recurrent_gated_delta_rule(**given),
        theirs.torch_chunk_gated_delta_rule(**given, chunk_size=16),
    ]
    inputs["q"] = inputs["q"] / D**0.5  # which theirs do inside
    for ours in (delta_rule(**inputs), delta_rule_chunked(**inputs)):
        for out, state in expected:
            torch.testing.assert_close(ours[0], out.transpose(1, 2), atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(ours[1], state, atol=1e-5, rtol=1e-5)


def test_a_key_that_comes_again_is_corrected_where_linear_attention_adds():
    k = torch.tensor([[1.0, 0.0], [1.0, 0.0]])[None, None]
    v = torch.tensor([[3.0], [5.0]])[None, None]
    beta = torch.ones(1, 1, 2)
    assert delta_rule(k, k, v, beta)[0].flatten().tolist() == [3.0, 5.0]
    assert linear_attention(k, k, v)[0].flatten().tolist() == [3.0, 8.0]


@pytest.mark.parametrize("kind", MEMORIES)
def test_a_memory_cannot_see_its_future(kind):
    model = RecallModel(kind, RECALL_SIZES)
    keys, values, _ = draw_recall("store", 16, 2, torch.Generator().manual_seed(1))
    changed = keys.clone()
    changed[:, 9:] = 0
    torch.testing.assert_close(model(keys, values)[:, :9], model(changed, values)[:, :9])


def test_an_unknown_memory_is_refused():
    with pytest.raises(ValueError, match="'lstm' is none of linear attention"):
        StateAttention("lstm", 8, 2)


# ---- Recall.


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n_pairs", [2, 8, 64])
def test_the_answers_are_those_that_a_reader_with_a_notebook_gives(task, n_pairs):
    for row in zip(*draw_recall(task, n_pairs, 20, torch.Generator().manual_seed(7))):
        keys, values, answers = (x.tolist() for x in row)
        notes, given = {}, []
        for key, value in zip(keys, values):
            if key == PAGE:
                notes = {}
            elif value == ASK:
                given.append(notes.get(key, NONE))
            else:
                notes[key] = value
        assert given == answers
        n_written = sum(value != ASK for value in values)
        assert n_written == n_pairs and len(answers) > 0


def test_lists_are_drawn_from_their_generator_alone():
    one, other = (draw_recall("clear", 8, 3, torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(map(torch.equal, one, other))


@pytest.mark.parametrize(
    ("task", "n_pairs", "message"),
    [("forget", 8, "'forget' is none of store, replace, clear"), ("store", 7, "must be even")],
)
def test_what_cannot_be_drawn_is_refused(task, n_pairs, message):
    with pytest.raises(ValueError, match=message):
        draw_recall(task, n_pairs, 2, torch.Generator())


def test_the_same_seed_trains_the_same_memory():
    once, again, other = (train_recall("delta rule", "store", s, 3)[1] for s in (1, 1, 2))
    assert once == again != other


def test_an_untrained_memory_is_near_chance():
    assert recall_accuracy(RecallModel("delta rule", RECALL_SIZES), "store", 16) < 0.1


# ---- Who reads what.


@pytest.mark.parametrize(
    ("token", "kind"),
    [(" the", 0), ("The", 1), ("ing", 1), ("7", 2), (".", 3), (' "', 3), ("\n", 4), (" é", 0)],
)
def test_the_kind_of_a_token(token, kind):
    assert kind_of(token) == KINDS[kind]


def test_readers_are_counted_by_kind():
    course, tokenizer = load_pretrained("course")
    model = upcycle(course, 3, 2)
    ids = torch.tensor(tokenizer.encode_ordinary("One day, 12 geese.\n" * 40))
    counts = count_readers(model, ids, tokenizer)
    n = len(ids) // 256 * 256
    assert counts.shape == (4, len(KINDS), 3) and (counts.sum(dim=(1, 2)) == 2 * n).all()


def test_readers_are_shown_in_percent_of_a_kind():
    counts = [[[3, 1], [0, 2], [1, 1], [5, 0], [0, 1]]]
    table = tabulate_readers({"readers": counts}, 0)
    assert table.loc["begins a word"].tolist() == [75, 25]
    assert table.loc["all tokens"].tolist() == [64, 36] and len(table) == len(KINDS) + 1


def test_entropy_and_what_a_kind_tells():
    assert entropy(torch.tensor([[1, 1, 1, 1], [8, 0, 0, 0]])).tolist() == [2.0, 0.0]
    assert told_by_the_kind(torch.tensor([[4, 0], [0, 4]])).item() == pytest.approx(1)
    assert told_by_the_kind(torch.tensor([[2, 2], [5, 5], [0, 0]])).item() == pytest.approx(0)


# ---- The command.


@pytest.mark.parametrize("way", WAYS)
def test_a_way_trains_and_says_how_its_experts_share(way):
    course, ids = GPTModel(SMALL), torch.randint(61, (16 * 2 * 3 + 1,))
    before = copy.deepcopy(course.state_dict())
    model, losses, shared = train_way(way, course, ids, 1, 2, 1e-3)
    assert len(losses) == 3 and len(shared) == (3 if "experts" in way else 0)
    assert all(sum(step) == pytest.approx(1) and step[0] >= step[-1] for step in shared)
    assert all(torch.equal(w, before[n]) for n, w in course.state_dict().items())
    moved = any(layer.preference.any() for layer in layers_of_experts(model))
    assert moved == ("bias" in way)


TINY = ("--steps", 1, "--batch-size", 1, "--seeds", 1, "--recall-steps", 1, "--device", "cpu")
RECALLS = [f"{memory}, {task}" for task in TASKS for memory in MEMORIES]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(experts_and_states, "HELD_OUT_BYTES", 2000)


def test_the_command_trains_what_is_missing_and_nothing_else(quick, refusal, tmp_path, capsys):
    path = tmp_path / "record.json"
    assert refusal(experts_and_states, *TINY, "--record", path) == ""
    whole = json.loads(path.read_text())
    assert [row["row"] for row in whole["rows"]] == [*RECALLS, START, *WAYS]
    missing = (RECALLS[4], WAYS[2])
    kept = [row for row in whole["rows"] if row["row"] not in missing]
    path.write_text(json.dumps(whole | {"rows": kept}))
    capsys.readouterr()
    assert refusal(experts_and_states, *TINY, "--record", path) == ""
    printed = capsys.readouterr().out
    assert f"{missing[0]}, seed 0: accuracy" in printed and f"{missing[1]}, seed 0: " in printed
    assert f"{WAYS[0]}, seed 0" not in printed
    again = {row["row"]: row for row in read_record(path)}
    assert again == {row["row"]: row for row in whole["rows"]}


def test_what_is_done_is_kept_when_it_is_stopped(quick, refusal, tmp_path, monkeypatch):
    measure = experts_and_states.measure_recall

    def stop_at_the_third(row, *arguments):
        if row == RECALLS[2]:
            raise KeyboardInterrupt
        return measure(row, *arguments)

    monkeypatch.setattr(experts_and_states, "measure_recall", stop_at_the_third)
    path = tmp_path / "record.json"
    assert "stopped; what is done is kept" in refusal(experts_and_states, *TINY, "--record", path)
    assert [row["row"] for row in read_record(path)] == RECALLS[:2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", 0), "--seeds 0 must be at least 1"),
        (("--steps", -1), "--steps -1 must be at least 1"),
        (("--recall-steps", 0), "--recall-steps 0 must be at least 1"),
        (("--lr", "nan"), "--lr nan must be above 0, and finite"),
        (("--device", "abacus"), "device 'abacus' is not here"),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence(options, message, refusal, tmp_path):
    path = tmp_path / "record.json"
    said = refusal(experts_and_states, *TINY, "--record", path, *options)
    assert said.startswith(f"experts_and_states: {message}") and not path.exists()


def test_a_record_of_other_settings_or_a_damaged_one_is_refused(refusal, tmp_path):
    path = tmp_path / "record.json"
    settings = {"steps": 9, "batch_size": 1, "lr": 2e-4, "recall_steps": 1}
    path.write_text(json.dumps({"settings": settings, "rows": []}))
    said = refusal(experts_and_states, *TINY, "--record", path)
    assert "holds runs with steps 9, not 1" in said and "give the same settings" in said
    for text in ("{", "[]", '{"settings": {}, "rows": [{"row": "GPT-3", "seed": 0}]}'):
        path.write_text(text)
        said = refusal(experts_and_states, *TINY, "--record", path)
        assert said.endswith("is damaged: take another --record, or delete it")
        assert path.read_text() == text


def test_the_tables_of_a_record_that_has_just_begun_stand():
    assert tabulate_ways([]).empty and tabulate_recall([]).empty
    run = {"row": START, "seed": 0, "bits_per_byte": 1.5, "parameters": 9, "active": 9}
    table = tabulate_ways([run, run | {"row": WAYS[2], "bits_per_byte": 1.0}])
    assert list(table.index) == [START, WAYS[2]]
    table = tabulate_ways([run | {"row": w, "seed": s} for w in WAYS for s in range(2)])
    assert table.loc[WAYS[0], "against twice as wide"] == "+0.0000 ± 0.0000"
    assert table.loc[WAYS[1], "against twice as wide"] == ""
    run = {"row": "delta rule, store", "accuracy": {str(n): 0.5 for n in (4, 8, 16, 32, 64)}}
    other = run | {"accuracy": {str(n): 1.0 for n in (4, 8, 16, 32, 64)}}
    table = tabulate_recall([run, other])
    assert table.loc[("store", "delta rule"), "8 pairs"] == "75 (50 to 100)"
