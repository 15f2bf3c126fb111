"""The networks of a game: placed, each learned by one player, and able to play together."""

import itertools
import math

import torch
from torch import Tensor, nn

from ganbook import device, losses
from ganbook.arguments import check_network, warn
from ganbook.device import DEVICE, autocast, is_placed, placed
from ganbook.networks import Network, evaluating, unchanged
from ganbook.networks.layers import SpectralNorm

# ---- Of any game


def placed_networks(name: str, given) -> tuple[nn.Module, ...]:
    """A player's networks on the device, in single precision.

    name: the player's name. given: a network, or a tuple or list of them.
    Raises TypeError if one is not a network, ValueError if it can't be trained here.
    """
    networks = given if isinstance(given, (tuple, list)) else (given,)
    for network in networks:
        check_network(name, network)
    return tuple(placed(network, name) for network in networks)


def check_owners(players: dict[str, tuple[nn.Module, ...]]) -> None:
    """Raise ValueError for a weight that two players learn.

    players: {name: networks}.
    """
    for (name, own), (other, others) in itertools.combinations(players.items(), 2):
        owned, shared = _names(own), _names(others).keys()
        for weight in owned.keys() & shared:
            raise ValueError(
                f"the {name} and the {other} share the weight {owned[weight]}, so each would undo"
                " what the other learns: give the shared layers to one of them"
            )


def check_optimized(players: dict, optimizers: dict) -> None:
    """Place networks that were moved, and raise ValueError for a weight that no optimiser knows.

    players: {name: networks}. optimizers: {name: optimiser}.
    Between two turns a notebook may have moved networks or changed their layers.
    """
    for name, networks in players.items():
        known = {id(weight) for weight in optimizers[name].param_groups[0]["params"]}
        for network in networks:
            # Looked at first, because turns by hand are many.
            if torch.is_inference_mode_enabled() or not is_placed(network):
                placed(network, name)
            for weight, value in network.named_parameters():
                if value.requires_grad and id(value) not in known:
                    raise ValueError(
                        f"the weight {weight} of the {name} was added, replaced or unfrozen after"
                        " the game had begun, so it would not be learned: start a new game with"
                        " these networks"
                    )


def has_gradient(network: nn.Module) -> bool:
    """Whether the last turn gave any weight of the network a gradient."""
    return any(weight.grad is not None for weight in network.parameters())


def warn_of_idle(players: dict[str, tuple[nn.Module, ...]], idle: set[int]) -> None:
    """Warn of networks that no term of a step depended on.

    players: {name: networks}, those who have a turn. idle: the `id` of each network that has got no
        gradient.
    """
    for name, networks in players.items():
        for place, network in enumerate(networks, 1):
            if id(network) in idle and any(w.requires_grad for w in network.parameters()):
                which = f"network {place} of {len(networks)}"
                if len(networks) == 1:
                    which = "the network"
                warn(
                    f"{which} of the {name} has learned nothing in this step: no term that the"
                    f" {name} minimises depends on its weights"
                )


def _names(networks) -> dict[int, str]:
    """The names of the weights that networks learn, by identity."""
    named = (pair for network in networks for pair in network.named_parameters())
    return {id(weight): name for name, weight in named if weight.requires_grad}


# ---- Of a generator and a discriminator


def common_classes(generator: nn.Module, discriminator: nn.Module) -> int | None:
    """The number of classes of both networks. Raises ValueError if they differ."""
    classes, judged = (getattr(n, "classes", None) for n in (generator, discriminator))
    if classes != judged:
        raise ValueError(
            f"the players must have the same `classes`; the generator has {classes},"
            f" the discriminator {judged}: build both networks with the same classes=..."
        )
    return classes


def call(network: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """What a network makes of samples or latents, with labels or without."""
    return network(x) if labels is None else network(x, labels)


@torch.no_grad()
def first_samples(generator, discriminator, latent, classes) -> tuple[Tensor, Tensor | None]:
    """A few samples of the generator and their labels, if the two networks fit each other.

    latent: the size of z. classes: of both networks, or None for no labels.
    Raises ValueError for networks that don't fit.
    """
    networks = (generator, discriminator)
    # Two rows, or two for each of the copies that play side by side.
    count = 2 * math.lcm(*(getattr(network, "copies", 1) for network in networks))
    labels = None
    if classes is not None:  # the last ones first, to see whether the networks know them
        labels = (classes - 1 - torch.arange(count, device=DEVICE)) % classes
    z = torch.randn(count, latent, dtype=torch.float32, device=DEVICE)
    with unchanged(*networks), evaluating(*networks):
        try:
            with autocast(generator):
                fake = call(generator, z, labels)
        except Exception as error:
            raise ValueError(
                f"the generator can't take z of shape (N, latent={latent}): {error}{_half()}"
            ) from error
        if not isinstance(fake, Tensor) or len(fake) != count:
            raise ValueError(
                f"the generator must return one tensor, a sample for each of {count} latents; it"
                f" returned {_found(fake)}"
            )
        try:
            with autocast(discriminator):
                logits = call(discriminator, fake.float().clone(), labels)
        except Exception as error:
            raise ValueError(
                "the discriminator can't take the generator's samples of shape"
                f" {tuple(fake.shape[1:])}: {error}{_half()}"
            ) from error
    if not isinstance(logits, Tensor) or logits.shape != (count,):
        numbers = logits.numel() if isinstance(logits, Tensor) else 0
        advice = "return a logit for each sample"
        if numbers >= count:
            advice = "end it with nn.Flatten(0)"
        if numbers > count:
            advice = "average its map of logits, x.flatten(1).mean(1)"
        raise ValueError(
            f"the discriminator must give one logit per sample, (N,); for N={count} it gave"
            f" {_found(logits)}: {advice}, or, for outputs beside the logits, write objectives for"
            " a ganbook.game.Game"
        )
    return fake.float(), labels


def _half() -> str:
    advice = ". It computes in bfloat16 here; set GANBOOK_PRECISION=float32 where a layer can't"
    return advice if device.BF16 else ""


def _found(value) -> str:
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    return "None: is `return` missing?" if value is None else f"a {type(value).__name__}"


def _mixes_samples(network: nn.Module) -> bool:
    """Whether a batch norm takes its statistics from the batch when the network trains."""
    with unchanged(network):
        if not network.training:
            network.train()  # as a game does; else a layer may be frozen in evaluation mode
        return any(
            layer.training or layer.running_mean is None
            for layer in network.modules()
            if isinstance(layer, nn.modules.batchnorm._BatchNorm)
        )


def warn_of_nonsense(discriminator, loss, penalty, fake: Tensor, labels: Tensor | None) -> None:
    """Warn of settings that raise no error but don't make sense together, where it can be detected.

    loss: a `losses.Loss`; one of your own is not checked. penalty: a `penalties.Penalty` or None.
    fake: samples (N, ...). labels: of the samples, or None.
    """
    far = _far(discriminator, fake, labels)
    bounded = far is not None and far.abs().max() < 1e3
    free = not (bounded or penalty or _has_spectral_norm(discriminator))
    if loss == losses.wasserstein and free:
        warn(
            "nothing bounds the slope of this Wasserstein critic, so its loss can fall without end:"
            " add penalty=penalties.wgan_gp(), or penalties.clip(0.01)"
        )
    if penalty is not None and penalty.terms and _mixes_samples(discriminator):
        warn(
            "the discriminator has batch norm, which mixes the samples of a batch, so a gradient of"
            " a logit is not that of its own sample alone: leave batch norm out if the penalty is"
            " on gradients"
        )
    if loss in LOGITS and (
        type(_last(discriminator)) in (nn.Sigmoid, nn.Softmax) or _are_probabilities(far)
    ):
        warn(
            "the discriminator ends in a sigmoid or softmax, but this loss takes logits, which may"
            " be any number: leave the last layer out"
        )


LOGITS = (losses.minimax, losses.nonsaturating, losses.relativistic, losses.hinge)
"""The losses for which logits in [0, 1] are a mistake."""


def reach(generator: nn.Module, latent: int, labels: Tensor | None) -> tuple[float, float]:
    """A generator's range: (-1, 1) if it ends in tanh, (0, 1) for a sigmoid, else infinite.

    labels: two or more, or None. Known from its last layer, or from its outputs at huge latents.
    """
    last = type(_last(generator))
    if last in (nn.Tanh, nn.Sigmoid):
        return (-1.0 if last is nn.Tanh else 0.0), 1.0
    count = 2 * getattr(generator, "copies", 1) if labels is None else len(labels)
    far = _far(generator, torch.zeros(count, latent, dtype=torch.float32, device=DEVICE), labels)
    ends = () if far is None else (far.min().item(), far.max().item())
    return ends if ends in ((-1.0, 1.0), (0.0, 1.0)) else (-math.inf, math.inf)


def check_range(samples: Tensor, low: float, high: float) -> None:
    """Check that a generator can reach the data, if they are images: of 64 numbers or more.

    samples: of the data. low, high: what `reach` gives for the generator.
    Raises ValueError for data far beyond the reach of a generator that ends in tanh or sigmoid, and
    warns of data in [0, 1] for one that ends in tanh. Noise on the data may go a little beyond.
    """
    if samples[0].numel() < 64 or high > 1:
        return
    lowest, highest = (value.item() for value in samples.aminmax())
    if lowest < low - 0.5 or highest > high + 0.5:
        raise ValueError(
            f"images must lie in [{low:.0f}, {high:.0f}], as the generator's do; these reach from"
            f" {lowest:.3g} to {highest:.3g}"
        )
    if lowest >= 0 > low:
        warn(
            f"all pixels of the first batch lie in [0, {highest:.3g}], half the range of this"
            " generator, which ends in tanh: scale the images with 2 * images - 1",
        )


@torch.no_grad()
def _far(network: nn.Module, like: Tensor, labels: Tensor | None) -> Tensor | None:
    """A network's outputs for huge random inputs, or None if it can't take them.

    like: inputs (N, ...) of the right shape. labels: (N,), or None.
    """
    far = 1e6 * torch.randn(8 * len(like), *like.shape[1:], dtype=like.dtype, device=like.device)
    labels = None if labels is None else labels.repeat(8)
    try:
        with unchanged(network), evaluating(network):
            return call(network, far, labels).float()
    except Exception:
        return None


def _has_spectral_norm(network: nn.Module) -> bool:
    """Whether a layer has the course's spectral norm, or one of torch's two."""
    torchs = nn.utils.parametrizations._SpectralNorm
    return any(
        isinstance(layer, (SpectralNorm, torchs)) or hasattr(layer, "weight_u")
        for layer in network.modules()
    )


def _last(network: nn.Module) -> nn.Module:
    """The last layer that changes values, where layers in sequence are all that there is.

    Else the network itself: its `forward` or a hook may do more than the layers.
    """
    layers = [network]
    while layers and not layers[-1]._forward_hooks:
        last = layers[-1]
        forward = getattr(last.forward, "__func__", None)
        if forward not in (nn.Sequential.forward, Network.forward):
            return last
        layers = [layer for layer in last if type(layer) not in (nn.Flatten, nn.Unflatten)]
    return network


def _are_probabilities(far: Tensor | None) -> bool:
    """Whether logits far away stay in [0, 1], and reach its ends."""
    if far is None:
        return False
    low, high = far.min(), far.max()
    return bool(low < high and ((low == 0 and high <= 1) or (low >= 0 and high == 1)))
