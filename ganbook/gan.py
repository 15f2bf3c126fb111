"""The game of one generator and one discriminator."""

import functools

import torch
from torch import Tensor, nn

from ganbook import losses, penalties
from ganbook.arguments import (
    check_count,
    check_finite,
    check_labels,
    check_network,
    check_per_sample,
    check_samples,
)
from ganbook.data import Batch
from ganbook.device import DEVICE, autocast, on_device
from ganbook.game import Game, Turn
from ganbook.guards import ONE_AT_A_TIME
from ganbook.losses import Loss
from ganbook.networks import generate, lookalike
from ganbook.players import call, common_classes, first_samples
from ganbook.sense import check_range, reach, warn_of_nonsense
from ganbook.turns import Terms


class GAN(Game):
    """A `Game` of two players, the generator and the discriminator, with a loss for each.

    generator: maps z (N, latent) to samples (N, ...).
    discriminator: maps samples (N, ...) to logits (N,).
    loss: a `losses.Loss`.
    penalty: regularises the discriminator: one of `ganbook.penalties`, a function (critic, real,
        fake, real_logits, fake_logits) to (N,), or None. `critic` is the discriminator as a
        function of samples alone. It computes in this machine's precision (`device.autocast`).
    lr: Adam's learning rate, a number or a function of the share of steps done.
    d_lr: the discriminator's learning rate; None for `lr`.
    betas: Adam's two decay rates.
    d_steps: turns of the discriminator for each turn of the generator.
    average: the decay of the generator's running average: how much of it each step keeps, at most
        (1 + steps) / (10 + steps) early on. Samples are drawn from this average. 0 for no average.
    latent: the size of z; None for the generator's attribute `latent`.
    seed: determines all random numbers of the game, and the weights of each `networks.Network`
        that is still fresh.

    Networks with an attribute `classes` are conditional: they are called with labels (N,) as well.
    Fakes are drawn with the labels of the real batch. Raises ValueError for players that don't fit
    each other and for settings out of range, TypeError for a loss or penalty of another type.
    Chapter 2 builds this game by hand.
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
        self.loss, self.penalty = loss, penalty
        check_network("generator", generator), check_network("discriminator", discriminator)
        latent = getattr(generator, "latent", None) if latent is None else latent
        if latent is None:
            raise ValueError(
                "the generator has no attribute `latent`: give the size of z, GAN(..., latent=64)."
                " Or are the two players swapped?"
            )
        d_steps = check_count("d_steps", d_steps)
        self.latent = check_count("latent", latent)
        self.classes = common_classes(generator, discriminator)
        turns = [
            Turn("discriminator", self.d_objective, d_steps, after=self._constrain),
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
        layers = discriminator.modules()
        self._works_in_place = any(getattr(layer, "inplace", False) for layer in layers)
        state = self.randomness.state
        with self.randomness:
            g, d = lookalike(generator), lookalike(discriminator)
            first = first_samples(g, d, self.latent, self.classes)
            self._range = reach(g, self.latent, first[1])
            warn_of_nonsense(d, loss, self.penalty, *first)
        self.randomness.state = state
        self.shape = tuple(first[0].shape[1:])

    @property
    def loss(self) -> Loss:
        """The loss of both players. Another may be set between two steps."""
        return self._loss

    @loss.setter
    def loss(self, loss):
        if not isinstance(loss, Loss):
            raise TypeError(
                f"loss={loss!r}: give losses.nonsaturating, say, or losses.Loss(d=..., g=...)"
            )
        self._loss, self._terms = loss, Terms()  # whether a player learns from it is not known yet

    @property
    def penalty(self) -> penalties.Penalty | None:
        """What regularises the discriminator. Another may be set between two steps."""
        return self._penalty

    @penalty.setter
    def penalty(self, penalty):
        self._penalty, self._terms = penalties.as_penalty(penalty), Terms()

    # The two objectives

    def d_objective(self, batch: Batch):
        """What the discriminator minimises: its loss, and the penalty in turns where it is due."""
        real, labels = batch
        with torch.no_grad():
            fake = self._fakes(len(real), labels)
        turn, penalty = self.turns_done["discriminator"], self.penalty
        due = penalty is not None and penalty.due(turn)
        if due:  # a gradient penalty differentiates with respect to the samples
            real.requires_grad_(), fake.requires_grad_()
        logits = self.logits(real, labels), self.logits(fake, labels)
        terms = {"d_loss": self._values("d", *logits)}
        if due:
            critic = functools.partial(self.logits, labels=labels)
            terms["penalty"] = penalty(
                critic, real, fake, *logits, turn, self.share, check=self._check_part
            )
        return terms, {"real_logits": logits[0], "fake_logits": logits[1]}

    def g_objective(self, batch: Batch):
        """What the generator minimises: its loss, on fakes with the labels of the batch."""
        real, labels = batch
        real_logits = None
        if self.loss.paired:
            with torch.no_grad():
                real_logits = self.logits(real, labels)
        fake_logits = self.logits(self._fakes(len(real), labels), labels)
        return {"g_loss": self._values("g", real_logits, fake_logits)}

    def _check_part(self, measure, values):
        weights = self.optimizers["discriminator"].param_groups[0]["params"]
        self._terms.check_part("discriminator", measure, values, weights)

    def _values(self, player, real_logits, fake_logits):
        function = getattr(self.loss, player)
        values = function(real_logits, fake_logits)
        return check_per_sample(f"loss.{player}", function, values, len(fake_logits))

    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The discriminator's logits (N,) of samples (N, ...), in single precision."""
        if self._works_in_place:  # or a first layer would write into samples that others look at
            x = x.clone()
        with autocast(self.discriminator):
            return call(self.discriminator, x, labels).float()

    def _fakes(self, n, labels):
        with autocast(self.generator):
            return call(self.generator, self._z(n), labels).float()

    def _z(self, n):
        # z is in the precision of the networks, whatever torch's default is.
        return torch.randn(n, self.latent, dtype=torch.float32, device=DEVICE)

    def _constrain(self):
        if self.penalty is not None:
            self.penalty.constrain(self.discriminator)

    # Turns by hand

    def d_step(self, real: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take one turn of the discriminator, and return its mean loss.

        real: samples (N, ...).
        labels: (N,), in a conditional game; other games ignore them.
        """
        return self.turn("discriminator", Batch(real, labels))["d_loss"]

    def g_step(self, real: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take one turn of the generator, end the step, and return the mean loss.

        real: samples (N, ...), which relativistic losses compare the fakes with.
        labels: (N,), those of the fakes to draw, in a conditional game.
        """
        loss = self.turn("generator", Batch(real, labels))["g_loss"]
        self.end_step()
        return loss

    # Samples

    def sample(self, n: int, labels=None, seed: int | None = None, batch: int = 500) -> Tensor:
        """`n` samples (n, ...) of the averaged generator, float32, on the device.

        labels: in a conditional game one label for all, or n; None cycles through 0, 1, ...
        seed: the same seed, 0 or more, and n always give the same latents; None draws new ones.
        batch: how many samples are drawn at once.
        Sampling does not change training, unless a layer changes its own state in evaluation
        mode too. Raises ValueError if n, labels or seed don't fit.
        """
        n = check_count("n", n)
        random = self.sampling
        if seed is not None:
            random = torch.Generator(DEVICE).manual_seed(check_count("seed", seed, least=0))
        z = torch.randn(n, self.latent, dtype=torch.float32, device=DEVICE, generator=random)
        return self.decode(z, labels, batch)

    def decode(self, z: Tensor, labels=None, batch: int = 500) -> Tensor:
        """The averaged generator's samples (N, ...) for latents `z` (N, latent), float32.

        labels, batch: as for `sample`. Raises ValueError if z or labels don't fit.
        """
        z = torch.as_tensor(z, dtype=torch.float32)
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ValueError(f"z must have the shape (N, {self.latent}); got {tuple(z.shape)}")
        if self.classes is None and labels is not None:
            raise ValueError(
                "this game is not conditional, so it takes no labels: leave them out, or build the"
                " networks with classes=10, say"
            )
        if self.classes is not None:
            chosen = torch.arange(len(z)) % self.classes if labels is None else labels
            chosen = torch.as_tensor(chosen)
            chosen = chosen.expand(len(z)) if chosen.ndim == 0 else chosen
            labels = check_labels(chosen, len(z), self.classes)
        with ONE_AT_A_TIME:  # without an average, a thread may be training this generator
            return generate(self.averaged, z, labels, batch)

    @property
    def averaged(self) -> nn.Module:
        """The average of the generator, or the generator itself if there is no average."""
        return self.averages["generator"][0] if self.average else self.generator

    # What can be wrong

    def _check_first(self, batch) -> None:
        if not hasattr(batch, "x"):
            raise TypeError(
                "batches must support indexing and have samples, batches[k].x, as"
                " data.Images(images).batches(64) does"
            )
        real = self._prepared(batch).x
        check_finite(real)
        check_range(real, *self._range)

    def _prepared(self, batch) -> Batch:
        real, labels = batch.x, getattr(batch, "labels", None)
        check_samples(real, self.shape)
        if self.classes is None:
            return Batch(on_device(real))
        if labels is None:
            raise ValueError(
                "this game is conditional, but the batch has no labels: build the data as"
                " data.Images(images, labels), or pass labels to d_step and g_step"
            )
        return Batch(on_device(real), check_labels(labels, len(real), self.classes))
