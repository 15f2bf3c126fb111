"""The game of one generator and one discriminator."""

import functools
import math

import torch
from torch import Tensor, nn

from ganbook import losses, penalties
from ganbook.arguments import (
    check_count,
    check_labels,
    check_per_sample,
    check_range,
    check_samples,
)
from ganbook.data import Batch
from ganbook.device import DEVICE, autocast, on_device
from ganbook.game import Game, Turn
from ganbook.losses import Loss
from ganbook.networks import evaluating, generate


class GAN(Game):
    """A `Game` of two players, the generator and the discriminator, each with an objective.

    generator: z (N, latent) to samples (N, ...).
    discriminator: samples (N, ...) to logits (N,).
    loss: a `losses.Loss`.
    penalty: what holds the discriminator back: one of `ganbook.penalties`, a function (critic,
        real, fake, real_logits, fake_logits) to (N,), or None.
    lr: Adam's learning rate, a number or a function of the share of steps done.
    d_lr: the discriminator's, where it differs.
    betas: Adam's.
    d_steps: turns of the discriminator for each of the generator.
    average: how much of the averaged generator, which is the one that samples, stays at each step
        in the long run; early on less, (1 + steps) / (10 + steps). 0 for no average.
    latent: the size of z, where the generator has no attribute of that name.
    seed: decides the weights of networks that the package made (unless they have been changed
        since), and all that is random in the game.

    Networks with an attribute `classes` are conditional: they are called with labels (N,) as well,
    the real images' own, and fakes are drawn of the same. Raises ValueError for players that don't
    fit each other and for settings out of range. Chapter 2 builds it by hand.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        loss: Loss = losses.nonsaturating,
        penalty=None,
        lr=1e-3,
        d_lr=None,
        betas: tuple[float, float] = (0.0, 0.99),
        d_steps: int = 1,
        average: float = 0.995,
        latent: int | None = None,
        seed: int = 0,
    ):
        if not isinstance(loss, Loss):
            raise TypeError(
                f"loss={loss!r}: give losses.nonsaturating, say, or losses.Loss(d=..., g=...)"
            )
        latent = getattr(generator, "latent", None) if latent is None else latent
        if latent is None:
            raise ValueError(
                "the generator has no attribute `latent`: give the size of z, GAN(..., latent=64)."
                " Or have the two players changed places?"
            )
        d_steps = check_count("d_steps", d_steps)
        self.loss, self.penalty = loss, penalties.as_penalty(penalty)
        self.latent = check_count("latent", latent)
        self.classes = _common_classes(generator, discriminator)
        turns = [
            Turn(
                "discriminator", self.d_objective, check_count("d_steps", d_steps), self._constrain
            ),
            Turn("generator", self.g_objective),
        ]
        super().__init__(
            {"generator": generator, "discriminator": discriminator},
            turns,
            lr=lr if d_lr is None else {"generator": lr, "discriminator": d_lr},
            betas=betas,
            average={"generator": average} if average else None,
            seed=seed,
        )
        self.generator, self.discriminator = generator, discriminator
        self._batch_norm = any(
            isinstance(layer, nn.modules.batchnorm._BatchNorm)
            for network in (generator, discriminator)
            for layer in network.modules()
        )
        self.shape = self._check_players()

    # The two objectives

    def d_objective(self, batch: Batch):
        """What the discriminator minimises: its loss, and the penalty where it is due."""
        real, labels = batch
        with torch.no_grad():
            fake = self._fakes(len(real), labels)
        turn, penalty = self.turns_done["discriminator"], penalties.as_penalty(self.penalty)
        due = penalty is not None and penalty.due(turn)
        if due:  # a gradient penalty asks for the slope at the samples
            real.requires_grad_(), fake.requires_grad_()
        logits = self.logits(real, labels), self.logits(fake, labels)
        terms = {"d_loss": check_per_sample("loss.d", self.loss.d(*logits), len(real))}
        if due:
            critic = functools.partial(self.logits, labels=labels)
            terms["penalty"] = penalty(critic, real, fake, *logits, step=turn, share=self.share)
        return terms, {"real_logits": logits[0], "fake_logits": logits[1]}

    def g_objective(self, batch: Batch):
        """What the generator minimises: its loss, on fakes of the labels of the batch."""
        real, labels = batch
        real_logits = None
        if self.loss.paired:
            with torch.no_grad():
                real_logits = self.logits(real, labels)
        fake_logits = self.logits(self._fakes(len(real), labels), labels)
        values = self.loss.g(real_logits, fake_logits)
        return {"g_loss": check_per_sample("loss.g", values, len(real))}

    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The discriminator's logits (N,) of samples (N, ...), in single precision."""
        with autocast():
            return _call(self.discriminator, x, labels).float()

    def _fakes(self, n, labels):
        with autocast():
            return _call(self.generator, self._z(n), labels).float()

    def _z(self, n):
        return torch.randn(n, self.latent, device=DEVICE)

    def _constrain(self):
        if self.penalty is not None:
            penalties.as_penalty(self.penalty).constrain(self.discriminator)

    # Turns by hand

    def d_step(self, real: Tensor, labels: Tensor | None = None) -> Tensor:
        """One turn of the discriminator on `real` (N, ...): its mean loss.

        labels: (N,), in a conditional game; others don't look at them.
        """
        return self.turn("discriminator", Batch(real, labels))["d_loss"]

    def g_step(self, real: Tensor, labels: Tensor | None = None) -> Tensor:
        """One turn of the generator against `real` (N, ...), and the end of a step: its mean loss.

        labels: (N,), those to draw fakes of, in a conditional game.
        """
        loss = self.turn("generator", Batch(real, labels))["g_loss"]
        self.end_step()
        return loss

    # Samples

    def sample(self, n: int, labels=None, seed: int | None = None, batch: int = 500) -> Tensor:
        """`n` samples (n, ...) of the averaged generator, float32, on the device.

        labels: in a conditional game one label for all, or n; None goes through them, 0, 1, ...
        seed: the same one gives the same latents for the same n at any time; None draws new ones.
        batch: how many are drawn at once.
        Training goes on as if nothing had been drawn. Raises ValueError where n or labels don't
        fit.
        """
        n = check_count("n", n)
        random = self.sampling if seed is None else torch.Generator(DEVICE).manual_seed(seed)
        z = torch.randn(n, self.latent, device=DEVICE, generator=random)
        return self.decode(z, labels, batch)

    def decode(self, z: Tensor, labels=None, batch: int = 500) -> Tensor:
        """The averaged generator's samples (N, ...) for latents `z` (N, latent), float32.

        labels, batch: as for `sample`. Raises ValueError where z or labels don't fit.
        """
        z = torch.as_tensor(z, dtype=torch.float32)
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ValueError(f"z must have the shape (N, {self.latent}); got {tuple(z.shape)}")
        if self.classes is None and labels is not None:
            raise ValueError(
                "this game is not conditional, it can't be asked for labels:"
                " networks.dcgan(classes=10)"
            )
        if self.classes is not None:
            chosen = torch.arange(len(z)) % self.classes if labels is None else labels
            chosen = torch.as_tensor(chosen)
            chosen = chosen.expand(len(z)) if chosen.ndim == 0 else chosen
            labels = check_labels(chosen, len(z), self.classes)
        return generate(self.averaged, z, labels, batch)

    @property
    def averaged(self) -> nn.Module:
        """The average of the generator, or the generator itself where none is kept."""
        return self.averages["generator"][0] if self.averages else self.generator

    # What can be wrong

    @torch.no_grad()
    def _check_players(self) -> tuple[int, ...]:
        """The shape of a sample. Raises ValueError for players that don't fit each other."""
        networks = (self.generator, self.discriminator)
        # Two rows, or two for each of the copies that play side by side.
        count = 2 * math.lcm(*(getattr(network, "copies", 1) for network in networks))
        labels = None
        if self.classes is not None:
            labels = torch.arange(count, device=DEVICE) % self.classes
        state = self.randomness.state
        with self.randomness, evaluating(*networks), autocast():
            try:
                fake = _call(self.generator, torch.zeros(count, self.latent, device=DEVICE), labels)
            except Exception as error:
                raise ValueError(
                    f"the generator can't take z of shape (N, latent={self.latent}): {error}"
                ) from error
            try:
                logits = _call(self.discriminator, fake, labels)
            except Exception as error:
                raise ValueError(
                    "the discriminator can't take the generator's samples of shape"
                    f" {tuple(fake.shape[1:])}: {error}"
                ) from error
        self.randomness.state = state
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if found != (count,):
            raise ValueError(
                f"the discriminator must give one logit a sample, (N,); for N={count} it gave"
                f" {found}. End it with nn.Flatten(0); to play with more than logits, write the"
                " objectives on ganbook.game.Game"
            )
        return tuple(fake.shape[1:])

    def _check_first(self, batch) -> None:
        if not hasattr(batch, "x"):
            raise TypeError(
                "batches must be indexed by the turn, batches[k].x;"
                " data.Images(images).batches(64) makes such"
            )
        check_range(self._prepared(batch).x)

    def _prepared(self, batch) -> Batch:
        real, labels = batch.x, getattr(batch, "labels", None)
        check_samples(real, self.shape)
        if self._batch_norm and len(real) == 1:
            raise ValueError(
                "batch norm needs at least two samples to take statistics of; the batch has one"
            )
        if self.classes is not None and labels is None:
            raise ValueError(
                "this game is conditional: it needs the labels (N,) of the data; these have none"
            )
        if self.classes is not None:
            labels = check_labels(labels, len(real), self.classes)
        return Batch(on_device(real), labels)


def _common_classes(generator, discriminator) -> int | None:
    classes, judged = (getattr(n, "classes", None) for n in (generator, discriminator))
    if classes != judged:
        raise ValueError(
            f"the players must have the same `classes`; the generator has {classes},"
            f" the other {judged}"
        )
    return classes


def _call(network, x, labels):
    return network(x) if labels is None else network(x, labels)
