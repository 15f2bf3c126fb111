"""Pictures that change with sliders, one file for each subject."""

from ganbook.explorers import density, faults, latent, phase, transport

__all__ = ["density", "faults", "latent", "phase", "transport"]
