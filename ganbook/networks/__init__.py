"""Generators and discriminators, with a function for each alone and one for the pair."""

from ganbook.networks.average import Average
from ganbook.networks.changes import dropout, spectral
from ganbook.networks.dcgan import dcgan, dcgan_discriminator, dcgan_generator
from ganbook.networks.labels import (
    D_CONDITIONS,
    ConditionalBatchNorm2d,
    Embedding,
    OneHot,
    Projection,
    TwoHeads,
)
from ganbook.networks.layers import (
    FourierFeatures,
    JoinCopies,
    ParallelLinear,
    ResidualBlock,
    SpectralNorm,
    SplitCopies,
)
from ganbook.networks.mlp import mlp, mlp_discriminator, mlp_generator
from ganbook.networks.network import (
    Network,
    arc,
    drawn,
    evaluating,
    generate,
    lookalike,
    uncompiled,
)
from ganbook.networks.resnet import resnet, resnet_discriminator, resnet_generator

__all__ = [
    "D_CONDITIONS",
    "Average",
    "ConditionalBatchNorm2d",
    "Embedding",
    "FourierFeatures",
    "JoinCopies",
    "Network",
    "OneHot",
    "ParallelLinear",
    "Projection",
    "ResidualBlock",
    "SpectralNorm",
    "SplitCopies",
    "TwoHeads",
    "arc",
    "dcgan",
    "dcgan_discriminator",
    "dcgan_generator",
    "drawn",
    "dropout",
    "evaluating",
    "generate",
    "lookalike",
    "mlp",
    "mlp_discriminator",
    "mlp_generator",
    "resnet",
    "resnet_discriminator",
    "resnet_generator",
    "spectral",
    "uncompiled",
]
