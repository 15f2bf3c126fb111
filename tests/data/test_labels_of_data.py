"""Data with labels: balanced batches, long tails, stacks of digits."""

import pytest
import torch

from ganbook import data


def test_balanced_batches_have_equally_many_of_each_class():
    tail = data.long_tail(data.digits(), 50)
    batches = tail.batches(64, seed=3, balanced=True)
    counts = sum(torch.bincount(batches[k].labels, minlength=10) for k in range(200)).float()
    assert (counts / counts.mean() - 1).abs().max() < 0.02
    assert torch.equal(batches[57].x, tail.batches(64, seed=3, balanced=True)[57].x)
    plain = sum(
        torch.bincount(tail.batches(64, seed=3)[k].labels, minlength=10) for k in range(200)
    ).float()
    assert 40 < plain[0] / plain[9] < 60


def test_a_long_tail_falls_geometrically_by_its_factor():
    tail = data.long_tail(data.digits(), 50)
    counts = torch.bincount(tail.labels, minlength=10)
    assert counts[0] == 500 and counts[9] == 10
    assert (counts[1:] / counts[:-1] - 50 ** (-1 / 9)).abs().max() < 0.05
    assert torch.bincount(data.long_tail(data.digits(), 1).labels).tolist() == [500] * 10
    with pytest.raises(ValueError, match="long_tail needs images with labels; these have none"):
        data.long_tail(data.Images(torch.zeros(3, 1, 4, 4)))
    with pytest.raises(ValueError, match="factor=0.5: it must be 1 or more"):
        data.long_tail(data.digits(), 0.5)


def test_a_long_tail_needs_images_of_every_class():
    missing = data.Images(torch.zeros(4, 1, 4, 4), [0, 0, 2, 2], ["cat", "dog", "cow"])
    with pytest.raises(ValueError, match="images of every class; there are none of 'dog'"):
        data.long_tail(missing, 2)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (data.Images(torch.zeros(3, 3, 4, 4), [0, 1, 2]), "3 channels and 3 classes"),
        (data.Images(torch.zeros(3, 1, 4, 4)), "1 channels and 0 classes"),
        (data.Images(torch.zeros(3, 1, 4, 4), [0, 1, 11]), "1 channels and 12 classes"),
    ],
)
def test_stacks_are_of_grey_digits_with_labels(images, message):
    with pytest.raises(ValueError, match=f"one channel with labels 0 to 9; these have {message}"):
        data.Stacks(images)


def test_balanced_batches_need_labels():
    with pytest.raises(ValueError, match="need labels"):
        data.Images(torch.zeros(3, 1, 4, 4)).batches(2, balanced=True)


def test_stacked_digits_have_three_digits_and_their_number():
    stacks = data.stacked_digits()
    batch = stacks.batches(300, seed=1)[4]
    assert batch.x.shape == (300, 3, 28, 28) and batch.labels.shape == (300,)
    assert torch.equal(batch.x, data.stacked_digits().batches(300, seed=1)[4].x)
    digits = data.digits()
    for image, label in zip(batch.x[:5], batch.labels[:5], strict=True):
        parts = []
        for channel in image:
            (row,) = (digits.images[:, 0] == channel).flatten(1).all(1).nonzero().flatten()[:1]
            parts.append(str(digits.labels[row].item()))
        assert "".join(parts) == stacks.classes[label]
    labels = torch.cat([stacks.batches(1000, seed=0)[k].labels for k in range(20)])
    assert len(labels.unique()) == 1000
    assert stacks.sample(7, seed=0).shape == (7, 3, 28, 28)
    assert torch.equal(stacks.sample(7, seed=0), stacks.sample(7, seed=0))
