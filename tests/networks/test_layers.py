"""ganbook.networks.layers: each layer against what it stands for."""

import copy

import pytest
import torch
from torch import nn

from ganbook import networks
from ganbook.device import DEVICE


def test_each_copy_draws_weights_of_its_own_of_the_scale_of_a_dense_layer():
    layer, alone = networks.ParallelLinear(4, 30, 50), nn.Linear(30, 50)
    assert len({w.sum().item() for w in layer.weight}) == 4
    assert layer.weight.std().item() == pytest.approx(alone.weight.std().item(), rel=0.1)
    assert layer.bias.std().item() == pytest.approx(alone.bias.std().item(), rel=0.4)


def test_fourier_features_are_waves_of_the_drawn_frequencies():
    features = networks.FourierFeatures(2, 500, 3.0)
    assert features.frequencies.std().item() == pytest.approx(3.0, rel=0.1)
    x, step = torch.tensor([[0.3, -0.2]]), torch.tensor([[0.01, 0.0]])
    value, after = features(x), features(x + step)
    assert value.shape == (1, 1002) and torch.equal(value[:, :2], x)
    sines, cosines = value[:, 2:502], value[:, 502:]
    turned = 2 * torch.pi * 0.01 * features.frequencies[0]
    assert torch.allclose(after[:, 2:502], sines * turned.cos() + cosines * turned.sin(), atol=1e-5)


def test_spectral_norm_has_the_gradient_of_torchs_own():
    torch.manual_seed(0)
    plain = nn.Linear(5, 4).to(DEVICE)
    ours, theirs = (
        networks.SpectralNorm(copy.deepcopy(plain)),
        torch.nn.utils.parametrizations.spectral_norm(plain),
    )
    x = torch.randn(3, 5, device=DEVICE)
    with torch.no_grad():
        for _ in range(300):
            ours(x), theirs(x)
    for layer in (ours, theirs):
        layer(x).square().sum().backward()
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.layer.weight.grad, theirs.parametrizations.weight.original.grad)


def test_a_fresh_residual_block_is_its_shortcut_and_learns_to_be_more():
    block = networks.ResidualBlock(3, 3).to(DEVICE)
    x = torch.randn(2, 3, 5, 5, device=DEVICE)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.gain.grad != 0


def test_the_power_iteration_of_spectral_norm_starts_at_a_random_vector():
    torch.manual_seed(0)
    starts = [networks.SpectralNorm(nn.Linear(3, 2000)).u for _ in range(2)]
    for u in starts:
        assert u.mean().item() == pytest.approx(0, abs=0.1)
        assert u.std().item() == pytest.approx(1, rel=0.1)
    assert not torch.equal(*starts)
