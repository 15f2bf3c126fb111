"""networks.Average: what it follows, and how."""

import copy

import pytest
import torch
from torch import nn

from ganbook import networks


def moved(network, by):
    with torch.no_grad():
        for weight in network.parameters():
            weight += by


def test_an_average_moves_by_the_share_that_is_not_kept():
    live = nn.Linear(2, 2)
    average = networks.Average(live)
    before = average.network.weight.clone()
    moved(live, 1.0)
    average.update(0.75)
    torch.testing.assert_close(average.network.weight, before + 0.25)


def test_weights_that_two_layers_share_move_once():
    live = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    live[1].weight = live[0].weight
    average = networks.Average(live)
    before = average.network[0].weight.clone()
    moved(live[0], 1.0)
    average.update(0.5)
    torch.testing.assert_close(average.network[0].weight, before + 0.5)
    assert average.network[1].weight is average.network[0].weight


def test_buffers_are_copied_and_the_statistics_of_batch_norms_averaged():
    """A generator that grows keeps its stage and how far a new layer has faded in."""
    live = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    live.register_buffer("faded", torch.tensor(0.0))
    live.register_buffer("stage", torch.tensor(0))
    average = networks.Average(live)
    live.faded.fill_(0.25), live.stage.fill_(3)
    live[1].running_mean.fill_(1.0), live[1].num_batches_tracked.fill_(7)
    average.update(0.75)
    assert average.network.faded == 0.25 and average.network.stage == 3
    assert average.network[1].num_batches_tracked == 7
    torch.testing.assert_close(average.network[1].running_mean, torch.full((2,), 0.25))


class Growing(nn.Module):
    """A generator as many scripts have it: its stage is an attribute, its mean comes later."""

    def __init__(self):
        super().__init__()
        self.layer, self.stage, self.faded = nn.Linear(2, 2), 0, 0.0
        self.register_buffer("mean", None)
        self.register_buffer("seen", torch.zeros(0, 2))


def test_attributes_and_buffers_that_come_or_grow_later_are_followed():
    live = Growing()
    average = networks.Average(live)
    live.stage, live.faded, live.mean = 2, 0.5, torch.ones(3)
    live.seen = torch.ones(4, 2)
    average.update(0.9)
    own = average.network
    assert (own.stage, own.faded) == (2, 0.5) and not own.training
    assert torch.equal(own.mean, live.mean) and own.mean is not live.mean
    assert torch.equal(own.seen, live.seen) and own.seen is not live.seen
    live.mean = None
    average.update(0.9)
    assert own.mean is None


def test_a_network_that_can_not_be_copied_is_named():
    live = torch.nn.utils.weight_norm(nn.Linear(2, 2))
    live(torch.zeros(1, 2))
    with pytest.raises(TypeError, match="a Linear can't be copied for an average"):
        networks.Average(live)


def test_a_deep_copy_follows_the_copied_network():
    live = nn.Linear(2, 2)
    again, network = copy.deepcopy((networks.Average(live), live))
    moved(live, 1.0), moved(network, -1.0)
    before = again.network.weight.clone()
    again.update(0.5)
    torch.testing.assert_close(again.network.weight, before - 0.5)
