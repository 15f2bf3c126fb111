"""What only a GPU can show: `make gpu` runs it. Where there is no CUDA, all of it is skipped.

    GANBOOK_CUDA_REHEARSAL=1 python -m pytest tests/test_cuda.py

rehearses it on a GPU that is only pretended (pretended_gpu.py), with fewer steps and without the
chapters, so that the code of these tests has run before a GPU is at hand. As a program,
`python test_cuda.py TASK KIND FOLDER`, this file does the CPU's part of a comparison.
"""

import functools
import inspect
import os
import subprocess
import sys
from pathlib import Path

import games
import numpy as np
import pytest
import torch
from games import KINDS, play, weights
from matplotlib import pyplot as plt

from ganbook import (
    GAN,
    checks,
    claim,
    data,
    device,
    explorers,
    losses,
    metrics,
    networks,
    penalties,
    plotting,
    widgets,
)
from ganbook.data import Batch
from ganbook.device import DEVICE
from ganbook.explorers import faults
from ganbook.game import Game, Turn
from ganbook.guards import get_random_state
from ganbook.playground import playground

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
REHEARSAL = bool(os.environ.get("GANBOOK_CUDA_REHEARSAL"))
STEPS = 6 if REHEARSAL else 50
# Dropout's numbers can't be drawn on the CPU and handed over.
COMPARED = [kind for kind in KINDS if kind != "with_dropout"]
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # sums in one order

pytestmark = [
    pytest.mark.skipif(DEVICE.type != "cuda", reason="no CUDA here; where there is: `make gpu`"),
    pytest.mark.filterwarnings("ignore:.*deterministic"),
]


@pytest.fixture(autouse=True)
def exact(deterministic):
    """Sums in one order, and multiplications of float32 in float32, not in TF32."""
    units = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [unit.allow_tf32 for unit in units]
    for unit in units:
        unit.allow_tf32 = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)
    for unit, allowed in zip(units, before, strict=True):
        unit.allow_tf32 = allowed
    plt.close("all")


@pytest.fixture
def single(monkeypatch):
    monkeypatch.setattr(device, "BF16", False)


def on_gpu(*tensors):
    return all(tensor.device.type == "cuda" for tensor in tensors)


def close(a, b, tolerance=1e-4):
    torch.testing.assert_close(a.cpu(), b.cpu(), rtol=tolerance, atol=tolerance, check_dtype=False)


# ---- The CPU's part of a comparison, in a process of its own


def share_draws(replace):
    """Draw random numbers on the CPU from one seed, whatever device asks for them.

    replace: `setattr`, or a monkeypatch's.
    """
    random = torch.Generator().manual_seed(7)

    def on_the_cpu(draw, *shape, device="cpu", generator=None, **kwargs):
        return draw(*shape, generator=random, **kwargs).to(device)

    drawn = {name: functools.partial(on_the_cpu, getattr(torch, name)) for name in
             ("randn", "rand", "randint")}  # fmt: skip
    for name, function in drawn.items():
        replace(torch, name, function)
    replace(torch, "randn_like", lambda x: drawn["randn"](*x.shape, device=x.device))


def one_step(kind, folder):
    """Save a game, take its first step, and keep the losses and weights after it."""
    game, batches = KINDS[kind]()
    game.save(folder / "before.pt")
    share_draws(setattr)
    (step,) = play(game, batches, 1)
    torch.save((step.losses, weights(game)), folder / "after.pt")


def go_on(kind, folder):
    """Resume the GPU's game, decode its latents, train on, and save."""
    game, batches = KINDS[kind]()
    game.resume(folder / "gpu.pt")
    if isinstance(game, GAN):
        torch.save(game.decode(torch.load(folder / "z.pt")), folder / "decoded.pt")
    play(game, batches, 10)
    game.save(folder / "cpu.pt")


def on_the_cpu(task, kind, folder):
    own = {"GANBOOK_DEVICE": "cpu", "GANBOOK_PRECISION": "float32", "GANBOOK_CUDA_REHEARSAL": ""}
    command = [sys.executable, __file__, task.__name__, kind, str(folder)]
    done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- Training


@pytest.mark.parametrize("kind", KINDS)
def test_a_game_resumes_bit_for_bit_on_its_device(kind, tmp_path):
    straight, batches = KINDS[kind]()
    play(straight, batches, STEPS)
    stopped, batches = KINDS[kind]()
    games.play_up_to(stopped, batches, STEPS, STEPS // 3).save(tmp_path / "game.pt")
    again, batches = KINDS[kind]()
    again.resume(tmp_path / "game.pt")
    play(again, batches, STEPS)
    games.assert_same_weights(straight, again)
    assert on_gpu(*weights(again).values())
    states = (state for o in again.optimizers.values() for state in o.state.values())
    assert on_gpu(*(value for state in states for value in state.values()))


@pytest.mark.parametrize("kind", COMPARED)
def test_the_first_step_agrees_with_the_cpus(kind, tmp_path, single, monkeypatch):
    """Losses to 1e-3 of themselves. Adam's first step is the sign of the slope, which rounding can
    turn where the slope is nearly 0: so all weights but 2 % of each tensor, or one, to 1e-4."""
    on_the_cpu(one_step, kind, tmp_path)
    game, batches = KINDS[kind]()
    game.resume(tmp_path / "before.pt")
    share_draws(monkeypatch.setattr)
    (step,) = play(game, batches, 1)
    losses, there = torch.load(tmp_path / "after.pt")
    assert step.losses.keys() == losses.keys() and on_gpu(*step.losses.values())
    for name, loss in losses.items():
        close(step.losses[name], loss, 1e-3)
    here = weights(game)
    assert here.keys() == there.keys()
    for name, value in there.items():
        off = (here[name].cpu().double() - value.double()).abs()
        assert (off > 1e-4).sum() <= max(1, 0.02 * off.numel()) and off.max() < 0.1, name


@pytest.mark.parametrize("kind", ["by_points", "conditional", "augmented", "cyclegan"])
def test_a_checkpoint_goes_to_the_cpu_and_back(kind, tmp_path, single):
    game, batches = KINDS[kind]()
    play(game, batches, 5)
    game.save(tmp_path / "gpu.pt")
    z = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    torch.save(z, tmp_path / "z.pt")
    on_the_cpu(go_on, kind, tmp_path)
    if isinstance(game, GAN):
        close(game.decode(z), torch.load(tmp_path / "decoded.pt"))
    back, batches = KINDS[kind]()
    back.resume(tmp_path / "cpu.pt")
    assert back.steps_done == 10 and on_gpu(*weights(back).values())
    play(back, batches, 12)


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("kind", ["by_images", "conditional", "by_points"])
def test_both_precisions(kind, bf16, monkeypatch):
    monkeypatch.setattr(device, "BF16", bf16)
    game, batches = KINDS[kind]()
    step = play(game, batches, STEPS)[-1]
    shown = [
        *step.losses.values(),
        *step.seen.values(),
        game.sample(5),
        game.decode(torch.ones(3, 4)),
    ]
    for tensor in [*weights(game).values(), *shown]:
        assert tensor.isfinite().all()
        assert tensor.dtype == torch.float32 or not tensor.is_floating_point()
    assert on_gpu(*shown)


def test_labels_out_of_range_are_refused_before_the_kernel_ends_the_process():
    game, batches = KINDS["conditional"]()  # of 4 classes
    x, y = batches[0]
    ten = data.Images(batches.data.images, torch.arange(40) % 10).batches(40)
    for wrong in (y + 3, y - 1, y + 2**40):
        for refused in (
            lambda: game.d_step(x, wrong),  # noqa: B023
            lambda: game.g_step(x, wrong),  # noqa: B023
            lambda: game.sample(len(wrong), wrong),  # noqa: B023
            lambda: play(game, ten, 2),
        ):
            with pytest.raises(ValueError, match=r"labels must lie in 0\.\.3"):
                refused()
    assert torch.ones(2, device=DEVICE).sum().item() == 2  # the device still works
    play(game, batches, 2)


def test_a_loss_that_is_not_finite_is_reported_though_losses_are_read_late():
    def game(last):
        gan = games.points_game()
        whole = gan.loss.d
        broken = lambda real, fake: whole(real, fake) / (gan.steps_done != last)  # noqa: E731
        gan.loss = gan.loss._replace(d=broken)
        return gan

    with pytest.raises(FloatingPointError, match="step 4: the discriminator's d_loss is inf"):
        play(game(3), games.moons(), 10)  # at the end of the loop
    steps = game(3).train(games.moons(), 200, progress=False)
    with pytest.raises(FloatingPointError, match="step 4: the discriminator's d_loss is inf"):
        for step in steps:
            assert step.index < 4 + 64 / 2  # of 64 losses, two a step


@pytest.mark.parametrize("kind", ["by_points", "by_images", "clipped", "with_dropout", "vae"])
def test_a_step_never_waits_for_the_device(kind):
    game, batches = KINDS[kind]()
    training = game.train([batches[0]] * 99, 20, progress=False)
    next(training), next(training)
    if REHEARSAL:
        sys.modules["pretended_gpu"].waits.clear()
    torch.cuda.set_sync_debug_mode("error")  # a wait raises RuntimeError
    try:
        for _ in range(6):
            next(training)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert not (REHEARSAL and sys.modules["pretended_gpu"].waits)


def test_a_batch_from_anywhere_gives_the_same_step():
    x, y = games.pictures()[0]
    forms = {
        "GPU": (x, y),
        "CPU": (x.cpu(), y.cpu()),
        "float64": (x.double(), y.tolist()),
        "float64 on the CPU": (x.cpu().double(), y.cpu().numpy()),
        "channels last": (x.to(memory_format=torch.channels_last), y.int()),
    }
    found = {}
    for name, form in forms.items():
        game = KINDS["conditional"]()[0]
        play(game, [Batch(*form)] * 3, 2)
        found[name] = weights(game)
    for name in forms:
        games.assert_same_weights(found[name], found["GPU"])


def test_terms_that_are_numbers_or_on_the_cpu_are_read_with_the_others():
    torch.manual_seed(0)
    net = games.dense(2, 1)

    def objective(batch):
        terms = {"loss": net(batch.x).square(), "number": 0, "cpu": torch.tensor(0.0)}
        return terms, {"shown": torch.ones(3)}

    game = Game({"net": net}, [Turn("net", objective)])
    step = play(game, games.moons(), 2)[-1]
    assert on_gpu(step.number)
    assert step.floats() | {"loss": 0} == {"loss": 0, "number": 0, "cpu": 0, "shown": 1}


# ---- Nothing on the wrong side


def test_random_numbers_outside_stay_as_they_were(tmp_path):
    game, batches = KINDS["augmented"]()
    classifier = metrics.DigitClassifier()
    before = get_random_state()
    metrics._train(classifier, epochs=1)
    play(game, batches, 3)
    game.sample(4), game.sample(4, seed=1), game.save(tmp_path / "game.pt")
    game.resume(tmp_path / "game.pt")
    metrics.digit_classifier.cache_clear()
    metrics.digit_features(torch.zeros(2, 1, 28, 28))
    playground(steps=2).still()
    checks.exercise("0.0", value=True)(lambda answer: networks.mlp())(1)
    assert all(map(torch.equal, before, get_random_state()))


def test_sets_are_on_the_device():
    digits = data.digits("test")
    images = (digits, data.long_tail(digits), data.stacked_digits("test"))
    points = (data.ring(), data.grid(), data.two_moons(), data.spiral())
    for each in (*images, *points):
        batch = each.batches(16)[3]
        assert on_gpu(batch.x, each.sample(5), each.sample(5, seed=1))
        assert batch.labels is None or on_gpu(batch.labels)
    assert on_gpu(*digits.batches(16, balanced=True)[0])
    mixture = data.mixture_1d([0.0, 1.0], [1.0, 2.0])
    assert on_gpu(mixture.centers, mixture.std)
    x = mixture.sample(9)
    close(mixture.log_density(x), mixture.log_density(x.cpu().double()))


def cases_of_metrics():
    a, b = torch.randn(2, 40, 6, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    images = data.digits("test").images[:120]
    features = [metrics.digit_features(part) for part in images.split(40)]
    stacks, centers = images.view(-1, 3, 28, 28), data.ring().centers
    return {
        "coverage": (metrics.coverage, data.ring().sample(50, seed=0), centers, 0.01),
        "root": (metrics.root, a.T @ a),
        "inception_score": (metrics.inception_score, a.softmax(1)),
        "nearer_to_training": (metrics.nearer_to_training, a, b, a + 0.1 * b),
        "copy_test": (metrics.copy_test, a, b, a + 0.1 * b),
        "share_interval": (metrics.share_interval, 3, 10),
        "bootstrap": (lambda x: metrics.bootstrap(lambda s: s.mean(), x, draws=20), a),
        "measures": (metrics.measures, *(part.to(DEVICE) for part in features)),
        "stacked_coverage": (metrics.stacked_coverage, stacks),
        "digit_features": (metrics.digit_features, images[:40]),
        "digit_logits": (metrics.digit_logits, images[:40]),
        **{
            name: (getattr(metrics, name), a, b) for name in
            ("fid", "kid", "precision_recall", "density_coverage", "nearest", "earth_mover")
        },
    }  # fmt: skip


def test_metrics_give_the_same_for_tensors_on_either_side():
    cases = cases_of_metrics()
    public = {
        name for name, value in vars(metrics).items()
        if inspect.isfunction(value) and value.__module__ == "ganbook.metrics" and name[0] != "_"
    }  # fmt: skip
    assert public == cases.keys()
    for name, (function, *inputs) in cases.items():
        at_home = [x.cpu() if isinstance(x, torch.Tensor) else x for x in inputs]
        here, there = function(*inputs), function(*at_home)
        several = isinstance(here, tuple)
        for a, b in zip(here, there, strict=True) if several else [(here, there)]:
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3, err_msg=name)
    assert metrics.digit_features(data.digits().images[:2]).device.type == "cpu"  # as documented


def test_networks_draw_from_latents_on_either_side(single):
    game, _ = KINDS["conditional"]()
    z, labels = (
        torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)),
        torch.arange(6) % 4,
    )
    for inputs in ((z[0], labels), (z[0].to(DEVICE), labels), (z[0], labels.to(DEVICE))):
        drawn = networks.generate(game.averaged, *inputs, batch=4)
        assert on_gpu(drawn) and torch.equal(drawn, game.decode(*inputs, batch=4))
    a, b = z[:, 0]
    close(networks.arc(a.to(DEVICE), b.to(DEVICE), 5), networks.arc(a, b, 5))
    assert on_gpu(networks.arc(a.to(DEVICE), b.to(DEVICE), 5))


def test_pictures_and_claims_take_tensors_of_the_gpu(capsys):
    images, points = data.digits("test").images[:12], data.ring().sample(20)
    assert (plotting.tile(images) == plotting.tile(images.cpu())).all()
    plotting.show_images(images), plotting.show_points(points, points.bfloat16())
    for samples in (images, points):
        view = plotting.View(points)
        view.show(samples), view.show(samples, "again")
    widgets.film([torch.zeros(8, 8, dtype=torch.uint8, device=DEVICE)] * 2)
    claim("so it is", points < 9), claim("so it is", [points.isfinite().all(), points < 9, True])
    checks.require(points < 9, "never")
    truth = torch.ones(3).double()
    checks.same(checks.tensor(torch.ones(3, device=DEVICE), (3,)), truth, "never")


def test_explorers_and_faults():
    moved = explorers.latent.explorer(KINDS["conditional"]()[0], count=4)
    moved.controls["label"].value, moved.controls["way_1"].value = 2, 1.5
    picture = faults.FaultPicture(200)
    for fault in faults.FAULTS:
        assert picture(fault, 0.5)
    images, labels = data.digits("test").batches(50)[0]
    for change in (lambda x: faults.blurred(x, 1.0), lambda x: faults.noisy(x, 0.3)):
        close(change(images), change(images.cpu()))
    assert torch.equal(
        faults.missing(images, labels, [3], 9).cpu(),
        faults.missing(images.cpu(), labels.cpu(), [3], 9),
    )


@pytest.mark.parametrize("loss", [losses.nonsaturating, losses.relativistic])
def test_the_playground(loss):
    game = playground(loss, penalties.r1(0.1), data="two_moons", steps=STEPS)
    game.board.draw(np.zeros((5, 2), np.float32), anew=True)
    game.board.choose("data", "drawn by you")
    game.advance(2)
    game.board.choose("data", "ring")
    game.advance(30 if not REHEARSAL else 2)
    assert game.error == "" and game.still() and len(game.board.measured_rows) > 0


# ---- Chapters


@pytest.mark.skipif(REHEARSAL, reason="a kernel of Jupyter's has no pretended GPU")
@pytest.mark.parametrize("number", [path.name[:2] for path in CHAPTERS])
def test_a_chapter_runs_whole(number):
    (chapter,) = (ROOT / "chapters").glob(f"{number}_*.ipynb")
    command = [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env",
               "--nbval-cell-timeout=1800", str(chapter)]  # fmt: skip
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:]


if __name__ == "__main__":
    {"one_step": one_step, "go_on": go_on}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
