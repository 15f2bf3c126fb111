"""Pictures that change with sliders, one file for each subject."""

from ganbook.explorers import density, eye, faults, latent, phase, transport

__all__ = ["density", "eye", "faults", "latent", "phase", "transport"]
