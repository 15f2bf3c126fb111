"""Small games of every kind that the course plays, and what tests say of games.

As a program, `python games.py KIND PATH STEPS`, it plays one and saves it at every third step.
"""

import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbook import GAN, data, losses, networks, penalties
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.schedules import falling


def points_game(**settings):
    return GAN(*networks.mlp(latent=4, width=8, depth=1), **settings)


def images_game(**settings):
    return GAN(*networks.dcgan(size=16, latent=4, width=2), **settings)


def moons():
    return data.two_moons().batches(16, seed=3)


def pictures(size=6):
    pixels = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return data.Images(pixels, torch.arange(40) % 4).batches(size)


# ---- Networks that tests need


class Labelled(nn.Module):
    """A generator that takes labels, and does not look at them."""

    classes, latent = 3, 2

    def __init__(self, generator):
        super().__init__()
        self.generator, self.latent = generator, generator.latent

    def forward(self, z, labels):
        return self.generator(z)


class Function(nn.Module):
    """A layer of any function, which may write into what it gets."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


# ---- What tests say of games


def play(game, batches, steps):
    return list(game.train(batches, steps, progress=False))


def play_up_to(game, batches, steps, stop):
    """Leave a loop that was to take `steps` after `stop` of them, as a reader's `break` does."""
    for step in game.train(batches, steps, progress=False):
        if step.index == stop:
            break
    return game


def weights(game) -> dict[str, Tensor]:
    """A copy of every weight and buffer of players, averages and memory, by name."""
    memory = {name: (module,) for name, module in game.memory.items()}
    groups = {"": game.players, "averaged ": game.averages, "memory ": memory}
    return {
        f"{what}{player}.{k}.{name}": value.detach().clone()
        for what, group in groups.items()
        for player, modules in group.items()
        for k, module in enumerate(modules)
        for name, value in module.state_dict().items()
    }


def assert_same_weights(a, b):
    a, b = (x if isinstance(x, dict) else weights(x) for x in (a, b))
    assert a.keys() == b.keys()
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different, f"these differ: {different}"


def differ(a, b):
    pairs = zip(weights(a).values(), weights(b).values(), strict=True)
    return any(not torch.equal(x, y) for x, y in pairs)


# ---- Games of one generator and one discriminator


def by_points():
    penalty = penalties.r1(falling(3.0, 0.3), every=4)
    return points_game(lr=falling(1e-2, 1e-4), penalty=penalty, seed=2), moons()


def by_images():
    settings = {"loss": losses.relativistic, "penalty": penalties.r2(0.5), "betas": (0.5, 0.9)}
    return images_game(**settings, seed=2), pictures()


def three_turns():
    penalty = penalties.total(penalties.r1(0.1, every=4), penalties.r2(falling(0.2, 0.1), every=3))
    return points_game(d_steps=3, d_lr=falling(3e-3, 1e-3), penalty=penalty, seed=2), moons()


def no_average():
    return images_game(average=0.0, seed=2), pictures()


def clipped():
    settings = {"loss": losses.wasserstein, "penalty": penalties.clip(0.1), "d_steps": 2}
    return points_game(**settings, seed=2), moons()


def gradient_penalty():
    settings = {"loss": losses.wasserstein, "penalty": penalties.wgan_gp(one_sided=True)}
    return points_game(**settings, seed=2), moons()


def conditional():
    pair = networks.dcgan(size=16, latent=4, width=2, classes=4, g_condition="norm")
    return GAN(*pair, penalty=penalties.r1(0.1), seed=2), pictures()


def own_networks():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
    discriminator = nn.Sequential(
        nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1), nn.Flatten(0)
    )
    return generator, discriminator


def with_dropout():
    return GAN(*own_networks(), latent=3, seed=1), moons()


class Augment(nn.Module):
    """In training a change of each image with the probability p, which moves. Chapter 10."""

    def __init__(self, p: float):
        super().__init__()
        self.register_buffer("p", torch.tensor(p))

    def forward(self, x):
        if not self.training:
            return x
        chosen = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) < self.p
        changed = torch.where(chosen, x.flip(-1), x)
        with torch.no_grad():
            self.p.lerp_(torch.rand((), device=x.device), 0.1)
        return changed


def augmented():
    generator, discriminator = networks.dcgan(size=16, latent=4, width=2)
    seen = discriminator.with_layers(Augment(0.5), *discriminator)
    return GAN(generator, seen, penalty=penalties.r1(0.1, every=2), seed=2), pictures()


# ---- Games of other players


class Paired:
    """The k-th batch of one set and of another."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def __getitem__(self, k):
        return self.first[k].x, self.second[k].x


class Pool(nn.Module):
    """The last fakes that went through: half of the time an older one comes out for a new one.

    Shrivastava et al. 2017, section 2.3 (arXiv:1612.07828).
    """

    def __init__(self, size, shape):
        super().__init__()
        self.register_buffer("kept", torch.zeros(size, *shape))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, fakes):
        given = fakes.clone()
        for k, fake in enumerate(fakes):
            if self.count < len(self.kept):
                self.kept[self.count] = fake
                self.count += 1
            elif torch.rand(()) < 0.5:
                old = torch.randint(len(self.kept), ())
                given[k] = self.kept[old]
                self.kept[old] = fake
        return given


def dense(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 32), nn.LeakyReLU(0.2), nn.Linear(32, outputs))


def cyclegan():
    torch.manual_seed(0)
    to_a, to_b, critic_a, critic_b = (dense(2, outputs) for outputs in (2, 2, 1, 1))
    pool_a, pool_b = Pool(50, (2,)), Pool(50, (2,))
    loss = losses.least_squares

    def judge(batch):
        a, b = batch
        with torch.no_grad():
            fake_a, fake_b = pool_a(to_a(b)), pool_b(to_b(a))
        on_a, on_b = loss.d(critic_a(a), critic_a(fake_a)), loss.d(critic_b(b), critic_b(fake_b))
        return {"critic_a": on_a, "critic_b": on_b}

    def translate(batch):
        a, b = batch
        fake_a, fake_b = to_a(b), to_b(a)
        fooled = loss.g(None, critic_a(fake_a)) + loss.g(None, critic_b(fake_b))
        back = (to_a(fake_b) - a).abs() + (to_b(fake_a) - b).abs()
        return {"adversarial": fooled, "cycle": 10 * back}

    players = {"critics": (critic_a, critic_b), "translators": (to_a, to_b)}
    turns = [Turn("critics", judge), Turn("translators", translate)]
    memory = {"pool_a": pool_a, "pool_b": pool_b}
    game = Game(players, turns, memory=memory, average={"translators": 0.9}, lr=falling(1e-2, 1e-3))
    return game, Paired(moons(), data.ring(std=0.1).batches(16))


def infogan():
    torch.manual_seed(0)
    (G, D), Q = networks.mlp(latent=4 + 8, width=32, depth=1), dense(2, 8)
    loss = losses.nonsaturating

    def fakes(n):
        code = torch.randint(8, (n,), device=DEVICE)
        z = torch.randn(n, 4, device=DEVICE)
        return G(torch.cat([z, F.one_hot(code, 8)], dim=1)), code

    def judge(batch):
        fake, _ = fakes(len(batch.x))
        return {"d_loss": loss.d(D(batch.x), D(fake.detach()))}

    def answer(batch):
        fake, code = fakes(len(batch.x))
        read = F.cross_entropy(Q(fake), code, reduction="none")
        return {"g_loss": loss.g(None, D(fake)), "code": read}

    turns = [Turn("D", judge), Turn("G and Q", answer)]
    game = Game({"D": D, "G and Q": (G, Q)}, turns, lr={"D": 2e-3, "G and Q": 5e-3}, seed=1)
    return game, data.ring(std=0.05).batches(32)


def vae():
    torch.manual_seed(0)
    encoder, decoder = dense(2, 4), dense(2, 2)

    def bound(batch):
        mean, log_variance = encoder(batch.x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        away = (decoder(z) - batch.x).square().sum(1) / (2 * 0.1**2)
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
        return {"reconstruction": away, "kl": kl}

    return Game({"vae": (encoder, decoder)}, [Turn("vae", bound)], lr=3e-3), moons()


def auxiliary_classifier():
    G, D = networks.dcgan(size=16, latent=4, width=2, classes=4, condition="auxiliary")
    loss, penalty = losses.nonsaturating, penalties.r1(0.1, every=2)

    def judge(batch):
        x, y = batch
        with torch.no_grad():
            fake = G(torch.randn(len(x), 4, device=DEVICE), y)
        (real_logits, real_classes), (fake_logits, fake_classes) = D(x.requires_grad_()), D(fake)
        read = F.cross_entropy(real_classes, y, reduction="none")
        terms = {"d_loss": loss.d(real_logits, fake_logits), "d_classes": read}
        terms["d_fake_classes"] = F.cross_entropy(fake_classes, y, reduction="none")
        turn = game.turns_done["D"]
        terms["penalty"] = penalty(D, x, fake, real_logits, fake_logits, turn, game.share)
        return terms, {"real_logits": real_logits}

    def draw(batch):
        logits, classes = D(G(torch.randn(len(batch.x), 4, device=DEVICE), batch.labels))
        read = F.cross_entropy(classes, batch.labels, reduction="none")
        return {"g_loss": loss.g(None, logits), "g_classes": read}

    turns = [Turn("D", judge), Turn("G", draw)]
    game = Game({"G": G, "D": D}, turns, average={"G": 0.9}, lr=falling(3e-3, 1e-3))
    return game, pictures()


KINDS = {
    make.__name__: make
    for make in (
        by_points, by_images, three_turns, no_average, clipped, gradient_penalty, conditional,
        with_dropout, augmented, cyclegan, infogan, vae, auxiliary_classifier,
    )
}  # fmt: skip
"""Every kind of game: a function that builds one anew, and its batches."""


if __name__ == "__main__":
    torch.set_num_threads(1)
    kind, path, steps = sys.argv[1:]
    game, batches = KINDS[kind]()
    for step in game.train(batches, int(steps), progress=False):
        if step.index % 3 == 0:
            game.save(path)
        print(step.index, flush=True)
        input()  # go on when told to, so that the other side decides where this is killed
