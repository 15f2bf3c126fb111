"""Games of any players: each minimises its own objective with respect to its own weights."""

import math
import operator
import os
from collections.abc import Iterator
from functools import reduce

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ganbook import checkpoints
from ganbook.arguments import check_choice, check_count, check_number
from ganbook.built import built
from ganbook.device import DEVICE, on_device
from ganbook.guards import ONE_AT_A_TIME, FiniteLosses, Randomness, WholeStep
from ganbook.networks import Average, Network, uncompiled
from ganbook.players import (
    check_optimized,
    check_owners,
    has_gradient,
    placed_networks,
    warn_of_idle,
)
from ganbook.schedules import value_at
from ganbook.turns import Explained, Step, Terms, Turn, asked


class Game:
    """A training loop for players who take turns, each minimising an objective of its own.

    players: {name: network}, or a tuple of networks that learn together in place of one.
    turns: the turns of one step, in order. The first turn draws a new batch each time it is taken;
        later turns get the batch that was drawn last.
    memory: {name: module}: modules that are not trained but are saved with the game, such as a
        pool of past fakes.
    lr: Adam's learning rate for all players, a number or a function of the share of steps done; or
        a dictionary with one for each player. It is set at each turn, so a torch scheduler has
        no effect.
    betas: Adam's two decay rates.
    average: {player: decay}: the players whose networks are averaged, in `averages`, and how much
        of the running average each step keeps, at most (1 + steps) / (10 + steps) early on.
    seed: determines all random numbers of the objectives, and the weights of each
        `networks.Network` that is still fresh.

    Networks are moved to the device, in single precision. Within a turn, torch's global random
    numbers are the game's own; those of numpy and of Python are not. Games in several threads
    play one at a time. Raises ValueError or TypeError for settings that don't fit. Chapter 6.
    """

    def __init__(
        self,
        players: dict[str, nn.Module | tuple[nn.Module, ...]],
        turns: list[Turn],
        *,
        memory: dict[str, nn.Module] | None = None,
        lr=1e-3,
        betas: tuple[float, float] = (0.0, 0.99),
        average: dict[str, float] | None = None,
        seed: int = 0,
    ):
        named = [players, memory or {}]
        if not all(isinstance(d, dict) and all(type(name) is str for name in d) for d in named):
            raise TypeError(
                "players and memory must be dictionaries, {name: network} and {name: module}, with"
                " strings as names"
            )
        if not all(isinstance(module, nn.Module) for module in (memory or {}).values()):
            raise TypeError("memory holds modules, {name: module}: keep a tensor as a buffer")
        self.players = {name: placed_networks(name, given) for name, given in players.items()}
        self.turns = [Turn(*turn) for turn in turns]
        self.memory = {name: module.to(DEVICE) for name, module in (memory or {}).items()}
        self.lr, self.betas = lr, tuple(map(float, betas))
        self.average = average or {}
        self._check_settings()
        seed = operator.index(seed)
        self.randomness = Randomness(seed)
        with self.randomness:
            for network in self._networks():
                network = uncompiled(network)
                if isinstance(network, Network) and network.fresh:
                    network.draw()
        self._averages = {name: [Average(n) for n in self.players[name]] for name in self.average}
        self.optimizers = {name: self._adam(name) for name in self.players}
        self.steps_done, self.batches_drawn, self.steps_planned = 0, 0, None
        self.turns_done = dict.fromkeys(self.players, 0)
        self.sampling = torch.Generator(DEVICE).manual_seed(seed)  # not shared with training
        self._finite, self._terms = FiniteLosses(), Terms()
        self._idle = set(map(id, self._networks()))  # those without a gradient so far
        self._built = built(self)

    @property
    def averages(self) -> dict[str, tuple[nn.Module, ...]]:
        """{player: its averaged networks}; what is not averaged in them is that of the moment."""
        return {name: tuple(a.synced() for a in own) for name, own in self._averages.items()}

    @property
    def share(self) -> float:
        """The share of the planned steps done so far, from 0 to 1; 0 without a plan."""
        return min(1.0, self.steps_done / self.steps_planned) if self.steps_planned else 0.0

    # Playing

    def train(self, batches, steps: int, progress: bool = True) -> Iterator[Step]:
        """Play until `steps` steps are done in total, and yield each as a `Step`.

        batches: what `.batches(size)` of a data set returns. `batches[k]`, a function of k alone,
            is the k-th batch, so a resumed game sees the data that it would have seen anyway.
        steps: how many in total, including those already done.
        progress: whether to show a progress bar, in a terminal or a notebook.
        Raises ValueError if the steps are done already, TypeError if the batches can't be indexed,
        FloatingPointError if a loss is not finite, naming step, player and term. Warns of a network
        that no term of the first step depends on. An interrupt waits for the end of the step, which
        is then not yielded; a second one does not wait.
        """
        steps = check_count("steps", steps)
        if not hasattr(batches, "__getitem__") or isinstance(batches, Tensor):
            raise TypeError(
                "batches must support indexing, batches[k], as data.Images(images).batches(64) does"
            )
        if steps <= self.steps_done:
            raise ValueError(
                f"this game has done {self.steps_done} steps already; `steps` counts them all, so"
                f" ask for more (steps={2 * self.steps_done}) or start a new game"
            )
        check_optimized(self.players, self.optimizers, self._averages)
        self._check_first(batches[self.batches_drawn])
        return self._train(batches, steps, progress)

    def _train(self, batches, steps, progress):
        # None hides the bar outside terminals and notebooks. An argument overrides TQDM_DISABLE,
        # so the variable is read here.
        hidden = None if progress and not os.environ.get("TQDM_DISABLE") else True
        self.steps_planned = steps
        with tqdm(total=steps, initial=self.steps_done, disable=hidden, unit="step") as bar:
            while self.steps_done < steps:
                if self.steps_done % 50 == 0:  # now and then, because it takes time
                    check_optimized(self.players, self.optimizers, self._averages)
                losses, seen = {}, {}
                with WholeStep(), self.randomness, torch.enable_grad():
                    for turn in self.turns:
                        for _ in range(turn.times):
                            if turn is self.turns[0]:
                                batch = self._prepared(batches[self.batches_drawn])
                            means, shown = self._take(turn, batch)
                            losses |= means
                            seen |= shown
                    self.end_step()
                if self._idle:
                    acting = {turn.player: self.players[turn.player] for turn in self.turns}
                    warn_of_idle(acting, self._idle)
                    self._idle = set()
                bar.update()
                yield Step(self.steps_done, losses, seen)
        self._finite.read()

    def turn(self, player: str, batch) -> dict[str, Tensor]:
        """Take the first of a player's turns once, on your own batch, and return its terms' means.

        player: the player's name. batch: as `batches[k]` in `train`.
        Waits for the device, to see whether the losses are finite. Raises ValueError for a player
        that is not in the game and for weights that are new to it, FloatingPointError as `train`
        does.
        """
        check_choice("player", player, [turn.player for turn in self.turns])
        check_optimized(self.players, self.optimizers, self._averages)
        turn = next(turn for turn in self.turns if turn.player == player)
        with WholeStep(), self.randomness, torch.enable_grad():
            means, _ = self._take(turn, self._prepared(batch))
        self._finite.read()
        return means

    def end_step(self) -> None:
        """Update the averages and count a step, as `train` does; call it after turns by hand."""
        for player, share in self.average.items():
            # Early on less is kept, so that the average forgets the first, random weights.
            stays = min(share, (1 + self.steps_done) / (10 + self.steps_done))
            for average in self._averages[player]:
                average.update(stays)
        self.steps_done += 1

    def _take(self, turn: Turn, batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        player, optimizer = turn.player, self.optimizers[turn.player]
        rate = value_at(self.lr[player] if isinstance(self.lr, dict) else self.lr, self.share)
        if not 0 <= rate < math.inf:
            check_number(f"lr of the {player}", rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        for networks in self.players.values():
            for network in networks:
                if not network.training:
                    network.train()
        step = self.steps_done + 1
        means, seen = asked(turn, batch, step)
        self._terms.check_names(turn, (*means, *seen))
        self._finite.check(step, player, means, batch)
        total = reduce(torch.add, means.values())
        learned = optimizer.param_groups[0]["params"]
        for weight in learned:  # as zero_grad() does, in a quarter of its time
            weight.grad = None
        weights = [weight for weight in learned if weight.requires_grad]
        if total.requires_grad and weights:
            with Explained("in the gradients of the", player, step):
                self._terms.check_learned(player, means, weights)
                total.backward(inputs=weights)
        if all(weight.grad is None for weight in weights):
            raise ValueError(
                f"nothing that the {player} minimises depends on its weights: look for detach,"
                " no_grad, frozen weights, or other networks in its objective"
            )
        if self._idle:
            self._idle -= set(map(id, filter(has_gradient, self.players[player])))
        optimizer.step()
        if turn.after is not None:
            with Explained("after the weights had moved in a turn of the", player, step):
                with torch.no_grad():
                    turn.after()
        self.turns_done[player] += 1
        self.batches_drawn += turn is self.turns[0]
        means = {name: mean.detach() for name, mean in means.items()}
        return means, {name: value.detach() for name, value in seen.items()}

    # Saving

    def save(self, path) -> None:
        """Write the game's state to `path`. The file is written whole or not at all.

        The state is the weights and buffers of players, averages and memory, the optimisers, the
        random state, and how many turns and steps are done. What layers keep as attributes is not
        in the file; a warning names numbers, strings, tuples of these and tensors that have
        changed. Raises OSError if the file can't be written, FloatingPointError if a loss, a weight
        that learns or a batch norm is not finite, and ValueError if a module's state holds more
        than tensors and plain values. An old file is then left as it was.
        """
        with ONE_AT_A_TIME:  # not in the middle of another thread's step
            self._finite.read()
            checkpoints.save(self, path)

    def resume(self, path) -> None:
        """Restore the state saved at `path`, in a game built by the same code as the saved one.

        On the same CPU it continues bit for bit as if it had never stopped, provided objectives
        draw their random numbers from torch and networks keep what they change in saved buffers.
        On another kind of device the random numbers differ. No code in the file is executed.
        Raises FileNotFoundError if there is no file. Raises ValueError if it is not a checkpoint,
        is truncated, or belongs to other players; this game is then left as it was.
        """
        with ONE_AT_A_TIME, torch.inference_mode(False):
            checkpoints.resume(self, path)
            self._finite = FiniteLosses()  # those not yet read belong to the game before

    # What a game is made of

    def _networks(self) -> list[nn.Module]:
        return [network for networks in self.players.values() for network in networks]

    def _adam(self, player: str) -> torch.optim.Adam:
        weights = [w for n in self.players[player] for w in n.parameters() if w.requires_grad]
        weights = list(dict.fromkeys(weights))  # networks of one player may share layers
        if not weights:
            raise ValueError(f"the {player} has no weights to learn")
        # One fused kernel replaces a dozen small ones for each weight.
        return torch.optim.Adam(weights, betas=self.betas, fused=DEVICE.type in ("cpu", "cuda"))

    def _prepared(self, batch):
        """The batch on the device, detached, its floats in single precision."""
        return on_device(batch)

    def _check_first(self, batch) -> None:
        """Check a first batch before anything is played."""
        self._prepared(batch)

    def _check_settings(self) -> None:
        if not (self.players and self.turns):
            raise ValueError("a game needs players and a list of turns, Turn(player, objective)")
        for turn in self.turns:
            check_choice("a turn's player", turn.player, self.players)
            check_count("times", turn.times)
        if len(set(map(id, self._networks()))) < len(self._networks()):
            raise ValueError("a network is given twice: give each to one player, once")
        for name, module in self.memory.items():
            checkpoints.check_memory(name, module)
        if not isinstance(self.average, dict):
            raise TypeError(f"average={self.average}: give {{player: decay}}")
        if len(self.betas) != 2:
            raise ValueError(f"betas={self.betas}: give Adam's two decay rates")
        rates = self.lr if isinstance(self.lr, dict) else dict.fromkeys(self.players, self.lr)
        if rates.keys() != self.players.keys():
            raise ValueError(f"lr must have one rate for each of {', '.join(self.players)}")
        for player, rate in rates.items():
            check_number(f"lr of the {player}", rate)
        for player, share in self.average.items():
            check_choice("average", player, self.players)
            if not 0 <= share < 1:
                raise ValueError(
                    f"average={share}: the share that is kept must be at least 0 and below 1"
                )
        check_owners(self.players)
