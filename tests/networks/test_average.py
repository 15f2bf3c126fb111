"""networks.Average: what it follows, and how."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

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


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.InstanceNorm1d])
def test_buffers_are_copied_and_the_statistics_of_norms_averaged(norm):
    """A generator that grows keeps its stage and how far a new layer has faded in."""
    live = nn.Sequential(nn.Linear(2, 2), norm(2, track_running_stats=True))
    live.register_buffer("faded", torch.tensor(0.0))
    live.register_buffer("stage", torch.tensor(0))
    average = networks.Average(live)
    live.faded.fill_(0.25), live.stage.fill_(3)
    live[1].running_mean.fill_(1.0), live[1].num_batches_tracked.fill_(7)
    average.update(0.75)
    average.synced()
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
    own = average.synced()
    assert (own.stage, own.faded) == (2, 0.5) and not own.training
    assert torch.equal(own.mean, live.mean) and own.mean is not live.mean
    assert torch.equal(own.seen, live.seen) and own.seen is not live.seen
    live.mean = None
    assert average.synced().mean is None


def test_of_a_batch_norm_the_statistics_alone_are_averaged():
    live = nn.BatchNorm1d(2, affine=False)
    live.register_buffer("alpha", torch.tensor(0.0))
    average = networks.Average(live)
    live.alpha += 1
    live.running_mean += 1
    average.update(0.5)
    own = average.synced()
    assert own.alpha == 1 and torch.equal(own.running_mean, torch.full((2,), 0.5))


@pytest.mark.parametrize(
    "value",
    [np.float64(0.25), np.float32(0.25), np.int64(3), np.bool_(True), None, (4, 8), ((1, "a"), 2)],
    ids=repr,
)
def test_numbers_of_numpy_none_and_tuples_are_followed(value):
    """`np.clip(steps / n, 0, 1)` is how many scripts fade a layer in, and None ends it."""
    live = Growing()
    average = networks.Average(live)
    live.faded = value
    own = average.synced()
    assert type(own.faded) is type(value) and own.faded == value


def test_tensors_that_are_attributes_are_copied_and_not_those_with_a_graph():
    live = Growing()
    live.mean_image, live.map = torch.zeros(2), None
    average = networks.Average(live)
    live.mean_image, live.map = torch.ones(2), live.layer(torch.ones(1, 2))
    own = average.synced()
    assert torch.equal(own.mean_image, torch.ones(2)) and own.mean_image is not live.mean_image
    assert own.map is None


def test_tensors_that_were_expanded_or_change_their_type_are_followed():
    """Coordinates from a meshgrid are expanded, and 0 becomes 0.5 as a layer fades in."""
    live = Growing()
    live.register_buffer("alpha", torch.tensor(0))
    live.rows, live.columns = torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")
    average = networks.Average(live)
    live.alpha = torch.tensor(0.5)
    own = average.synced()
    assert own.alpha == 0.5 and torch.equal(own.columns, live.columns)


def test_an_average_goes_on_after_it_was_used_in_inference_mode():
    live = Growing()
    average = networks.Average(live)
    live.register_buffer("late", torch.zeros(2))
    with torch.inference_mode():
        average.synced()
    live.late += 1
    average.update(0.5)
    assert torch.equal(average.synced().late, torch.ones(2))
    assert not any(tensor.is_inference() for tensor in average.network.state_dict().values())


def test_layers_that_share_a_frozen_weight_share_it_in_the_average():
    live = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).requires_grad_(False)
    live[1].weight = live[0].weight
    own = networks.Average(live).synced()
    assert own[1].weight is own[0].weight and len([*own.parameters()]) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda network: network.__setitem__(1, nn.Identity()),
        lambda network: network.append(nn.Tanh()),
        lambda network: network.pop(1),
        lambda network: prune.l1_unstructured(network[0], "weight", 1),
    ],
    ids=["replaced", "added", "removed", "pruned"],
)
def test_an_average_of_other_layers_is_an_error(change):
    live = nn.Sequential(nn.Linear(2, 2), nn.Hardtanh())
    average = networks.Average(live)
    change(live)
    with pytest.raises(ValueError, match="were added, removed or replaced after its average"):
        average.synced()


def test_hooks_of_the_network_are_not_followed():
    live = Growing()
    average = networks.Average(live)
    live.register_full_backward_hook(lambda *_: None)
    average.synced()
    assert average.network._is_full_backward_hook is None and not average.network.training


def test_whole_numbers_among_the_weights_are_copied():
    live = nn.Linear(2, 2)
    live.order = nn.Parameter(torch.tensor([0, 1]), requires_grad=False)
    average = networks.Average(live)
    live.order.copy_(torch.tensor([5, 7]))
    assert average.synced().order.tolist() == [5, 7]
    networks.Average(nn.Flatten()).update(0.9)  # nothing at all to average


def test_what_a_network_registers_or_deletes_later_is_followed():
    live = Growing()
    live.alpha, average = 0.5, networks.Average(live)
    live.register_buffer("count", torch.tensor(7.0))
    own = average.synced()
    assert own.count == 7 and own.count is not live.count
    del live.count, live.alpha
    own = average.synced()
    assert not hasattr(own, "count") and not hasattr(own, "alpha")
    live.count = 3  # an attribute where a buffer was
    assert average.synced().count == 3


def test_settings_of_torchs_own_layers_are_followed():
    live = nn.Sequential(nn.Linear(2, 2), nn.Upsample(scale_factor=1))
    average = networks.Average(live)
    live[1].scale_factor = 2.0
    assert average.synced()[1].scale_factor == 2.0


def test_frozen_weights_are_copied_because_a_mask_may_hold_infinity():
    live = nn.Linear(2, 2)
    live.mask = nn.Parameter(torch.tensor([-torch.inf, 0.0]), requires_grad=False)
    average = networks.Average(live)
    average.update(0.9)
    assert torch.equal(average.synced().mask, live.mask)


def test_weights_that_learn_are_not_copied():
    live = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    live[1].weight = live[0].weight
    average = copy.deepcopy(networks.Average(live))
    before = copy.deepcopy(average.network.state_dict())
    moved(live, 1.0)
    live[2].running_mean.fill_(3.0)
    for name, value in average.synced().state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_network_that_can_not_be_copied_is_named():
    live = torch.nn.utils.weight_norm(nn.Linear(2, 2))
    live(torch.zeros(1, 2))
    with pytest.raises(
        TypeError,
        match="can't be copied for an average: its attribute weight .*parametrizations",
    ):
        networks.Average(live)


class KeepsItsMaps(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        self.maps = [self.layer(x)]
        return self.maps[0]


def test_what_a_network_keeps_of_its_last_batch_is_named():
    live = nn.Sequential(KeepsItsMaps(), nn.ReLU())
    live(torch.zeros(1, 2))
    message = r"can't be copied for an average: its attribute 0.maps .* store maps.detach\(\)"
    with pytest.raises(TypeError, match=message):
        networks.Average(live)
    live[0].maps = None
    networks.Average(live)
    live[0].lock = (x for x in ())  # neither can this be copied
    with pytest.raises(TypeError, match="for an average: cannot pickle .*Game: average=None"):
        networks.Average(live)


def test_a_deep_copy_follows_the_copied_network():
    live = nn.Linear(2, 2)
    again, network = copy.deepcopy((networks.Average(live), live))
    moved(live, 1.0), moved(network, -1.0)
    before = again.network.weight.clone()
    again.update(0.5)
    torch.testing.assert_close(again.network.weight, before - 0.5)
