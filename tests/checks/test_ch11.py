"""Checks of chapter 11: right answers pass, and each wrong answer is named for what it is."""

import itertools
import math
import random

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from spoilt import spoiling
from torch.distributions import Normal

from ganbook.checks import ch11


def gaussian(a, s, half=0.5, m=None, v=None, log=math.log):
    total = a**2 + s**2
    return (
        half * log(1 + a**2 / s**2),
        a / total if m is None else m(a, s),
        s**2 / total if v is None else v(a, s),
    )


def gaussian_by_matrices(a, s):
    """From the joint covariance of (c, x), in numpy."""
    joint = np.array([[1.0, a], [a, a**2 + s**2]])
    m = joint[0, 1] / joint[1, 1]
    v = joint[0, 0] - m * joint[1, 0]
    return np.log(joint[0, 0] * joint[1, 1] / np.linalg.det(joint)) / 2, m, v


def gaussian_by_entropies(a, s):
    a, s = torch.tensor(a), torch.tensor(s)
    of_x = Normal(0.0, (a.square() + s.square()).sqrt())
    precision = 1 + a.square() / s.square()
    return torch.stack(
        [of_x.entropy() - Normal(0.0, s).entropy(), a / s**2 / precision, 1 / precision]
    )


def information_alone(change):
    return lambda a, s: (change(a, s), *gaussian(a, s)[1:])


KEPT = {"a": "lost", "b": "kept", "c": "lost", "d": "kept", "e": "lost"}


def uniform(n, k):
    return 2 * torch.rand(n, k) - 1


def fresh():
    """A generator of numpy's that follows torch's seed."""
    return np.random.default_rng(torch.randint(1 << 30, ()).item())


def by_size(n, k):
    """The second code follows the size of the first, and not its sign."""
    code = uniform(n, k)
    code[:, 1] = 2 * code[:, 0].abs() - 1
    return code


def in_place(n, k):
    return torch.empty(n, k).uniform_(-1, 1)


def nll(mean, log_std, code, square=1.0, width=1.0, constant=0.5, reduce=lambda x: x.sum(1)):
    squares = ((code - mean) / log_std.exp()).square() / 2
    return reduce(square * squares + width * log_std + constant * math.log(2 * math.pi))


def nll_by_torch(mean, log_std, code):
    return -Normal(mean, log_std.exp()).log_prob(code).sum(1)


def nll_in_double(mean, log_std, code):
    return nll(mean.double(), log_std.double(), code.double())


def nll_of_covariance(mean, log_std, code):
    covariance = torch.diag_embed((2 * log_std).exp())
    joint = torch.distributions.MultivariateNormal(mean, covariance)
    return -joint.log_prob(code)


def table_of(codes, labels):
    codes, labels = np.asarray(codes), np.asarray(labels)
    k = max(codes.max(), labels.max()) + 1
    table = np.zeros((k, k), dtype=int)
    np.add.at(table, (codes, labels), 1)
    return table


def best(table):
    return linear_sum_assignment(-table)[1]


def share(codes, labels, new, new_labels, match=None, judge=None):
    match = (match or (lambda table: linear_sum_assignment(-table)[1]))(table_of(codes, labels))
    judge = (new, new_labels) if judge is None else judge
    return float((match[np.asarray(judge[0])] == np.asarray(judge[1])).mean())


def share_by_torch(codes, labels, new, new_labels):
    k = int(max(codes.max(), labels.max(), new.max(), new_labels.max())) + 1
    table = torch.bincount(codes * k + labels, minlength=k * k).view(k, k)
    match = torch.as_tensor(linear_sum_assignment(table, maximize=True)[1])
    return (match[new] == new_labels).double().mean()


def share_by_brute_force(codes, labels, new, new_labels):
    known, table = table_of(codes, labels), table_of(new, new_labels)
    ways = itertools.permutations(range(len(known)))
    match = max(ways, key=lambda way: sum(row[k] for row, k in zip(known, way, strict=True)))
    return sum(row[k] for row, k in zip(table, match, strict=True)) / len(new)


def greedy(table):
    table, match = table.astype(float), np.zeros(len(table), dtype=int)
    for _ in range(len(table)):
        row, column = np.unravel_index(table.argmax(), table.shape)
        match[row] = column
        table[row], table[:, column] = -1, -1
    return match


def mixed(x, p=0.5):
    return p * x + (1 - p) * x.roll(1, 0)


RIGHT = [
    (ch11.gaussian_code, gaussian),
    (ch11.gaussian_code, gaussian_by_matrices),
    (ch11.gaussian_code, gaussian_by_entropies),
    (ch11.gaussian_code, lambda a, s: [torch.tensor([x]) for x in gaussian(a, s)]),
    (ch11.survivors, KEPT),
    (ch11.survivors, {name: f" {value.upper()}" for name, value in KEPT.items()}),
    (ch11.draw_codes, uniform),
    (ch11.draw_codes, in_place),
    (ch11.draw_codes, lambda n, k: np.random.uniform(-1, 1, (n, k))),  # noqa: NPY002
    (ch11.draw_codes, lambda n, k: fresh().uniform(-1, 1, (n, k))),
    (ch11.draw_codes, lambda n, k: [[random.uniform(-1, 1) for _ in range(k)] for _ in range(n)]),
    (ch11.continuous_loss, nll),
    (ch11.continuous_loss, nll_by_torch),
    (ch11.continuous_loss, nll_in_double),
    (ch11.continuous_loss, nll_of_covariance),
    (ch11.held_out_accuracy, share),
    (ch11.held_out_accuracy, share_by_torch),
    (ch11.held_out_accuracy, share_by_brute_force),
    (ch11.highest_accuracy, lambda p: p.clamp(max=1 / len(p)).sum()),
    (ch11.highest_accuracy, lambda p: sum(min(x, 1 / len(p)) for x in p.tolist())),
    (ch11.highest_accuracy, lambda p: 1 - np.maximum(p.numpy() - 1 / len(p), 0).sum()),
    (ch11.highest_accuracy, lambda p: torch.minimum(p.float(), torch.ones(len(p)) / len(p)).sum()),
]

WRONG = [
    (ch11.gaussian_code, lambda a, s: gaussian(a, s, half=1), "half the logarithm"),
    (ch11.gaussian_code, lambda a, s: gaussian(a, s, half=-0.5), "wrong sign"),
    (ch11.gaussian_code, lambda a, s: gaussian(a, s, log=math.log2), "in bits"),
    (ch11.gaussian_code, information_alone(lambda a, s: math.log(1 + abs(a) / s) / 2), "variances"),
    (ch11.gaussian_code, information_alone(lambda a, s: math.log(a**2 / s**2) / 2), "1 is missing"),
    (
        ch11.gaussian_code,
        information_alone(lambda a, s: math.log(1 + s**2 / a**2) / 2),
        "changed places",
    ),
    (
        ch11.gaussian_code,
        information_alone(lambda a, s: math.log(2 * math.pi * math.e * (a**2 + s**2)) / 2),
        "entropy of x",
    ),
    (ch11.gaussian_code, lambda a, s: gaussian(a, s, m=lambda a, s: 1 / a), "nearer to 0"),
    (ch11.gaussian_code, lambda a, s: gaussian(a, s, m=lambda a, s: a), "slope of x by c"),
    (
        ch11.gaussian_code,
        lambda a, s: gaussian(a, s, m=lambda a, s: abs(a) / (a**2 + s**2)),
        "sign of a",
    ),
    (
        ch11.gaussian_code,
        lambda a, s: gaussian(a, s, m=lambda a, s: -a / (a**2 + s**2)),
        "sign of a",
    ),
    (
        ch11.gaussian_code,
        lambda a, s: gaussian(a, s, v=lambda a, s: s / math.sqrt(a**2 + s**2)),
        "standard deviation",
    ),
    (ch11.gaussian_code, lambda a, s: gaussian(a, s, v=lambda a, s: s**2), "of x given c"),
    (ch11.gaussian_code, lambda a, s: gaussian(a, s, v=lambda a, s: 0.3), "complete the square"),
    (ch11.gaussian_code, lambda a, s: gaussian(a, s)[:2], "three numbers"),
    (ch11.gaussian_code, lambda a, s: gaussian(a, s)[0], "three numbers"),
    (ch11.gaussian_code, lambda a, s: (math.nan, 1, 1), "finite"),
    (ch11.gaussian_code, lambda a, s: (1 / 0, 1, 1), "raised ZeroDivisionError"),
    (ch11.survivors, KEPT | {"a": "kept"}, "a: "),
    (ch11.survivors, KEPT | {"b": "lost"}, "b: "),
    (ch11.survivors, KEPT | {"c": "kept"}, "c: "),
    (ch11.survivors, KEPT | {"d": "lost"}, "d: "),
    (ch11.survivors, KEPT | {"e": "kept"}, "e: "),
    (ch11.survivors, KEPT | {"e": "half"}, "two words"),
    (ch11.survivors, {"a": "lost"}, "a dictionary"),
    (ch11.survivors, ["lost"] * 5, "a dictionary"),
    (ch11.draw_codes, lambda n, k: torch.randn(n, k) - 1, "normal around -1"),
    (ch11.draw_codes, lambda n, k: np.random.normal(-1, 1, (n, k)), "normal around -1"),  # noqa: NPY002
    (ch11.draw_codes, lambda n, k: torch.rand(n, k), "should fill"),
    (ch11.draw_codes, lambda n, k: 2 * torch.rand(n, k), "outside of"),
    (ch11.draw_codes, lambda n, k: torch.randn(n, k), "outside of"),
    (ch11.draw_codes, lambda n, k: torch.randn(n, k).tanh(), "not evenly"),
    (ch11.draw_codes, lambda n, k: torch.randn(n, k).clamp(-1, 1), "not evenly|few values"),
    (ch11.draw_codes, lambda n, k: uniform(n, k).sign(), "only a few values"),
    (ch11.draw_codes, lambda n, k: uniform(1, k).expand(n, k), "every row is the same"),
    (ch11.draw_codes, lambda n, k: uniform(n, 1).expand(n, k), "the same number"),
    (ch11.draw_codes, lambda n, k: 0.93 * uniform(n, k), "should fill"),
    (ch11.draw_codes, lambda n, k: uniform(n // 2, k).repeat(2, 1), "codes of another"),
    (ch11.draw_codes, by_size, "depend on each other"),
    (ch11.draw_codes, lambda n, k: uniform(n, k).sort(0).values, "in order of size"),
    (ch11.draw_codes, lambda n, k: torch.linspace(-1, 1, n)[:, None].expand(n, k), "same codes"),
    (
        ch11.draw_codes,
        lambda n, k: 2 * torch.rand(n, k, generator=torch.Generator().manual_seed(0)) - 1,
        "Fix no seed",
    ),
    (ch11.draw_codes, lambda n, k: uniform(n, k).T, "shape should be"),
    (ch11.draw_codes, lambda n, k: uniform(n, 2)[:, 0], "shape should be"),
    (ch11.continuous_loss, lambda *a: nll(*a, width=0), "log σ is still missing"),
    (ch11.continuous_loss, lambda *a: nll(*a, width=0, constant=0), "log σ is still missing"),
    (ch11.continuous_loss, lambda *a: nll(*a, width=-1), "wrong sign"),
    (ch11.continuous_loss, lambda *a: nll(*a, constant=0), "½ log 2π is missing"),
    (ch11.continuous_loss, lambda *a: nll(*a, constant=1), "counts twice"),
    (ch11.continuous_loss, lambda *a: -nll(*a), "sign is turned"),
    (ch11.continuous_loss, lambda *a: nll(*a, square=2), "a ½ is missing"),
    (ch11.continuous_loss, lambda *a: nll(*a, reduce=lambda x: x.mean(1)), "mean over the codes"),
    (ch11.continuous_loss, lambda *a: nll(*a, reduce=lambda x: x), "add up"),
    (ch11.continuous_loss, lambda *a: nll(*a).mean(), "one loss for each"),
    (ch11.continuous_loss, lambda m, w, c: nll(m, w / 2, c), "taken for log σ²"),
    (
        ch11.continuous_loss,
        lambda m, w, c: -Normal(m, w.exp().sqrt()).log_prob(c).sum(1),
        "taken for log σ²|not -log",
    ),
    (ch11.continuous_loss, lambda m, w, c: nll(m, -w, c), "turned over|not -log"),
    (ch11.continuous_loss, lambda m, w, c: nll(m, 0 * w, c), "σ has no effect"),
    (ch11.continuous_loss, lambda m, w, c: (c - m).square().sum(1), "σ has no effect"),
    (ch11.continuous_loss, lambda *a: nll(*a).detach(), "no gradient"),
    (
        ch11.continuous_loss,
        lambda m, w, c: nll(m.detach(), w, c),
        "no gradient reaches mean",
    ),
    (
        ch11.continuous_loss,
        lambda m, w, c: (
            ((c - m) / w.detach().exp()).square() / 2 + w + math.log(2 * math.pi) / 2
        ).sum(1),
        "gradient by log_std is not",
    ),
    (ch11.continuous_loss, lambda *a: nll(*a).tolist(), "no gradient"),
    (ch11.continuous_loss, spoiling(nll, 2), "changes what it is given"),
    (ch11.held_out_accuracy, lambda a, b, c, d: share(c, d, c, d), "that then judge it"),
    (
        ch11.held_out_accuracy,
        lambda a, b, c, d: share(c, d, c, d, lambda table: table.argmax(1)),
        "that then judge it",
    ),
    (ch11.held_out_accuracy, lambda a, b, c, d: share(a, b, a, b), "known images, which"),
    (
        ch11.held_out_accuracy,
        lambda *a: share(*a, match=lambda table: table.argmax(1)),
        "Match one to one",
    ),
    (
        ch11.held_out_accuracy,
        lambda a, b, c, d: share(torch.cat([a, c]), torch.cat([b, d]), c, d),
        "have a say in the matching",
    ),
    (
        ch11.held_out_accuracy,
        lambda *a: share(*a, match=lambda t: best(t / t.sum(1, keepdims=True))),
        "match on the counts",
    ),
    (ch11.held_out_accuracy, lambda *a: share(*a, match=greedy), "largest count first|with these"),
    (
        ch11.held_out_accuracy,
        lambda *a: share(*a, match=lambda table: linear_sum_assignment(table)[1]),
        "fewest images right",
    ),
    (
        ch11.held_out_accuracy,
        lambda *a: share(*a, match=lambda table: np.arange(len(table))),
        "not matched at all",
    ),
    (ch11.held_out_accuracy, lambda *a: 1 - share(*a), "share of errors"),
    (ch11.held_out_accuracy, lambda *a: 100 * share(*a), "per cent"),
    (ch11.held_out_accuracy, lambda *a: share(*a) * len(a[2]), "number of images"),
    (ch11.held_out_accuracy, lambda *a: share(*a) + 0.0123, "with these"),
    (ch11.held_out_accuracy, lambda *a: (share(*a), 1), "one number"),
    (ch11.held_out_accuracy, spoiling(share, 3), "changes what it is given"),
    (ch11.highest_accuracy, lambda p: 1.0, "equally often"),
    (ch11.highest_accuracy, lambda p: p.max(), "largest class"),
    (ch11.highest_accuracy, lambda p: len(p) * p.min(), "smallest class|equally often"),
    (ch11.highest_accuracy, lambda p: p.square().sum(), "one class"),
    (ch11.highest_accuracy, lambda p: p.clamp(max=0.1).sum(), "ten codes"),
    (ch11.highest_accuracy, lambda p: p.clamp(min=1 / len(p)).sum(), "the larger"),
    (ch11.highest_accuracy, lambda p: (len(p) * p).clamp(max=1).sum(), "Weigh"),
    (ch11.highest_accuracy, lambda p: 1 - p.clamp(max=1 / len(p)).sum(), "share of errors"),
    (ch11.highest_accuracy, lambda p: 1 / len(p), "chance"),
    (ch11.highest_accuracy, lambda p: p.clamp(max=1 / len(p)), "one number"),
    (ch11.highest_accuracy, spoiling(lambda p: p.clamp(max=1 / len(p)).sum(), 0), "changes what"),
]


def test_a_code_with_the_highest_accuracy_exists():
    """Equal codes that cut classes of unequal shares, cell by cell, reach the sum of the minima."""
    for shares in ([0.5, 0.3, 0.2], [0.1, 0.1, 0.2, 0.6]):
        p = np.array(shares)
        k = len(p)
        table = np.diag(np.minimum(p, 1 / k))
        rest, room = p - table.sum(1), 1 / k - table.sum(0)
        table += np.outer(rest, room) / max(rest.sum(), 1e-12)
        assert np.allclose(table.sum(1), p) and np.allclose(table.sum(0), 1 / k)
        rows, columns = linear_sum_assignment(-table)
        assert math.isclose(table[rows, columns].sum(), np.minimum(p, 1 / k).sum())


def test_half_of_the_information_of_exercise_2_e_is_between_none_and_all():
    places = 4
    code = np.repeat([0, 1], places // 2)
    slip = np.zeros((places, places))
    for place in range(places):
        for step, weight in ((-1, 0.1), (0, 0.8), (1, 0.1)):
            slip[place, min(max(place + step, 0), places - 1)] += weight
    joint = np.stack([(code == c) @ slip / places for c in (0, 1)])
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    logs = np.log(np.where(joint > 0, joint / product, 1))
    assert 0.1 < (joint * logs).sum() < math.log(2) - 0.01
