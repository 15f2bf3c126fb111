"""ganbook: the helper package of an executable course on generative adversarial networks."""

import os
import sys

if "torch" not in sys.modules:
    # Two threads that wait for each other by spinning come to a stand-still as soon as anything else, a browser say,
    # wants one of two cores. OpenMP reads this once, when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from ganbook.claims import claim
from ganbook.training import GAN

__all__ = ["GAN", "claim"]
__version__ = "0.1.0"
