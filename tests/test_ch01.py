"""The bigram model: its probabilities against counting by hand, its perplexity against a die."""

import math
from random import Random

import pytest

from ch01.bigram import Bigram, perplexity

IDS = [0, 1, 2, 0, 1, 0, 0, 1]  # after 0: 1, 1, 0, 1; after 1: 2, 0; after 2: 0; 3 is never seen


def test_it_is_the_count_when_next_to_nothing_is_imagined():
    bigram = Bigram(IDS, vocab_size=4, imagined=1e-9)
    assert bigram.probability(0, 1) == pytest.approx(3 / 4)
    assert bigram.probability(1, 2) == pytest.approx(1 / 2)
    assert bigram.probability(2, 3) == pytest.approx(0, abs=1e-8)


def test_imagined_tokens_are_added_in_the_shares_of_the_text():
    # 8 tokens, four of them 0; one more of each of 4 tokens is imagined there.
    shares = [5 / 12, 4 / 12, 2 / 12, 1 / 12]
    bigram = Bigram(IDS, vocab_size=4, imagined=6.0)
    for token, (count, share) in enumerate(zip([1, 3, 0, 0], shares)):
        assert bigram.probability(0, token) == pytest.approx((count + 6 * share) / (4 + 6))
    for token, share in enumerate(shares):  # nothing was counted after 3
        assert bigram.probability(3, token) == pytest.approx(share)


@pytest.mark.parametrize("imagined", [0.1, 10.0, 1e6])
def test_the_probabilities_after_any_token_sum_to_1_and_none_is_0(imagined: float):
    bigram = Bigram(IDS, vocab_size=7, imagined=imagined)
    for before in range(7):
        after = [bigram.probability(before, token) for token in range(7)]
        assert sum(after) == pytest.approx(1) and min(after) > 0


def test_samples_have_the_frequencies_of_the_probabilities():
    bigram = Bigram(IDS, vocab_size=4, imagined=2.0)
    ids = bigram.sample(0, 20_000, Random(1))
    after_0 = [b for a, b in zip(ids, ids[1:]) if a == 0]
    for token in range(4):
        share = after_0.count(token) / len(after_0)
        assert share == pytest.approx(bigram.probability(0, token), abs=0.02)
    assert ids == bigram.sample(0, 20_000, Random(1))


def test_surprise_is_in_bits_and_of_every_token_but_the_first():
    bigram = Bigram(IDS, vocab_size=4, imagined=4.0)
    surprise = bigram.surprise([0, 1, 3])
    assert surprise == pytest.approx(
        [-math.log2(bigram.probability(0, 1)), -math.log2(bigram.probability(1, 3))]
    )


@pytest.mark.parametrize("faces", [1, 2, 6, 2048])
def test_the_perplexity_of_a_die_is_its_number_of_faces(faces: int):
    assert perplexity([math.log2(faces)] * 5) == pytest.approx(faces)


def test_perplexity_is_the_exponential_of_pytorchs_cross_entropy():
    import torch
    import torch.nn.functional as F

    bigram = Bigram(IDS, vocab_size=4)
    probabilities = torch.tensor([[bigram.probability(a, b) for b in range(4)] for a in range(4)])
    ids = torch.tensor([0, 3, 1, 2, 2])
    loss = F.cross_entropy(probabilities[ids[:-1]].log(), ids[1:])
    assert perplexity(bigram.surprise(ids.tolist())) == pytest.approx(loss.exp().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([5], 9), "1 tokens has no pair"),
        (([], 9), "0 tokens has no pair"),
        (([0, 9], 9), "id 9 is outside vocab_size=9"),
        (([0, -1], 9), "id -1 is outside vocab_size=9"),
        (([0, 1], 9, 0.0), "imagined=0.0 must be above 0"),
        (([0, 1], 9, -2.0), "imagined=-2.0 must be above 0"),
        (([0, 1], 9, math.nan), "imagined=nan must be above 0"),
    ],
)
def test_it_refuses(arguments: tuple, message: str):
    with pytest.raises(ValueError, match=message):
        Bigram(*arguments)


def test_it_refuses_other_tokens_later_too():
    bigram = Bigram(IDS, vocab_size=4)
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match=f"id {wrong} is outside vocab_size=4"):
            bigram.surprise([0, wrong, 1])
        with pytest.raises(ValueError, match=f"id {wrong} is outside vocab_size=4"):
            bigram.sample(wrong, 3, Random(1))
    assert bigram.surprise([]) == bigram.surprise([3]) == []


def test_no_surprise_has_no_perplexity():
    with pytest.raises(ValueError, match="no token to be surprised by"):
        perplexity([])
