"""The ablation of the DCGAN: the table is whole, and a variant switches what it names."""

import dcgan_ablation
import pytest
from benchmark_tables import rows

from ganbook import networks


def test_the_ablation_has_every_variant_over_the_same_seeds_and_steps():
    table = rows("dcgan_ablation")
    found = [(row["variant"], row["seed"]) for row in table]
    assert found == [(variant, str(seed)) for variant, seed in dcgan_ablation.KEYS]
    assert {row["seed"] for row in table} == set("012345")
    assert {row["steps"] for row in table} == {str(dcgan_ablation.STEPS)}


def test_the_ablation_switches_what_it_names():
    variants = dcgan_ablation.VARIANTS
    course = str(networks.dcgan())
    assert str(networks.dcgan(**variants["as in the course"])) == course
    for name, settings in variants.items():
        if "init_std" in settings:
            generator, _ = networks.dcgan(**settings)
            assert generator[0].weight.std().item() == pytest.approx(
                float(name.split()[-1]), rel=0.05
            )
    assert "BatchNorm" in course and "BatchNorm" not in str(
        networks.dcgan(**variants["no batch norm"])
    )
    with pytest.raises(ValueError, match="no variant 'batch norm'"):
        dcgan_ablation.run("batch norm", 0, 1)
