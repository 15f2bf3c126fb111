"""ganbook.data.batches: batch k is a function of the seed and k alone, and costs little."""

import itertools

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganbook import data


def tiny(n=10, **arguments):
    """n images of 1 x 2 x 2, each of one grey that tells it apart, labelled by their number."""
    grey = (25 * torch.arange(n)).byte().reshape(n, 1, 1, 1).expand(n, 1, 2, 2)
    return data.Images(grey.clone(), torch.arange(n), **arguments)


def numbers_of(images):
    """Which of the tiny images these are."""
    return ((images[:, 0, 0, 0] + 1) * 127.5 / 25).round().long().tolist()


@pytest.mark.parametrize(
    "source", [tiny(10), data.ring(), data.two_moons()], ids=["images", "mixture", "points"]
)
def test_batch_k_is_a_function_of_seed_and_k(source):
    in_order = [batch.x.clone() for batch in itertools.islice(source.batches(4, seed=7), 6)]
    again = source.batches(4, seed=7)
    for k in (5, 0, 3, 3, 1, 4, 2):
        torch.manual_seed(k)
        source.sample(2)  # what else the notebook draws changes nothing
        assert torch.equal(again[k].x, in_order[k])
    other = source.batches(4, seed=8)
    assert not all(torch.equal(other[k].x, in_order[k]) for k in range(6))
    assert len({tuple(x.flatten().tolist()) for x in in_order}) == 6


def test_batches_far_apart_in_a_stream_of_points_differ():
    batches = data.ring().batches(256, seed=0)
    later = torch.cat([batches[k].x for k in (0, 63, 64, 65, 128, 6400)])
    assert len(later.unique(dim=0)) == len(later)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 10])
def test_every_image_comes_equally_often(size):
    batches = tiny(10).batches(size, seed=1)
    stream = list(itertools.chain.from_iterable(numbers_of(batches[k].x) for k in range(10)))
    assert len(stream) == 10 * size
    for epoch in range(size):
        assert sorted(stream[10 * epoch : 10 * epoch + 10]) == list(range(10))
    orders = {tuple(stream[10 * epoch : 10 * epoch + 10]) for epoch in range(size)}
    assert len(orders) == size


def test_labels_stay_with_their_images():
    for batch in itertools.islice(tiny(10).batches(7), 20):
        assert numbers_of(batch.x) == batch.labels.tolist()
    assert data.Images(torch.zeros(3, 1, 2, 2)).batches(2)[0].labels is None
    assert data.ring().batches(2)[0].labels is None


def test_a_change_in_place_does_not_reach_the_data():
    for source in (tiny(10), data.ring()):
        batches = source.batches(4)
        before = batches[0].x.clone()
        batches[0].x.mul_(0)
        assert torch.equal(batches[0].x, before)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "0: .* 1 or more"),
        (-3, "-3: "),
        (1.5, "1.5: .* whole number"),
        (11, "11: it must be at most 10"),
    ],
)
def test_batch_sizes_that_make_no_sense(size, message):
    with pytest.raises(ValueError, match=f"size={message}"):
        tiny(10).batches(size)
    if size != 11:
        with pytest.raises(ValueError, match=f"size={message}"):
            data.grid().batches(size)


def test_there_is_no_batch_before_the_first():
    with pytest.raises(IndexError, match="no batch -1"):
        tiny().batches(2)[-1]


class Calls(TorchDispatchMode):
    """Counts what torch is asked to do."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += 1
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("source", ["bytes", "floats", "points"])
def test_a_batch_costs_no_work_of_pythons_per_sample(source):
    images = torch.zeros(5000, 1, 28, 28, dtype=torch.uint8 if source == "bytes" else None)
    labels = torch.zeros(5000, dtype=int)
    data_set = data.grid() if source == "points" else data.Images(images, labels)
    counts = []
    for size in (8, 512):
        batches = data_set.batches(size)
        batches[0]  # draws the order of many batches
        with Calls() as calls:
            batches[1]
        counts.append(calls.count)
    assert counts[0] == counts[1] <= 8


@pytest.mark.parametrize("seed", [None, -1, 1.5, "a", True])
def test_a_seed_of_batches_is_a_whole_number(seed):
    with pytest.raises(ValueError, match="seed=.*: it must be a whole number, 0 or more"):
        data.ring().batches(4, seed=seed)


def test_numpys_numbers_ask_for_the_same_batch():
    batches = data.ring().batches(3)
    assert torch.equal(batches[np.uint8(200)].x, batches[200].x)
    assert batches[np.int32(2**30)].x.shape == (3, 2)
