"""Whatever is rebuilt: each recipe that the course trains has the weights it had."""

import pytest
import recipes
import torch

from ganbook import device

TABLE = recipes.table()


@pytest.fixture(scope="module", autouse=True)
def one_thread_in_float32():
    threads, precision = torch.get_num_threads(), device.BF16
    torch.set_num_threads(1)
    device.BF16 = False
    yield
    torch.set_num_threads(threads)
    device.BF16 = precision


@pytest.fixture(scope="module")
def same_sums():
    if recipes.canary() != TABLE["canary"][0]:
        pytest.skip("this processor adds up in another order than that of tests/recipes.csv")


def test_the_table_has_every_recipe():
    assert list(TABLE) == ["canary", *recipes.RECIPES]


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_a_recipe_has_the_weights_it_had(name, same_sums):
    assert recipes.digests(name, (20,)) == [TABLE[name][0]]
