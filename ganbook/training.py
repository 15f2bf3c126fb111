"""The game: two players, their optimisers, one step of each, the loop, checkpoints."""

import copy
import io
import math
import numbers
import operator
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from ganbook import files, losses, networks, penalties
from ganbook.arguments import check_count, check_number
from ganbook.device import DEVICE, autocast
from ganbook.losses import Loss
from ganbook.penalties import Penalty, Term
from ganbook.schedules import falling, value_at

FORMAT = "ganbook game 1"
_ON_CPU = DEVICE.type == "cpu"


class Step(NamedTuple):
    """What one step of the game says, all detached and still on the device: reading them as numbers
    waits for it.

    index: steps done, this one included. d_loss, g_loss: means over the batch, the penalty not
    included. real_logits, fake_logits (N,): what the discriminator said of the two batches in its
    turn, before it learned from them.
    """

    index: int
    d_loss: Tensor
    g_loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor

    def floats(self) -> dict[str, float]:
        """The losses and the mean logits as Python numbers. This waits for the device."""
        tensors = (self.d_loss, self.g_loss, self.real_logits.mean(), self.fake_logits.mean())
        names = ("d_loss", "g_loss", "real_logit", "fake_logit")
        return dict(zip(names, torch.stack(tensors).tolist(), strict=True))


class GAN:
    """A generator and a discriminator with all that their game needs, and the number of steps they
    have done.

    generator: z (N, latent) to samples (N, ...). discriminator: samples to logits (N,). loss: a
    `losses.Loss`. penalty: a `penalties.Penalty`, or a function (critic, real, fake, real_logits,
    fake_logits) to (N,), or None. lr: the learning rate of both players, a number or a function of
    the share of steps done; d_lr: the discriminator's, where it differs. betas: Adam's. d_steps:
    turns of the discriminator for each of the generator. average: how much of the averaged
    generator, which is the one that samples, stays at each step (0: no averaging). latent: the size
    of z, where the generator has no attribute of that name. seed: decides the weights of networks
    made by `ganbook.networks` (unless they have been changed since), and all that is random in the
    game.

    clip: after each turn of the discriminator its weights are cut off at -clip and clip; None
    leaves them. Arjovsky et al. 2017, algorithm 1 (arXiv:1701.07875). Chapter 7.

    Networks with an attribute `classes` are conditional: the game calls them with labels (N,) as
    well, the real images' own, and fakes are drawn of the same. A discriminator that gives (logits
    (N,), class logits (N, classes)) has an auxiliary classifier: both players minimise its
    cross-entropy besides, times `auxiliary`. class_weights: for each label what its samples' losses
    are multiplied by. Chapter 6.

    augment: a function of samples (N, ...) to as many of the same shape, or None. The discriminator
    sees nothing, real or fake, in its own turn or the generator's, but through it. A penalty is
    taken at what it returns. Chapter 10.

    Raises ValueError for players that don't fit each other and for settings out of range. Chapter 2
    builds it by hand.
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
        auxiliary: float = 1.0,
        class_weights=None,
        clip: float | None = None,
        augment=None,
    ):
        check_number("lr", lr)
        check_number("d_lr", lr if d_lr is None else d_lr)
        if not isinstance(loss, Loss):
            raise TypeError(
                f"loss={loss!r}: give losses.nonsaturating, say, or losses.Loss(d=..., g=...) of"
                f" your own"
            )
        if not 0 <= average < 1:
            raise ValueError(
                f"average={average}: the share that stays must be at least 0 and below 1"
            )
        self.generator, self.discriminator = _placed(generator), _placed(discriminator)
        self.loss, self.lr, self.d_lr, self.betas = loss, lr, d_lr, tuple(map(float, betas))
        self.penalty = penalties.as_penalty(penalty)
        self.d_steps, self.average, self.seed = (
            check_count("d_steps", d_steps),
            float(average),
            operator.index(seed),
        )
        latent = getattr(generator, "latent", None) if latent is None else latent
        if latent is None:
            raise ValueError(
                "the generator has no attribute `latent`: give the size of z, GAN(..., latent=64)"
            )
        self.latent = check_count("latent", latent)
        if clip is not None and not (isinstance(clip, numbers.Real) and 0 < clip < math.inf):
            raise ValueError(
                f"clip={clip!r}: give the size at which the weights are cut off, above 0, or None"
            )
        self.clip = None if clip is None else float(clip)
        if not (augment is None or callable(augment)):
            raise TypeError(f"augment={augment!r}: give a function of samples (N, ...), or None")
        self.augment = augment
        self.classes = _common_classes(generator, discriminator)
        check_number("auxiliary", auxiliary)
        self.auxiliary, self.class_weights = float(auxiliary), None
        if class_weights is not None:
            weights = torch.as_tensor(class_weights, dtype=torch.float32).to(DEVICE)
            if self.classes is None or weights.shape != (self.classes,) or not (weights >= 0).all():
                raise ValueError(
                    f"class_weights must be one number for each of {self.classes} classes, 0 or"
                    f" more"
                )
            self.class_weights = weights

        self._random_state = torch.Generator(DEVICE).manual_seed(self.seed).get_state()
        self._sampling = torch.Generator(DEVICE).manual_seed(self.seed)
        with _OwnRandomness(self):
            for network in (generator, discriminator):
                if isinstance(network, networks.Network) and network.fresh:
                    network.draw()
        self.averaged = (
            copy.deepcopy(self.generator).eval().requires_grad_(False)
            if average
            else self.generator
        )
        self._pairs = _floating_pairs(self.averaged, self.generator) if average else ([], [])
        self._g_optimizer = self._adam(self.generator, lr)
        self._d_optimizer = self._adam(self.discriminator, lr if d_lr is None else d_lr)
        self._d_weights = list(self.discriminator.parameters())
        self._batch_norm = any(
            isinstance(layer, nn.modules.batchnorm._BatchNorm)
            for network in (generator, discriminator)
            for layer in network.modules()
        )
        self.shape = self._check_players()

        self.steps_done = 0
        self._d_turns = 0
        self._steps_planned: int | None = None
        self._unread: list[tuple[int, str, Tensor]] = []

    # Playing

    def train(self, batches, steps: int, progress: bool = True) -> Iterator[Step]:
        """Play until `steps` steps are done in all, and yield each as a `Step`: the caller's loop
        owns the game.

        batches: what `.batches(size)` of a data set gives. Its k-th batch feeds the discriminator's
        k-th turn, so a game that was left, or saved and loaded, goes on with the data it would have
        seen. Schedules take the share of steps done. Raises ValueError for steps already done or a
        batch that doesn't fit, FloatingPointError naming the step and the player where a loss stops
        being finite. An interrupt arrives between two steps: the game stays whole.
        """
        steps = check_count("steps", steps)
        first = batches[self._d_turns] if hasattr(batches, "__getitem__") else None
        if not hasattr(first, "x"):
            raise TypeError(
                "batches must be indexed by the turn, batches[k].x;"
                " data.Images(images).batches(64) makes such"
            )
        if steps <= self.steps_done:
            raise ValueError(
                f"this game has done {self.steps_done} steps already; `steps` counts them all, so"
                f" ask for more"
                f" (steps={2 * self.steps_done}) or start a new GAN"
            )
        self._check_values(first.x)
        self._labels_of(first.x, getattr(first, "labels", None))
        self._steps_planned = steps
        return self._train(batches, steps, progress)

    def _train(self, batches, steps, progress):
        # None hides the bar where nobody looks. As an argument it would overrule tqdm's own switch.
        hidden = None if progress and not os.environ.get("TQDM_DISABLE") else True
        with tqdm(total=steps, initial=self.steps_done, disable=hidden, unit="step") as bar:
            while self.steps_done < steps:
                with _WholeStep(), _OwnRandomness(self), torch.enable_grad():
                    for _ in range(self.d_steps):
                        batch = batches[self._d_turns]
                        real = self._fitting(batch.x)
                        labels = self._labels_of(real, getattr(batch, "labels", None))
                        d_loss, real_logits, fake_logits = self._d_turn(real, labels)
                    g_loss = self._g_turn(real, labels)
                bar.update()
                yield Step(self.steps_done, d_loss, g_loss, real_logits, fake_logits)
        self._read_losses()

    def d_step(self, real: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """One turn of the discriminator on `real` (N, ...): its mean loss, and its logits (N,) on
        real and on fake.

        labels (N,) are for conditional games, which need them; others don't look at them.
        """
        real = self._fitting(real)
        labels = self._labels_of(real, labels)
        with _OwnRandomness(self), torch.enable_grad():
            return self._d_turn(real, labels)

    def g_step(self, real: Tensor, labels: Tensor | None = None) -> Tensor:
        """One turn of the generator against `real` (N, ...), then of its average: its mean loss.
        This ends a step.

        labels (N,): those to draw fakes of, and of `real`, in a conditional game.
        """
        real = self._fitting(real)
        labels = self._labels_of(real, labels)
        with _OwnRandomness(self), torch.enable_grad():
            return self._g_turn(real, labels)

    def _d_turn(self, real, labels):
        share = self._share()
        _set_rate(self._d_optimizer, self.lr if self.d_lr is None else self.d_lr, share)
        due = self.penalty is not None and self.penalty.due(self._d_turns)
        with torch.no_grad(), autocast():
            fake = _call(self.generator, self._z(real.shape[0]), labels).float()
            real, fake = self._augmented(real), self._augmented(fake)
        if due:
            real, fake = real.detach().requires_grad_(), fake.requires_grad_()
        real_logits, real_classes = self._judge(real, labels)
        fake_logits, fake_classes = self._judge(fake, labels)
        loss = self._mean(self.loss.d(real_logits, fake_logits), real, "loss.d", labels)
        objective = loss
        if real_classes is not None:
            objective = (
                loss
                + self._class_loss(real_classes, labels)
                + self._class_loss(fake_classes, labels)
            )
        self._notice(objective, "discriminator", real)
        if due:
            critic = self.discriminator if labels is None else lambda x: self._judge(x, labels)[0]
            terms = self.penalty(
                critic, real, fake, real_logits, fake_logits, step=self._d_turns, share=share
            )
            penalty = terms.mean()
            self._notice(penalty, "discriminator's penalty", real)
            objective = objective + penalty
        self._d_optimizer.zero_grad()
        # A penalty made the samples want gradients too. Nobody reads those: they need not be
        # computed.
        objective.backward(
            inputs=[weight for weight in self._d_weights if weight.requires_grad] if due else None
        )
        self._d_optimizer.step()
        if self.clip is not None:  # after the step: the generator is to meet a clipped critic
            with torch.no_grad():
                torch._foreach_clamp_min_(self._d_weights, -self.clip)
                torch._foreach_clamp_max_(self._d_weights, self.clip)
        self._d_turns += 1
        return loss.detach(), real_logits.detach(), fake_logits.detach()

    def _g_turn(self, real, labels):
        _set_rate(self._g_optimizer, self.lr, self._share())
        # Meanwhile the discriminator's weights get no gradients: the generator's turn needs none of
        # them.
        fixed = [weight for weight in self._d_weights if weight.requires_grad]
        for weight in fixed:
            weight.requires_grad_(False)
        try:
            real_logits = None
            if self.loss.paired:
                with torch.no_grad():
                    real_logits, _ = self._judge(self._augmented(real), labels)
            with autocast():
                fake = _call(self.generator, self._z(real.shape[0]), labels)
            fake_logits, fake_classes = self._judge(self._augmented(fake), labels)
            loss = objective = self._mean(
                self.loss.g(real_logits, fake_logits), real, "loss.g", labels
            )
            if fake_classes is not None:
                objective = loss + self._class_loss(fake_classes, labels)
            self._notice(objective, "generator", real)
            self._g_optimizer.zero_grad()
            objective.backward()
            self._g_optimizer.step()
        finally:
            for weight in fixed:
                weight.requires_grad_(True)
        self._end_step()
        return loss.detach()

    def _end_step(self) -> None:
        if self.average:
            # Early on the average is short, so that it forgets the first, random weights.
            stays = min(self.average, (1 + self.steps_done) / (10 + self.steps_done))
            torch._foreach_lerp_(*self._pairs, 1 - stays)
        self.steps_done += 1

    def _augmented(self, x):
        if self.augment is None:
            return x
        seen = self.augment(x)
        if seen.shape != x.shape:
            raise ValueError(
                f"augment must return the shape it is given, {tuple(x.shape)}; got"
                f" {tuple(seen.shape)}"
            )
        return seen

    def _judge(self, x, labels):
        """The discriminator's logits (N,) and its class logits (N, classes), None without an
        auxiliary classifier."""
        with autocast():
            verdict = _call(self.discriminator, x, labels)
        logits, classes = verdict if isinstance(verdict, tuple) else (verdict, None)
        return logits.float(), classes

    def _class_loss(self, class_logits, labels):
        values = F.cross_entropy(class_logits.float(), labels, reduction="none")
        return self.auxiliary * self._weighted(values, labels).mean()

    @torch.no_grad()
    def sample(self, n: int, labels=None, seed: int | None = None, batch: int = 500) -> Tensor:
        """Draw `n` samples (n, ...) of the averaged generator, in evaluation mode, as float32 on
        the device.

        labels: in a conditional game one label for all, or n of them; None goes through the classes
        in turn, 0, 1, ... The same seed gives the same latents at any time of the training; None
        draws new ones. Training is not touched.
        """
        n = check_count("n", n)
        random = self._sampling if seed is None else torch.Generator(DEVICE).manual_seed(seed)
        return self.decode(
            torch.randn(n, self.latent, device=DEVICE, generator=random), labels, batch
        )

    @torch.no_grad()
    def decode(self, z: Tensor, labels=None, batch: int = 500) -> Tensor:
        """The averaged generator's samples (N, ...) for latents `z` (N, latent), in evaluation
        mode, as float32.

        labels: as for `sample`.
        """
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise ValueError(f"z must have the shape (N, {self.latent}); got {tuple(z.shape)}")
        if self.classes is None and labels is not None:
            raise ValueError(
                "this game is not conditional, it can't be asked for labels:"
                " networks.dcgan(classes=10)"
            )
        if self.classes is not None:
            chosen = (
                torch.arange(len(z)) % self.classes if labels is None else torch.as_tensor(labels)
            )
            labels = self._labels_of(z, chosen.expand(len(z)) if chosen.ndim == 0 else chosen)
        copies = getattr(self.averaged, "copies", 1)
        batch = (
            max(1, batch // copies) * copies
        )  # a part begins with the first copy, as the whole does
        training = self.averaged.training
        self.averaged.eval()
        try:
            with autocast():
                parts = z.to(DEVICE).split(batch)
                asked = [None] * len(parts) if labels is None else labels.split(batch)
                drawn = [
                    _call(self.averaged, part, y).float()
                    for part, y in zip(parts, asked, strict=True)
                ]
                return torch.cat(drawn)
        finally:
            self.averaged.train(training)

    # Saving

    def save(self, path) -> None:
        """Write the whole game to `path`: networks, average, optimisers, random state, position in
        the data.

        The file appears whole or not at all. Raises OSError, the old file untouched, where it can't
        be written.
        """
        self._read_losses()
        recipes = [
            getattr(network, "recipe", None) for network in (self.generator, self.discriminator)
        ]
        content = {
            "format": FORMAT,
            "players": recipes[0] if recipes[0] == recipes[1] else None,
            "layers": self._layers(),
            "settings": {
                "loss": _name_of(self.loss, losses),
                "penalty": _describe_penalty(self.penalty),
                "lr": _describe_number(self.lr),
                "d_lr": _describe_number(self.d_lr),
                "betas": self.betas,
                "d_steps": self.d_steps,
                "average": self.average,
                "latent": self.latent,
                "seed": self.seed,
                "auxiliary": self.auxiliary,
                "clip": self.clip,
                "augment": None if self.augment is None else _own(self.augment),
                "class_weights": None
                if self.class_weights is None
                else self.class_weights.tolist(),
            },
            "state": self._state(),
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        try:
            with files.atomic(Path(path)) as temporary:
                temporary.write_bytes(buffer.getbuffer())
        except OSError as error:
            message = f"the game could not be saved ({error.strerror}); no file was changed"
            raise OSError(error.errno, message, str(path)) from error

    @classmethod
    def load(cls, path, generator=None, discriminator=None, **own) -> "GAN":
        """The game saved at `path`. On the same machine it goes on bit for bit as if it had never
        stopped.

        On another kind of device it goes on too, but with other random numbers: each kind has a
        generator of its own. What the package made, networks, losses, penalties, schedules, comes
        back by itself; your own networks and your own functions are given again: `GAN.load(path,
        generator, discriminator, loss=my_loss)`. Raises ValueError for a file that is no
        checkpoint, is cut off, or belongs to other networks. Nothing in the file is executed.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no checkpoint at {path}")
        try:
            with zipfile.ZipFile(path) as archive:  # torch reads a damaged one without a word
                if archive.testzip() is not None:
                    raise zipfile.BadZipFile
            content = torch.load(path, map_location=DEVICE, weights_only=True)
            known = content["format"] == FORMAT
        except Exception as error:
            raise ValueError(
                f"{path} is not a checkpoint of a game, or it is cut off or damaged"
            ) from error
        if not known:
            raise ValueError(
                f"{path} is of the format {content['format']!r}; this version reads {FORMAT!r}"
            )
        if (generator is None) != (discriminator is None):
            raise ValueError("give both networks, or none to have them rebuilt as they were saved")
        if generator is None:
            if content["players"] is None:
                raise ValueError(
                    f"{path} holds networks put together by you: GAN.load(path, generator,"
                    f" discriminator)"
                )
            generator, discriminator = networks.rebuild(content["players"])
        settings = {**_restored(content["settings"]), **own}
        for name, value in settings.items():
            if isinstance(value, _Own):
                raise ValueError(
                    f"{path} was played with a {name} of your own: GAN.load(path, {name}=...)"
                )
        gan = cls(generator, discriminator, **settings)
        try:
            gan._set_state(content["state"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).strip().split("\n")
            raise ValueError(
                f"{path} belongs to other networks: {' '.join(reason[:2]).strip()}"
            ) from error
        if content["layers"] != gan._layers():
            raise ValueError(
                f"{path} belongs to other networks: the weights fit these, but other layers lie"
                f" between"
            )
        return gan

    def _layers(self) -> list[str]:
        return [str(self.generator), str(self.discriminator)]

    def _state(self) -> dict:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "averaged": self.averaged.state_dict(),
            "g_optimizer": self._g_optimizer.state_dict(),
            "d_optimizer": self._d_optimizer.state_dict(),
            "random": self._random_state,
            "sampling": self._sampling.get_state(),
            "steps_done": self.steps_done,
            "d_turns": self._d_turns,
            "steps_planned": self._steps_planned,
        }

    def _set_state(self, state: dict) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        if self.average:
            self.averaged.load_state_dict(state["averaged"])
        self._g_optimizer.load_state_dict(state["g_optimizer"])
        self._d_optimizer.load_state_dict(state["d_optimizer"])
        for optimizer in (self._g_optimizer, self._d_optimizer):
            for group in optimizer.param_groups:
                group["betas"] = self.betas
        if (
            state["random"].shape == self._random_state.shape
        ):  # else it was played on another kind of device
            self._random_state = state["random"].cpu()
            self._sampling.set_state(state["sampling"].cpu())
        self.steps_done, self._d_turns = state["steps_done"], state["d_turns"]
        self._steps_planned = state["steps_planned"]

    # What the turns are made of

    def _adam(self, network, lr):
        # One fused kernel in place of a dozen small ones a weight.
        return torch.optim.Adam(
            [weight for weight in network.parameters() if weight.requires_grad],
            lr=value_at(lr, 0.0),
            betas=self.betas,
            fused=DEVICE.type in ("cpu", "cuda"),
        )

    def _z(self, n: int) -> Tensor:
        return torch.randn(n, self.latent, device=DEVICE)

    def _share(self) -> float:
        return self.steps_done / self._steps_planned if self._steps_planned else 0.0

    # What can be wrong

    @torch.no_grad()
    def _check_players(self) -> tuple[int, ...]:
        # Two rows, or two for each of the copies that play side by side.
        count = 2 * math.lcm(
            *(getattr(network, "copies", 1) for network in (self.generator, self.discriminator))
        )
        with _OwnRandomness(self), autocast():
            state = self._random_state
            self.generator.eval(), self.discriminator.eval()
            try:
                labels = (
                    None
                    if self.classes is None
                    else torch.arange(count, device=DEVICE) % self.classes
                )
                fake = _call(self.generator, torch.zeros(count, self.latent, device=DEVICE), labels)
            except Exception as error:
                raise ValueError(
                    f"the generator can't take z of shape (N, latent={self.latent}): {error}"
                ) from error
            try:
                logits, class_logits = self._judge(fake, labels)
            except Exception as error:
                raise ValueError(
                    f"the discriminator can't take the generator's samples of shape"
                    f" {tuple(fake.shape[1:])}: {error}"
                ) from error
            self.generator.train(), self.discriminator.train()
        self._random_state = state
        if logits.shape != (count,):
            raise ValueError(
                f"the discriminator must give one logit a sample, (N,); for N={count} it gave"
                f" {tuple(logits.shape)}."
                " End it with nn.Flatten(0)"
            )
        if class_logits is not None and (
            labels is None or class_logits.shape != (count, self.classes)
        ):
            raise ValueError(
                f"the discriminator's class logits must be (N, classes={self.classes}); got"
                f" {tuple(class_logits.shape)}"
            )
        return tuple(fake.shape[1:])

    def _labels_of(self, x: Tensor, labels) -> Tensor | None:
        if self.classes is None:
            return None
        if labels is None:
            raise ValueError(
                "this game is conditional: it needs the labels (N,) of the data, and these have"
                " none"
            )
        labels = torch.as_tensor(labels).to(DEVICE)
        if labels.shape != x.shape[:1] or labels.is_floating_point():
            raise ValueError(
                f"labels must be {len(x)} whole numbers, one a sample; got {tuple(labels.shape)}"
            )
        if _ON_CPU and (
            labels.min() < 0 or labels.max() >= self.classes
        ):  # on a GPU a look is a wait
            low, high = labels.min().item(), labels.max().item()
            raise ValueError(
                f"labels must lie in 0..{self.classes - 1}; these reach from {low} to {high}"
            )
        return labels.long()

    def _weighted(self, values: Tensor, labels) -> Tensor:
        return values if self.class_weights is None else values * self.class_weights[labels]

    def _fitting(self, real: Tensor) -> Tensor:
        if real.shape[1:] != self.shape:
            raise ValueError(
                f"the generator draws samples of shape {self.shape}; the batch holds"
                f" {tuple(real.shape[1:])}"
            )
        if not real.is_floating_point():
            raise ValueError(f"the data must be floating-point numbers; it is {real.dtype}")
        if self._batch_norm and real.shape[0] == 1:
            raise ValueError(
                "batch norm needs at least two samples to take statistics of; the batch has one"
            )
        for network in (self.generator, self.discriminator):
            if not network.training:
                network.train()
        return real.to(DEVICE, torch.float32)

    def _check_values(self, real: Tensor) -> None:
        real = self._fitting(real)
        if not torch.isfinite(real).all():
            raise ValueError("the data holds NaN or infinity")
        if real.ndim == 4 and real.abs().max() > 1.0001:  # as data.Images has it
            raise ValueError(
                f"images must lie in [-1, 1], as the generator's do; these reach"
                f" {real.abs().max().item():.3g}"
            )

    def _mean(self, values: Tensor, real: Tensor, name: str, labels) -> Tensor:
        if values.shape != real.shape[:1]:
            raise ValueError(
                f"{name} must give one value a sample, shape ({len(real)},); it gave"
                f" {tuple(values.shape)}."
                " Leave the mean to the game"
            )
        return self._weighted(values, labels).mean()

    def _notice(self, loss: Tensor, player: str, real: Tensor) -> None:
        """Stop at a loss that is not finite: at once on the CPU; every 64 losses on a GPU, where a
        look is a wait."""
        if _ON_CPU:
            if not math.isfinite(loss.item()):
                cause = (
                    ""
                    if torch.isfinite(real).all()
                    else ": the batch of data holds NaN or infinity"
                )
                raise FloatingPointError(
                    _diverged(self.steps_done + 1, player, loss.item()) + cause
                )
            return
        self._unread.append((self.steps_done + 1, player, loss.detach()))
        if len(self._unread) >= 64:
            self._read_losses()

    def _read_losses(self) -> None:
        unread, self._unread = self._unread, []
        for (step, player, _), value in zip(
            unread, [loss.item() for *_, loss in unread], strict=True
        ):
            if not math.isfinite(value):
                raise FloatingPointError(_diverged(step, player, value))


def _diverged(step, player, value) -> str:
    return f"step {step}: the {player} has the loss {value}. Try a lower learning rate or a penalty"


def _common_classes(generator, discriminator) -> int | None:
    classes, judged = (getattr(network, "classes", None) for network in (generator, discriminator))
    if classes != judged:
        raise ValueError(
            f"the players must have the same `classes`; the generator has {classes}, the other"
            f" {judged}"
        )
    return classes


def _call(network, x, labels):
    return network(x) if labels is None else network(x, labels)


def _placed(network: nn.Module) -> nn.Module:
    """`network` on the device, its weights of 2-D convolutions in the layout that these are fast
    in."""
    flat = all(
        weight.ndim != 5 for weight in network.parameters()
    )  # the layout knows no 3-D convolutions
    return network.to(DEVICE, memory_format=torch.channels_last if flat else torch.preserve_format)


def _set_rate(optimizer, lr, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = value_at(lr, share)


def _floating_pairs(average: nn.Module, live: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The weights and running statistics of two copies of one network, in the same order, shared
    ones once."""
    return tuple(
        [
            value.detach()
            for value in (*network.parameters(), *network.buffers())
            if value.is_floating_point()
        ]
        for network in (average, live)
    )


class _WholeStep:
    """Hold an interrupt (Ctrl-C, the notebook's stop button) back until the step is whole."""

    def __enter__(self):
        self.caught, self.previous = [], None
        if threading.get_ident() == threading.main_thread().ident:
            self.previous = signal.signal(signal.SIGINT, self._catch)

    def _catch(self, *signal_and_frame):
        self.caught.append(signal_and_frame)

    def __exit__(self, error, *_):
        if self.previous is None:
            return
        signal.signal(signal.SIGINT, self.previous)
        if error is None and self.caught and callable(self.previous):
            self.previous(*self.caught[0])


class _OwnRandomness:
    """Within, torch's global random generator is the game's: latents, dropout, a reader's loss draw
    from it."""

    def __init__(self, gan):
        self.gan = gan

    def __enter__(self):
        self.outside = _get_random_state()
        _set_random_state(self.gan._random_state)

    def __exit__(self, *_):
        self.gan._random_state = _get_random_state()
        _set_random_state(self.outside)


if _ON_CPU:
    _get_random_state, _set_random_state = (
        torch.default_generator.get_state,
        torch.default_generator.set_state,
    )
else:
    _get_random_state, _set_random_state = (
        getattr(getattr(torch, DEVICE.type), name) for name in ("get_rng_state", "set_rng_state")
    )


class _Own(str):
    """In place of a setting that is a reader's own function: a checkpoint can name it, not hold
    it."""


_OWN = "own function: "


def _name_of(value, module) -> str:
    for name, known in vars(module).items():
        if known is value and not name.startswith("__"):
            return name
    return _own(value)


def _own(value) -> str:
    return _OWN + getattr(value, "__name__", type(value).__name__)


def _describe_number(number):
    if isinstance(number, falling):
        return {"falling": [float(end) for end in number]}
    if callable(number):
        return _own(number)
    return None if number is None else float(number)


def _describe_penalty(penalty):
    if penalty is None:
        return None
    return [
        {
            "measure": _name_of(term.measure, penalties),
            "weight": _describe_number(term.weight),
            "every": term.every,
        }
        for term in penalty.terms
    ]


def _restored(settings: dict) -> dict:
    """The settings of a checkpoint as GAN takes them; what was a reader's own function comes back
    as `_Own`."""

    def number(value):
        if isinstance(value, dict):
            return falling(*value["falling"])
        return _Own(value) if isinstance(value, str) else value

    def penalty(terms):
        if terms is None:
            return None
        for term in terms:
            if term["measure"].startswith(_OWN) or isinstance(number(term["weight"]), _Own):
                return _Own(term["measure"])
        return Penalty(
            tuple(
                Term(getattr(penalties, t["measure"]), number(t["weight"]), t["every"])
                for t in terms
            )
        )

    loss = settings["loss"]
    return {
        **settings,
        "loss": _Own(loss) if loss.startswith(_OWN) else getattr(losses, loss),
        "augment": _Own(settings["augment"]) if settings.get("augment") else None,
        "penalty": penalty(settings["penalty"]),
        "lr": number(settings["lr"]),
        "d_lr": number(settings["d_lr"]),
    }
