"""ganbook.checkpoints: every kind of game goes on exactly; files that can't be written or read."""

import collections
import errno
import io
import os
import pathlib
import pickle
import random
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import warnings

import games
import numpy as np
import pytest
import torch
from games import assert_same_weights, differ, play, play_up_to, points_game, weights
from torch import nn

from ganbook import GAN, built, checkpoints, networks
from ganbook.device import DEVICE
from ganbook.game import Game, Turn
from ganbook.schedules import falling

pytestmark = pytest.mark.usefixtures("deterministic")
every_kind = pytest.mark.parametrize("kind", games.KINDS)


def resumed(path):
    gan = points_game()
    gan.resume(path)
    return gan


# ---- Going on


@every_kind
def test_a_game_that_was_saved_and_resumed_goes_on_bit_for_bit(kind, tmp_path):
    """By a resumed game that has played and drawn before: nothing of that is left."""
    straight, batches = games.KINDS[kind]()
    seen = play(straight, batches, 9)[4:]
    saved = play_up_to(games.KINDS[kind]()[0], batches, 9, 4)
    saved.save(tmp_path / "game.pt")
    again, batches = games.KINDS[kind]()
    play_up_to(again, batches, 9, 2)
    torch.rand(3, generator=again.sampling, device=DEVICE)
    torch.manual_seed(123)
    again.resume(tmp_path / "game.pt")
    assert again.steps_done == 4
    assert_same_weights(saved, again)
    for a, b in zip(seen, play(again, batches, 9), strict=True):
        assert a.index == b.index
        for before, after in ((a.losses, b.losses), (a.seen, b.seen)):
            assert before.keys() == after.keys()
            assert all(torch.equal(before[name], after[name]) for name in before)
    assert_same_weights(straight, again)
    assert torch.equal(again.sampling.get_state(), straight.sampling.get_state())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@pytest.mark.parametrize("kind", ["augmented", "cyclegan"])
def test_a_killed_game_that_is_resumed_ends_with_the_weights_of_one_never_killed(kind, tmp_path):
    """The program saves at every third step, and is killed in the step after a random one.

    Two kinds, a GAN and a game with pools of fakes: what differs by kind needs no second process.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps, kill_at = 24, random.Random(kind).randint(4, 20)
        command = [sys.executable, games.__file__, kind, str(tmp_path / "game.pt"), str(steps)]
        root = pathlib.Path(checkpoints.__file__).parents[1]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 1}
        program = subprocess.Popen(command, **pipes, text=True, env=environment)
        for line in program.stdout:
            program.stdin.write("\n")
            if int(line) == kill_at:
                program.kill()
                break
        program.communicate()
        assert program.wait() == -signal.SIGKILL
        straight, batches = games.KINDS[kind]()
        play(straight, batches, steps)
        again, batches = games.KINDS[kind]()
        again.resume(tmp_path / "game.pt")
        assert kill_at - 3 < again.steps_done < steps
        play(again, batches, steps)
    finally:
        torch.set_num_threads(threads)
    assert_same_weights(straight, again)


def test_samples_drawn_before_a_save_are_not_drawn_again(moons, tmp_path):
    gan = play_up_to(points_game(), moons, 5, 2)
    first = gan.sample(3)
    gan.save(tmp_path / "game.pt")
    again = resumed(tmp_path / "game.pt")
    assert not torch.equal(again.sample(3), first)
    assert torch.equal(again.sample(5, seed=7), gan.sample(5, seed=7))


def test_turns_by_hand_go_on_with_the_plan_of_the_saved_game(moons, tmp_path):
    play_up_to(points_game(lr=falling(1e-2, 0.0)), moons, 8, 4).save(tmp_path / "game.pt")
    again = points_game(lr=falling(1e-2, 0.0))
    again.resume(tmp_path / "game.pt")
    again.d_step(moons[4].x), again.g_step(moons[4].x)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in again.optimizers.values()]
    assert rates == pytest.approx([5e-3, 5e-3])


def test_the_settings_of_a_resumed_game_are_those_of_its_cell(moons, tmp_path):
    """Learning rate, betas, loss: nothing of the kind is in the file."""
    gan = play_up_to(points_game(betas=(0.5, 0.9)), moons, 5, 3)
    gan.save(tmp_path / "game.pt")
    same, other = points_game(betas=(0.5, 0.9)), points_game(betas=(0.9, 0.9))
    still = points_game(betas=(0.5, 0.9), lr=0.0)
    for game in (same, other, still):
        game.resume(tmp_path / "game.pt")
    before = weights(still)
    for game in (gan, same, other, still):
        play(game, moons, 5)
    assert_same_weights(gan, same)
    assert differ(gan, other)
    after = weights(still)
    assert all(torch.equal(before[n], after[n]) for n in before if not n.startswith("averaged"))


def test_a_game_from_another_kind_of_device_goes_on_with_random_numbers_of_its_own(moons, tmp_path):
    gan = points_game()
    play(gan, moons, 3)
    gan.save(tmp_path / "game.pt")
    content = torch.load(tmp_path / "game.pt", weights_only=True)
    content["state"]["random"] = [torch.zeros(16, dtype=torch.uint8)] * 3
    torch.save(content, tmp_path / "game.pt")
    again = resumed(tmp_path / "game.pt")
    assert_same_weights(gan, again)
    play(again, moons, 5)
    assert again.steps_done == 5


# ---- Files that can't be written or read


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(moons, tmp_path, monkeypatch):
    gan = points_game()
    gan.save(tmp_path / "game.pt")
    old = (tmp_path / "game.pt").read_bytes()
    play(gan, moons, 2)

    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", no_space)
        with pytest.raises(
            OSError, match="the game could not be saved.*No space left.*no file was changed"
        ):
            gan.save(tmp_path / "game.pt")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gan.save(tmp_path / "game.pt")
    assert (tmp_path / "game.pt").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["game.pt"]
    assert resumed(tmp_path / "game.pt").steps_done == 0
    gan.save(tmp_path / "game.pt")
    assert resumed(tmp_path / "game.pt").steps_done == 2
    assert [path.name for path in tmp_path.iterdir()] == ["game.pt"]


def test_a_disk_that_is_full_in_the_middle_of_the_file(tmp_path):
    """A limit on the size of files fails as a full disk does, after some bytes."""
    resource = pytest.importorskip("resource")
    gan = points_game()
    gan.save(tmp_path / "game.pt")
    old = (tmp_path / "game.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    caught = None
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) // 2, limits[1]))
    try:
        gan.save(tmp_path / "game.pt")
    except OSError as error:
        caught = error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught is not None and "could not be saved (File too large); no file was changed" in str(
        caught
    )
    assert (tmp_path / "game.pt").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["game.pt"]


def test_a_process_that_is_killed_while_it_saves_leaves_the_old_file(tmp_path):
    code = """
        import os, signal
        from ganbook import GAN, networks
        gan = GAN(*networks.mlp(latent=4, width=8, depth=1))
        gan.save("game.pt")
        gan.steps_done = 77
        os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
        gan.save("game.pt")
    """
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("Windows has no SIGKILL")
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(checkpoints.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, env=environment
    )
    assert done.returncode == -signal.SIGKILL
    assert resumed(tmp_path / "game.pt").steps_done == 0


def test_a_place_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="the game could not be saved"):
        points_game().save(tmp_path / "file" / "game.pt")
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(PermissionError, match="the game could not be saved.*Permission denied"):
        points_game().save(tmp_path / "game.pt")


def test_a_checkpoint_is_no_more_private_than_any_file(tmp_path):
    points_game().save(tmp_path / "game.pt")
    (tmp_path / "other").write_text("")
    assert stat.S_IMODE((tmp_path / "game.pt").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "other").stat().st_mode
    )


def test_a_path_may_be_text(tmp_path):
    points_game().save(str(tmp_path / "game.pt"))
    assert resumed(str(tmp_path / "game.pt")).steps_done == 0


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"there is no checkpoint at {tmp_path}/game.pt"):
        resumed(tmp_path / "game.pt")


@pytest.mark.filterwarnings(
    "ignore:Using a non-tuple sequence"
)  # torch's, when a tensor is asked for its format
def test_a_file_that_is_cut_off_or_something_else(tmp_path):
    points_game().save(tmp_path / "game.pt")
    whole, path = (tmp_path / "game.pt").read_bytes(), tmp_path / "bad.pt"
    contents = {
        f"cut at {share}": whole[: int(share * len(whole))] for share in (0, 0.01, 0.5, 0.9, 0.999)
    }
    contents |= {"text": b"hello", "zip without a game": b"PK\x05\x06" + bytes(18)}
    for things in ([1, 2], None, {"a": 1}, {"format": [1]}, torch.zeros(3)):
        buffer = io.BytesIO()
        torch.save(things, buffer)
        contents[str(things)] = buffer.getvalue()
    for content in contents.values():
        path.write_bytes(content)
        with pytest.raises(
            ValueError,
            match="bad.pt is not a checkpoint of a game, or it is cut off|has the format",
        ):
            resumed(path)


def test_a_checkpoint_of_another_version_is_named(tmp_path):
    for form in ("ganbook game 0", "ganbook game 99", 3, None):
        torch.save({"format": form}, tmp_path / "other.pt")
        message = f"other.pt has the format {form!r}, which this version of ganbook can't read"
        with pytest.raises(ValueError, match=message):
            resumed(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (lambda: networks.mlp(latent=4, width=9, depth=1), "size mismatch"),
        (lambda: networks.mlp(latent=4, width=8, depth=2), "Missing key"),
        (lambda: networks.mlp(shape=(3,), latent=4, width=8, depth=1), "size mismatch"),
        (lambda: with_tanh(*networks.mlp(latent=4, width=8, depth=1)), "its layer .* in this game"),
    ],
    ids=["wider", "deeper", "other data", "tanh"],
)
def test_a_checkpoint_of_other_networks_leaves_the_game_as_it_was(pair, reason, tmp_path):
    points_game(seed=1).save(tmp_path / "game.pt")
    game = GAN(*pair())
    before = weights(game)
    message = f"game.pt does not fit this game: .*{reason}"
    with pytest.raises(ValueError, match=message):
        game.resume(tmp_path / "game.pt")
    assert_same_weights(before, game)


def with_tanh(generator, discriminator):
    generator[1] = nn.Tanh()  # in place of leaky ReLU: the weights have the same shapes
    return generator, discriminator


PARTS = ["optimizers", "random", "counts", "turns_done", "modules"]


@pytest.mark.parametrize("spoil", PARTS)
def test_a_checkpoint_with_a_part_missing_leaves_the_game_as_it_was(spoil, moons, tmp_path):
    play_up_to(points_game(), moons, 5, 3).save(tmp_path / "game.pt")
    content = torch.load(tmp_path / "game.pt", weights_only=True)
    del content["state"][spoil]
    torch.save(content, tmp_path / "game.pt")
    straight, game = points_game(seed=4), points_game(seed=4)
    play_up_to(straight, moons, 5, 2), play_up_to(game, moons, 5, 2)
    with pytest.raises(ValueError, match=f"game.pt is incomplete: the part '{spoil}' is missing"):
        game.resume(tmp_path / "game.pt")
    play(straight, moons, 5), play(game, moons, 5)
    assert_same_weights(straight, game)


def test_a_checkpoint_of_other_players_names_them(tmp_path):
    games.cyclegan()[0].save(tmp_path / "game.pt")
    with pytest.raises(
        ValueError, match="its players are critics, translators; yours are generator"
    ):
        points_game().resume(tmp_path / "game.pt")


def test_a_layer_that_shows_its_address_is_the_same_layer(moons, tmp_path):
    class Own(nn.Module):
        __repr__ = object.__repr__

        def forward(self, x):
            return x

    def game():
        generator, discriminator = networks.mlp(latent=4, width=8, depth=1)
        return GAN(generator, nn.Sequential(Own(), discriminator))

    game().save(tmp_path / "game.pt")
    game().resume(tmp_path / "game.pt")


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False], ids=["torch", "pickle"])
def test_nothing_in_a_checkpoint_is_executed(zipped, tmp_path):
    bad = {"format": checkpoints.FORMAT, "players": Malicious(tmp_path / "executed")}
    if zipped:
        torch.save(bad, tmp_path / "bad.pt")
    else:
        (tmp_path / "bad.pt").write_bytes(pickle.dumps(bad))
    with pytest.raises(ValueError, match="is not a checkpoint of a game"):
        resumed(tmp_path / "bad.pt")
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Malicious(tmp_path / "executed")))
    assert (tmp_path / "executed").exists(), "the trap works where it is let"


# ---- What is not saved, and what is not resumed


def test_a_flipped_bit_is_found_or_changes_nothing(moons, tmp_path):
    """Among the weights it is always found; some bytes of a zip archive mean nothing."""
    gan, path = play_up_to(points_game(), moons, 5, 3), tmp_path / "game.pt"
    gan.save(path)
    whole = path.read_bytes()
    place = whole.find(gan.generator[0].weight.detach().cpu().numpy().tobytes())
    assert place > 0
    bits = [8 * place + k for k in range(0, 64, 7)]
    anywhere = random.Random(0).sample(range(8 * len(whole)), 60)
    refused = []
    for bit in bits + anywhere:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert_same_weights(gan, resumed(path))
        except ValueError as error:
            assert "is not a checkpoint of a game, or it is cut off or damaged" in str(error)
            refused.append(bit)
    assert set(bits) <= set(refused) and len(refused) >= 50


def spoilt_counts(state):
    state["counts"] = ("3", 3, 5)


def spoilt_turns(state):
    del state["turns_done"]["generator"]


def spoilt_moments(state):
    state["optimizers"]["generator"]["state"][0]["exp_avg"] = torch.zeros(3)


def spoilt_random(state):
    state["random"] = [s.float() for s in state["random"]]


@pytest.mark.parametrize("spoil", [spoilt_counts, spoilt_turns, spoilt_moments, spoilt_random])
def test_a_checkpoint_with_a_part_of_another_kind_leaves_the_game_as_it_was(spoil, moons, tmp_path):
    path = tmp_path / "game.pt"
    play_up_to(points_game(), moons, 5, 3).save(path)
    content = torch.load(path, weights_only=True)
    spoil(content["state"])
    torch.save(content, path)
    straight, game = points_game(seed=4), points_game(seed=4)
    with pytest.raises(ValueError, match="game.pt does not fit this game"):
        game.resume(path)
    play(straight, moons, 5), play(game, moons, 5)
    assert_same_weights(straight, game)


@pytest.mark.parametrize("content", [{}, {"state": None}, {"state": {"modules": 3}}])
def test_a_checkpoint_without_its_state_is_named(content, tmp_path):
    torch.save({"format": checkpoints.FORMAT} | content, tmp_path / "game.pt")
    with pytest.raises(ValueError, match="game.pt is incomplete: the part 'modules' is missing"):
        resumed(tmp_path / "game.pt")


def test_a_path_may_begin_at_home_and_must_name_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path)), monkeypatch.setenv("USERPROFILE", str(tmp_path))
    gan = points_game()
    gan.save("~/game.pt")
    assert_same_weights(gan, resumed("~/game.pt"))
    assert (tmp_path / "game.pt").is_file()
    for call in (gan.save, gan.resume):
        with pytest.raises(ValueError, match="the path is empty: give the name of a file"):
            call("")
        with pytest.raises(IsADirectoryError, match="is a folder: give the name of a file in it"):
            call(tmp_path)


@pytest.mark.parametrize("compiled", ["saved", "resumed", "both"])
def test_compiled_networks_are_saved_as_the_networks_they_are(compiled, moons, tmp_path):
    """Their weights are drawn from the game's seed too, and their average is of plain layers."""

    def game(compile_it):
        pair = networks.mlp(latent=4, width=8, depth=1)
        if compile_it:
            pair = (torch.compile(network, backend="eager") for network in pair)
        return GAN(*pair, seed=3)

    straight = game(False)
    play(straight, moons, 6)
    first = play_up_to(game(compiled != "resumed"), moons, 6, 3)
    first.save(tmp_path / "game.pt")
    again = game(compiled != "saved")
    again.resume(tmp_path / "game.pt")
    play(again, moons, 6)
    again.save(tmp_path / "end.pt")
    end = game(False)
    end.resume(tmp_path / "end.pt")
    assert_same_weights(straight, end)
    assert torch.equal(straight.sample(4, seed=0), again.sample(4, seed=0))


def a_weight(gan):
    return gan.generator[0].weight


def an_averaged_weight(gan):
    return gan.averaged[0].weight


def a_moment(gan):
    return gan.optimizers["generator"].state[gan.generator[0].weight]["exp_avg_sq"]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("spoilt", [a_weight, an_averaged_weight, a_moment])
def test_weights_that_are_not_finite_do_not_take_the_place_of_a_good_file(
    spoilt, value, moons, tmp_path
):
    gan = points_game()
    play(gan, moons, 1)
    gan.save(tmp_path / "game.pt")
    old = (tmp_path / "game.pt").read_bytes()
    with torch.no_grad():
        spoilt(gan)[0, 0] = value
    with pytest.raises(
        FloatingPointError, match="weights, moments or batch norms of the generator hold"
    ):
        gan.save(tmp_path / "game.pt")
    assert (tmp_path / "game.pt").read_bytes() == old


def test_what_does_not_learn_may_hold_infinity_as_the_masks_of_attention_do(moons, tmp_path):
    def masked():
        torch.manual_seed(0)
        pair = networks.mlp()
        for network in pair:
            mask = nn.Transformer.generate_square_subsequent_mask(2)
            network.register_buffer("mask", mask.to(DEVICE))
            network.frozen = nn.Parameter(mask.to(DEVICE), requires_grad=False)
        return GAN(*pair)

    gan, again = masked(), masked()
    play(gan, moons, 2)
    gan.save(tmp_path / "game.pt")
    again.resume(tmp_path / "game.pt")
    assert_same_weights(gan, again)
    gan.discriminator.mask[0, 0] = torch.nan  # as a mark of what is not known, say
    gan.save(tmp_path / "game.pt")
    assert torch.isfinite(gan.sample(4)).all()


@pytest.mark.parametrize("whose", ["generator", "averaged"])
def test_statistics_that_are_not_finite_are_refused(whose, moons, tmp_path):
    """A batch norm that trains does not use them, so no loss tells."""
    torch.manual_seed(0)
    layers = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
    gan = GAN(nn.Sequential(*layers), networks.mlp_discriminator(), latent=4)
    play(gan, moons, 2)
    gan.save(tmp_path / "game.pt")
    getattr(gan, whose)[1].running_mean[3] = torch.nan
    play(gan, moons, 3)
    with pytest.raises(FloatingPointError, match="batch norms of the generator hold"):
        gan.save(tmp_path / "game.pt")


# ---- What a file does not hold


class Growing(nn.Module):
    """A generator that changes more than its weights in training.

    keep: "buffers", or "attributes", as many scripts do.
    """

    latent = 4

    def __init__(self, keep):
        super().__init__()
        self.layer, self.dropout, self.keep = nn.Linear(4, 2), nn.Dropout(0.1), keep
        if keep == "buffers":
            self.register_buffer("stage", torch.tensor(0))
        else:
            self.stage, self.sizes = 0, (4, None)

    def extra_repr(self):
        return f"stage={self.stage}"

    def forward(self, z):
        if self.training:
            self.stage += 1
            if self.keep == "attributes":
                self.sizes = (4, np.int64(self.stage))
        return self.dropout(self.layer(z)) * (1 + self.stage / 10)


def growing(keep):
    torch.manual_seed(0)
    return GAN(Growing(keep), nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 1), nn.Flatten(0)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_network_that_grows_by_its_buffers_goes_on_where_it_was(steps, moons, tmp_path):
    """In another game, and in the same one after it has grown further."""
    straight, saved = growing("buffers"), growing("buffers")
    play(straight, moons, 6)
    play_up_to(saved, moons, 6, steps).save(tmp_path / "game.pt")
    sample = saved.sample(5, seed=0)
    play(saved, moons, 6)
    for again in (growing("buffers"), saved):
        again.resume(tmp_path / "game.pt")
        assert torch.equal(again.sample(5, seed=0), sample)
        play(again, moons, 6)
        assert_same_weights(straight, again)


def test_an_attribute_that_changes_in_training_is_named_when_the_game_is_saved(moons, tmp_path):
    gan = growing("attributes")
    play(gan, moons, 2)
    told = r"stage of the generator \(and 1 more\) changed; the file, .*, does not have it"
    with pytest.warns(UserWarning, match=told):
        gan.save(tmp_path / "game.pt")
    again = growing("attributes")
    again.resume(tmp_path / "game.pt")
    assert_same_weights(gan, again)
    assert again.generator.stage == 0, "as it was built, though the layer prints it"


def with_buffers(**values):
    """A game of one player of two networks, whose second has these buffers."""
    pair = nn.Linear(2, 1), nn.Sequential(nn.Linear(2, 1))
    for name, value in values.items():
        pair[1].register_buffer(name, value)
    turn = Turn("a", lambda batch: {"t": pair[0](batch) + pair[1](batch)})
    return Game({"a": pair}, [turn])


CHANGES = {
    "comes": (None, lambda: torch.ones(2)),
    "goes": (torch.ones(2), lambda: None),
    "grows": (torch.ones(2), lambda: torch.ones(3)),
    "changes its type": (torch.tensor(0), lambda: torch.tensor(0.5)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("change", CHANGES)
def test_a_buffer_may_be_filled_later_and_grow(change, tmp_path):
    """As a pool of past fakes does. A refused file leaves it as it was."""
    before, after = CHANGES[change]
    game, other = with_buffers(mean=before), with_buffers(mean=torch.zeros(7))
    game.save(tmp_path / "start.pt")
    other.save(tmp_path / "other.pt")
    game.players["a"][1].mean = after()
    game.save(tmp_path / "game.pt")
    for again in (game, with_buffers(mean=before)):
        again.resume(tmp_path / "game.pt")
        with pytest.raises(ValueError, match="mean of the a, network 2 was built with another"):
            again.resume(tmp_path / "other.pt")
        found = again.players["a"][1].mean
        assert found is after() or (found.dtype == after().dtype and torch.equal(found, after()))
        again.resume(tmp_path / "start.pt")
        found = again.players["a"][1].mean
        assert found is before or torch.equal(found, before)


def test_a_buffer_that_is_registered_or_deleted_later_is_named(tmp_path):
    game = with_buffers(mean=torch.ones(2))
    game.save(tmp_path / "start.pt")
    network = game.players["a"][1]
    del network.mean
    network.register_buffer("late", torch.ones(3))
    told = r"late of the a, network 2 \(and 1 more\) has come or gone: before you resume"
    with pytest.warns(UserWarning, match=told):
        game.save(tmp_path / "game.pt")
    for again, path in ((game, "start.pt"), (with_buffers(mean=torch.ones(2)), "game.pt")):
        with pytest.raises(ValueError, match="does not fit this game: .*(late|mean)"):
            again.resume(tmp_path / path)
    assert torch.equal(game.players["a"][1].late, torch.ones(3))
    # The way out that the message names:
    again = with_buffers(late=torch.zeros(3))
    again.resume(tmp_path / "game.pt")
    assert torch.equal(again.players["a"][1].late, torch.ones(3))


@pytest.mark.filterwarnings("error")
def test_a_game_built_anew_around_networks_whose_pool_has_grown_takes_its_file(tmp_path):
    """As when a cell that builds the game is run again."""
    game = with_buffers(pool=None)
    game.players["a"][1].pool = torch.ones(3)
    game.save(tmp_path / "game.pt")
    again = Game(game.players, game.turns)
    game.players["a"][1].pool = torch.zeros(3)
    again.resume(tmp_path / "game.pt")
    assert torch.equal(again.players["a"][1].pool, torch.ones(3))


def test_settings_of_an_optimiser_are_those_of_this_game(moons, tmp_path):
    saved, again = points_game(), points_game()
    play(saved, moons, 1)
    for game, decay in ((saved, 0.1), (again, 0.5)):
        game.optimizers["generator"].param_groups[0]["weight_decay"] = decay
    saved.save(tmp_path / "game.pt")
    again.resume(tmp_path / "game.pt")
    assert again.optimizers["generator"].param_groups[0]["weight_decay"] == 0.5


class Follows(nn.Linear):
    """It keeps tensors as attributes, of which it changes one."""

    def __init__(self):
        super().__init__(2, 1)
        self.shift, self.still, self.size = torch.zeros(1), torch.full((3,), torch.nan), None

    def forward(self, x):
        self.size = x.shape
        self.shift = self.shift + 1
        return super().forward(x) + self.shift


def test_a_tensor_that_changes_beside_the_buffers_is_named(tmp_path):
    network = Follows()
    game = Game({"a": network}, [Turn("a", lambda batch: {"t": network(batch)})])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        game.save(tmp_path / "game.pt")
    game.turn("a", torch.ones(4, 2))
    with pytest.warns(UserWarning, match="built, shift of the a changed; the file"):
        game.save(tmp_path / "game.pt")


def test_a_game_that_another_thread_plays_is_saved_between_two_steps(moons, tmp_path):
    gan, path, threads = points_game(d_steps=3), tmp_path / "game.pt", []

    def save_beside():
        threads.append(threading.Thread(target=gan.save, args=[path]))
        threads[0].start()
        threads[0].join(0.2)  # it waits, as the step is not done

    gan.turns[1] = gan.turns[1]._replace(after=save_beside)
    play(gan, moons, 1)
    threads[0].join()
    again = points_game(d_steps=3)
    again.resume(path)
    assert again.turns_done == {"generator": 1, "discriminator": 3} and again.steps_done == 1


@pytest.mark.filterwarnings("error")
def test_a_memory_may_have_the_name_of_a_player(tmp_path):
    """Built with other shapes, the player of that name is refused for all that."""

    def game(size):
        network, pool = nn.Linear(2, 1), nn.Module()
        network.register_buffer("mean", torch.zeros(size))
        pool.register_buffer("mean", torch.zeros(5))
        return Game({"a": network}, [Turn("a", None)], memory={"a": pool})

    game(2).save(tmp_path / "game.pt")
    game(2).resume(tmp_path / "game.pt")
    with pytest.raises(ValueError, match="mean of the a was built with another shape"):
        game(3).resume(tmp_path / "game.pt")


@pytest.mark.filterwarnings("error")
def test_what_a_file_leaves_out_stays_as_it_is_set_here(moons, tmp_path):
    gan = points_game()
    gan.generator.note, gan.generator.pool = "a", [1]
    play(gan, moons, 1)
    gan.save(tmp_path / "game.pt")
    gan.generator.note, gan.generator.hook = "b", print
    gan.resume(tmp_path / "game.pt")
    assert (gan.generator.note, gan.generator.pool, gan.generator.hook) == ("b", [1], print)


def test_a_setting_that_a_layer_prints_must_be_the_same(moons, tmp_path):
    def game(p):
        network = nn.Sequential(nn.Linear(2, 1), nn.Dropout(p))
        return Game({"a": network}, [Turn("a", None)])

    game(0.3).save(tmp_path / "game.pt")
    game(0.3).resume(tmp_path / "game.pt")
    with pytest.raises(
        ValueError, match=r"layer \(1\): Dropout\(p=0.3.* is .*p=0.4.* in this game"
    ):
        game(0.4).resume(tmp_path / "game.pt")


class Recurrent(nn.Module):
    """Its layer keeps what no file can hold."""

    latent = 4

    def __init__(self):
        super().__init__()
        self.layer = nn.LSTM(4, 2, batch_first=True)

    def forward(self, z):
        return self.layer(z[:, None])[0][:, 0]


def test_a_game_is_pickled_where_its_networks_are(moons):
    gan = GAN(Recurrent(), nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)))
    again = pickle.loads(pickle.dumps(gan))
    play(gan, moons, 2), play(again, moons, 2)
    assert_same_weights(gan, again)


def test_a_game_resumes_within_inference_mode(moons, tmp_path):
    straight, gan = points_game(), points_game()
    play(straight, moons, 4)
    play_up_to(gan, moons, 4, 2).save(tmp_path / "game.pt")
    again = points_game()
    with torch.inference_mode():
        again.resume(tmp_path / "game.pt")
    play(again, moons, 4)
    assert_same_weights(straight, again)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_scripted_networks_are_saved_too(moons, tmp_path):
    def game():
        torch.manual_seed(0)
        return GAN(*map(torch.jit.script, games.own_networks()), latent=3, average=0)

    gan, again = game(), game()
    play(gan, moons, 2)
    gan.save(tmp_path / "game.pt")
    again.resume(tmp_path / "game.pt")
    assert_same_weights(gan, again)


class Own(nn.Module):
    """Keeps something else than tensors and plain values."""

    def get_extra_state(self):
        return collections.deque([1, 2])

    def set_extra_state(self, state):
        pass


def test_a_memory_that_could_not_be_read_again_is_not_written(tmp_path):
    network = nn.Linear(2, 1)
    turns = [Turn("a", lambda batch: {"t": network(batch)})]
    game = Game({"a": network}, turns, memory={"own": Own()})
    with pytest.raises(ValueError, match="such as a collections.deque. Keep them as buffers"):
        game.save(tmp_path / "game.pt")
    assert not (tmp_path / "game.pt").exists()


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_in_the_middle_of_resuming_leaves_the_game_as_it_was(tmp_path, monkeypatch):
    points_game(seed=1).save(tmp_path / "game.pt")
    gan = points_game()
    before, load = weights(gan), gan.discriminator.load_state_dict
    calls = iter([1])

    def interrupted(state):
        if next(calls, None):
            signal.raise_signal(signal.SIGINT)
        return load(state)

    monkeypatch.setattr(gan.discriminator, "load_state_dict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gan.resume(tmp_path / "game.pt")
    assert_same_weights(before, gan)


def test_a_game_of_other_turns_is_not_resumed(tmp_path):
    points_game(d_steps=2).save(tmp_path / "game.pt")
    with pytest.raises(ValueError, match="layers or turns differ"):
        resumed(tmp_path / "game.pt")


def test_a_player_of_another_number_of_networks_is_not_resumed(tmp_path):
    def game(count):
        networks_ = tuple(nn.Linear(2, 1) for _ in range(count))
        return Game({"a": networks_}, [Turn("a", None)])

    game(2).save(tmp_path / "game.pt")
    with pytest.raises(ValueError, match="its a has 2 networks, yours has 3"):
        game(3).resume(tmp_path / "game.pt")


def test_addresses_are_left_out_in_capitals_too():
    class Shown(nn.Module):
        def __init__(self, address):
            super().__init__()
            self.address = address

        def extra_repr(self):
            return f"<Own object at {self.address}>"

    def layers(address):
        network = nn.Sequential(nn.Linear(2, 1), Shown(address))
        return built.layers(Game({"a": network}, [Turn("a", None)]))

    assert layers("0x000001F2A3B4C5D0") == layers("0x00000FFFF3B4C5AB") == layers("0x7f8f041d85e0")
