"""ganbook.arguments: one wording for what is wrong."""

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
    with pytest.raises(ValueError, match="n=11: there are only 10"):
        arguments.check_count("n", 11, most=10)


def test_a_choice_names_what_there_is():
    with pytest.raises(ValueError, match="split='valid': it must be one of 'train', 'test'"):
        arguments.check_choice("split", "valid", ["train", "test"])


@pytest.mark.parametrize("labels", [[0, -1], [0, 4]])
def test_labels_out_of_range_are_named(labels):
    with pytest.raises(ValueError, match=r"must lie in 0..3; these reach from"):
        arguments.check_labels(labels, 2, 4)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [True, False], [0, 1, 2], [[0, 1]], 0])
def test_labels_of_another_kind_are_named(labels):
    with pytest.raises(ValueError, match="labels must be 2 whole numbers, one per sample; got"):
        arguments.check_labels(labels, 2, 4)


def test_labels_come_back_as_long():
    assert arguments.check_labels(np.array([0, 3], dtype=np.int32), 2, 4).dtype == torch.int64
    assert arguments.check_labels(torch.zeros(0, dtype=torch.int64), 0, 4).shape == (0,)


def test_images_a_hundredth_beyond_the_tanh_are_named():
    with pytest.raises(ValueError, match="these reach 1.01"):
        arguments.check_range(torch.full((1, 1, 2, 2), -1.01))
    arguments.check_range(torch.full((1, 1, 2, 2), 1.00005))
    arguments.check_range(torch.full((1, 2), 7.0))
