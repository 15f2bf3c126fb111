"""ganbook: the helper package of an executable course on generative adversarial networks."""

from ganbook.claims import claim

__all__ = ["claim"]
__version__ = "0.1.0"
