"""ganbook: the helper package of an executable course on generative adversarial networks."""

import os
import sys

if "torch" not in sys.modules:
    # A thread that waits for another spins, for that one is soon done. Where a third program wants
    # one of two cores, the other may not be running at all, and spinning for long slows training
    # tenfold; this is long enough for an idle machine. OpenMP reads it once, when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

from ganbook.claims import claim
from ganbook.gan import GAN

__all__ = ["GAN", "claim"]
__version__ = "0.1.0"
