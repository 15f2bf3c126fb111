"""The networks of a game: placed, each trained by one player, and able to play together."""

import itertools
import math

import torch
from torch import Tensor, nn

from ganbook.arguments import check_network, warn
from ganbook.device import DEVICE, autocast, is_placed, placed
from ganbook.networks import evaluating

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


def check_optimized(players: dict, optimizers: dict, averages: dict) -> None:
    """Place networks that were moved; raise ValueError for what optimisers or averages don't know.

    players: {name: networks}. optimizers: {name: optimiser}. averages: {name: their averages}.
    Between two turns a notebook may have moved networks or changed their layers.
    """
    for name, networks in players.items():
        groups = optimizers[name].param_groups
        if len(groups) != 1:
            raise ValueError(
                f"the optimiser of the {name} has {len(groups)} groups of weights: give it one,"
                " as a game sets one learning rate"
            )
        known = {id(weight) for weight in groups[0]["params"]}
        for network in networks:
            # Checked first, because turns by hand are many.
            if torch.is_inference_mode_enabled() or not is_placed(network):
                placed(network, name)
            for weight, value in network.named_parameters():
                if value.requires_grad and id(value) not in known:
                    raise ValueError(
                        f"the weight {weight} of the {name} was added, replaced or unfrozen after"
                        " the game had begun, so it would not be learned: start a new game with"
                        " these networks"
                    )
    for average in itertools.chain(*averages.values()):
        average.check()


def has_gradient(network: nn.Module) -> bool:
    """Whether the last turn gave any weight of the network a gradient."""
    return any(weight.grad is not None for weight in network.parameters())


def warn_of_idle(players: dict[str, tuple[nn.Module, ...]], idle: set[int]) -> None:
    """Warn of networks that no term of a step depended on.

    players: {name: networks}, those who have a turn. idle: the `id` of each network that has had no
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
    with evaluating(*networks):
        try:
            with autocast(generator):
                fake = call(generator, z, labels)
        except Exception as error:
            raise ValueError(
                f"the generator can't take z of shape (N, latent={latent}): {error}"
                f"{_half(generator)}"
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
                f" {tuple(fake.shape[1:])}: {error}{_half(discriminator)}"
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


def _half(network: nn.Module) -> str:
    advice = ". It computes in bfloat16 here; set GANBOOK_PRECISION=float32 where a layer can't"
    return advice if isinstance(autocast(network), torch.autocast) else ""


def _found(value) -> str:
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    return "None: is `return` missing?" if value is None else f"a {type(value).__name__}"
