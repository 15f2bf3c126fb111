"""The baseline against the course: the table's ratios, and the copied script's parts."""

import baseline
import numpy as np
import pytest
import torch
from benchmark_tables import rows

from ganbook import data


def test_the_course_is_8_times_as_fast_as_what_people_copy_and_4_times_as_near():
    found = baseline.compare(rows("baseline"))
    assert set(found) == {"copied", "engine", "networks", "course"}
    assert all(len(rung["fid"]) == 3 for rung in found.values())
    assert min(np.divide(found["course"]["speed"], found["copied"]["speed"])) >= 8
    assert min(np.divide(found["copied"]["fid"], found["course"]["fid"])) >= 4


def test_the_copied_transforms_resize_and_scale_each_image():
    digits = baseline.Digits()
    image = digits[7]
    assert len(digits) == 5000 and image.shape == (1, 32, 32) and image.dtype == torch.float32
    real = data.digits().images[7:8].cpu()
    resized = torch.nn.functional.interpolate(real, (32, 32), mode="bilinear", align_corners=False)
    assert (image - resized[0]).abs().max() < 2 / 127.5  # PIL rounds to bytes, twice


def test_the_copied_step_trains_each_player_against_the_other():
    torch.manual_seed(0)
    players = generator, discriminator = baseline.copied_networks()
    optimizers = [baseline.copied_adam(network) for network in players]
    digits = baseline.Digits()
    real = torch.stack([digits[i] for i in range(8)])

    def losses(learner, other, which):
        # Quicker than the copies learn, and the other player stands still.
        optimizers[learner].param_groups[0]["lr"] = 2e-3
        optimizers[other].param_groups[0]["lr"] = 0.0
        before = [[weight.clone() for weight in network.parameters()] for network in players]
        found = []
        for _ in range(15):
            # The copied step draws from it: each step has the same latents.
            np.random.seed(0)  # noqa: NPY002
            found.append(baseline.copied_step(*players, *optimizers, real)[which])
        same = [
            [torch.equal(a, b) for a, b in zip(weights, network.parameters(), strict=True)]
            for weights, network in zip(before, players, strict=True)
        ]
        assert not any(same[learner]) and all(same[other])
        return found

    d_losses = losses(learner=1, other=0, which=0)
    assert d_losses[0] == pytest.approx(np.log(2), abs=0.02)
    assert d_losses[-1] < d_losses[0] - 0.05
    discriminator.eval()  # its dropout would hide what the generator learns in so few steps
    g_losses = losses(learner=0, other=1, which=1)
    assert g_losses[-1] < g_losses[0] - 0.05
    assert generator(torch.randn(2, 100)).shape == (2, 1, 32, 32)
