"""ganbook.arguments: one wording for what is wrong."""

import math

import numpy as np
import pytest
import torch

from ganbook import arguments


@pytest.mark.parametrize("value", [0, -1, 1.0, "2", None, True, np.float64(3)])
def test_a_count_is_a_whole_number(value):
    with pytest.raises(ValueError, match=r"size=.*: it must be a whole number, 1 or more"):
        arguments.check_count("size", value)


def test_a_count_comes_back_as_pythons_and_within_its_bounds():
    assert type(arguments.check_count("size", np.int64(3))) is int
    assert arguments.check_count("steps", 0, least=0) == 0
    with pytest.raises(ValueError, match="n=11: it must be at most 10"):
        arguments.check_count("n", 11, most=10)


def test_a_choice_names_what_there_is():
    with pytest.raises(ValueError, match="split='valid': it must be one of 'train', 'test'"):
        arguments.check_choice("split", "valid", ["train", "test"])


@pytest.mark.parametrize("labels", [[0, -1], [0, 4]])
def test_labels_out_of_range_are_named(labels):
    with pytest.raises(ValueError, match=r"must lie in 0..3; these reach from"):
        arguments.check_labels(labels, 2, 4)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [True, False], [0, 1j], [0, 1, 2], [[0, 1]], 0])
def test_labels_of_another_kind_are_named(labels):
    with pytest.raises(ValueError, match="labels must be 2 whole numbers, one per sample; got"):
        arguments.check_labels(labels, 2, 4)


@pytest.mark.parametrize("labels", [[None, None], ["cat", "dog"], [[0], [1, 2]]])
def test_labels_that_are_no_array_are_named(labels):
    with pytest.raises(ValueError, match="labels must be 2 whole numbers, one per sample: give"):
        arguments.check_labels(labels, 2, 4)


def test_labels_may_be_of_any_whole_type():
    for kind in (torch.uint16, torch.uint32, torch.uint64, torch.uint8, torch.int16):
        labels = arguments.check_labels(torch.tensor([0, 3]).to(kind), 2, 4)
        assert labels.tolist() == [0, 3] and labels.dtype == torch.int64
        with pytest.raises(ValueError, match="these reach from 0 to 4"):
            arguments.check_labels(torch.tensor([0, 4]).to(kind), 2, 4)


def test_labels_come_back_as_long():
    assert arguments.check_labels(np.array([0, 3], dtype=np.int32), 2, 4).dtype == torch.int64
    assert arguments.check_labels(torch.zeros(0, dtype=torch.int64), 0, 4).shape == (0,)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_not_finite_is_enough(wrong):
    samples = torch.zeros(3, 2)
    samples[1, 0] = wrong
    with pytest.raises(ValueError, match="the data holds NaN or infinity"):
        arguments.check_finite(samples)


def test_the_largest_count_is_allowed_and_functions_are_tried_at_both_ends():
    assert arguments.check_count("n", 10, most=10) == 10
    arguments.check_number("lr", 0)
    for wrong, found in {
        (lambda share: share - 0.5): "the function gives -0.5 at share 0",
        (lambda share: 0.5 - share): "the function gives -0.5 at share 1",
        -1e-9: "got -1e-09",
        "1": "got '1'",
        math.inf: "got inf",
    }.items():
        message = f"lr must be a finite number, 0 or more; {found}"
        with pytest.raises(ValueError, match=message):
            arguments.check_number("lr", wrong)


def test_samples_are_a_batch_of_floats_of_the_shape_that_is_drawn():
    arguments.check_samples(torch.zeros(1, 2), (2,))
    for wrong, error, message in (
        ([[0.0, 1.0]], TypeError, "samples must be a tensor, not list"),
        (torch.zeros(0, 2), ValueError, "the batch is empty: give at least one"),
        (torch.zeros(4, 3), ValueError, r"draws samples of shape \(2,\); the batch holds \(3,\)"),
        (torch.zeros(4, 2).long(), ValueError, "floating-point numbers; it is torch.int64"),
    ):
        with pytest.raises(error, match=message):
            arguments.check_samples(wrong, (2,))


def test_values_per_sample_come_back_and_others_are_named():
    values = torch.arange(3.0)
    assert arguments.check_per_sample("g_loss", min, values, 3) is values
    for wrong, found in ((values.mean(), r"\(\)"), (values[:, None], r"\(3, 1\)"), (1.0, "float")):
        with pytest.raises(
            ValueError, match=rf"g_loss must give one .* shape \(3,\); it gave {found}"
        ):
            arguments.check_per_sample("g_loss", min, wrong, 3)
