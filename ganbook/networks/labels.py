"""How labels enter a network: the layers that take them, and which of them a network uses."""

import torch
import torch.nn.functional as F
from torch import nn

from ganbook.arguments import check_count

D_CONDITIONS = ("concatenation", "embedding", "projection", "auxiliary")
"""The ways in which labels can enter a discriminator, its `condition`. Chapter 6."""


class OneHot(nn.Module):
    """Appends the labels to x, one-hot.

    classes: the number of classes; labels run from 0 to classes - 1.

    Called with x and labels (N,). Vectors (N, n) become (N, n + classes). Maps (N, C, H, W) become
    (N, C + classes, H, W), with planes of 0 or 1. Raises ValueError without labels. Mirza &
    Osindero 2014, section 3.2 (arXiv:1411.1784). Chapter 6.
    """

    takes_labels = True

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes

    def forward(self, x, labels):
        one_hot = F.one_hot(_given(labels), self.classes).to(x.dtype)
        one_hot = one_hot.view(*one_hot.shape, *[1] * (x.ndim - 2))
        return torch.cat([x, one_hot.expand(-1, -1, *x.shape[2:])], 1)

    def extra_repr(self) -> str:
        return str(self.classes)


class Embedding(nn.Module):
    """Appends to x a tensor that is learned for each label.

    classes: the number of classes; labels run from 0 to classes - 1.
    shape: of each label's tensor, (n,) to append to vectors, (1, H, W) to append to maps.

    Called with x and labels (N,). The tensors start as draws from N(0, 1). Raises ValueError
    without labels. Chapter 6.
    """

    takes_labels = True

    def __init__(self, classes: int, shape: tuple[int, ...]):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, *shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)

    def forward(self, x, labels):
        learned = F.embedding(_given(labels), self.weight.flatten(1))
        learned = learned.view(-1, *self.weight.shape[1:])
        return torch.cat([x, learned.to(x.dtype)], 1)

    def extra_repr(self) -> str:
        return f"classes={len(self.weight)}, shape={tuple(self.weight.shape[1:])}"


class Projection(nn.Module):
    """Logits (N,): a dense layer of the features, plus their inner product with the label's vector.

    features: n, where the features h are (N, n).
    classes: the number of classes; labels run from 0 to classes - 1. Each has a vector v (n,).

    Called with h and labels y (N,): psi(h) + <h, v_y>. Raises ValueError without labels. Miyato &
    Koyama 2018, eq. 3 (arXiv:1802.05637). Chapter 6.
    """

    takes_labels = True

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.psi = nn.Linear(features, 1)
        self.weight = nn.Parameter(torch.empty(classes, features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.weight.shape[1] ** -0.5)

    def forward(self, h, labels):
        return self.psi(h).squeeze(1) + (F.embedding(_given(labels), self.weight) * h).sum(1)

    def extra_repr(self) -> str:
        return f"classes={len(self.weight)}"


class TwoHeads(nn.Module):
    """Logits (N,), real or fake, and class logits (N, classes): an auxiliary classifier.

    features: n, where the features are (N, n).
    classes: the number of classes; labels run from 0 to classes - 1.

    Odena et al. 2017, section 4 (arXiv:1610.09585). Chapter 6.
    """

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.source, self.label = nn.Linear(features, 1), nn.Linear(features, classes)

    def forward(self, h):
        return self.source(h).squeeze(1), self.label(h)


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm of maps (N, C, H, W) whose scales and shifts are learned for each label.

    features: C, the number of channels.
    classes: the number of classes; labels run from 0 to classes - 1.

    Called with maps and labels (N,). Raises ValueError without labels. de Vries et al. 2017
    (arXiv:1707.00683); in GANs, Miyato & Koyama 2018. Chapter 6.
    """

    takes_labels = True

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.scale = nn.Parameter(torch.empty(classes, features))
        self.shift = nn.Parameter(torch.empty(classes, features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.ones_(self.scale)
        nn.init.zeros_(self.shift)

    def forward(self, x, labels):
        scale = F.embedding(_given(labels), self.scale)[:, :, None, None]
        shift = F.embedding(_given(labels), self.shift)[:, :, None, None]
        return self.norm(x) * scale + shift

    def extra_repr(self) -> str:
        return f"classes={len(self.scale)}"


def label_layers(classes, condition, shape) -> tuple[list[nn.Module], int]:
    """The layers that append labels to a network's input, and how many channels they append.

    classes: the number of classes, or None.
    condition: how labels enter. Only "concatenation" and "embedding" append anything.
    shape: of the embedding of one label.
    """
    if classes is not None and condition == "concatenation":
        return [OneHot(classes)], classes
    if classes is not None and condition == "embedding":
        return [Embedding(classes, shape)], shape[0]
    return [], 0


def head(classes, condition, features) -> list[nn.Module]:
    """The last layers of a discriminator, from features (N, features) to its logits.

    classes: the number of classes, or None. condition: how labels enter. features: how many.
    """
    if classes is not None and condition == "projection":
        return [Projection(features, classes)]
    if classes is not None and condition == "auxiliary":
        return [TwoHeads(features, classes)]
    return [nn.Linear(features, 1), nn.Flatten(0)]


def check_classes(classes) -> int | None:
    """The number of classes as a Python `int`, or None. Raises ValueError if it is below 2."""
    return None if classes is None else check_count("classes", classes, least=2)


def _given(labels):
    if labels is None:
        raise ValueError(
            "this network is conditional: call it with the labels (N,) too, network(x, labels)"
        )
    return labels
