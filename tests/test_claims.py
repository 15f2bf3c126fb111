"""ganbook.claims: what holds, what fails, and what is no truth at all."""

import io
import sys

import numpy as np
import pytest
import torch

from ganbook import claim
from ganbook.claims import ClaimFailed, marked
from ganbook.device import DEVICE


@pytest.mark.parametrize(
    "holds",
    [
        True,
        np.bool_(True),
        np.array([True, True]),
        torch.tensor(True),
        torch.tensor([[True], [True]]),
        torch.ones(2, device=DEVICE) > 0,
        [True, True],
        [torch.ones(2, device=DEVICE) > 0, True, [np.array([[True]])]],
        1.0 < 2.0,
    ],
)
def test_a_claim_that_holds_is_printed(holds, capsys):
    assert claim("The sum is one.", holds) is None
    assert capsys.readouterr().out == "✔ The sum is one.\n"


@pytest.mark.parametrize(
    "fails",
    [
        False,
        np.bool_(False),
        np.array([True, False]),
        torch.tensor(False),
        torch.tensor([True, False]),
        [True, [torch.tensor([True, False])]],
    ],
)
def test_a_claim_that_fails_raises_and_prints_nothing(fails, capsys):
    with pytest.raises(ClaimFailed, match="This does not hold here: The sum is one."):
        claim("The sum is one.", fails)
    assert capsys.readouterr().out == ""
    assert issubclass(ClaimFailed, AssertionError)


@pytest.mark.parametrize(
    "no_truth",
    [
        0,
        1,
        0.3,
        None,
        "yes",
        np.float64(1.0),
        torch.tensor(1.0),
        torch.tensor([1]),
        [],
        np.array([], bool),
        [True, 1],
    ],
)
def test_a_number_can_not_pass_for_a_truth(no_truth, capsys):
    with pytest.raises(
        TypeError, match=r"claim\('The sum is one.'\) needs True or False, such as `error < 1e-3`"
    ):
        claim("The sum is one.", no_truth)
    assert capsys.readouterr().out == ""


def test_arguments_the_wrong_way_round_are_noticed():
    with pytest.raises(TypeError):
        claim(True, "The sum is one.")


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", "✔ W ≥ 0, as Fréchet says."),
        ("cp1252", "OK W ? 0, as Fréchet says."),
        ("ascii", "OK W ? 0, as Fr?chet says."),
    ],
)
def test_a_claim_is_printed_as_the_output_can(encoding, printed, monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        claim("W ≥ 0, as Fréchet says.", True)
        output.flush()
    assert output.buffer.getvalue().decode(encoding).strip() == printed


@pytest.mark.parametrize("output", [None, io.StringIO()])
def test_an_output_without_an_encoding_gets_the_mark(monkeypatch, output):
    monkeypatch.setattr(sys, "stdout", output)
    assert marked("✔", "OK", "yes") == "✔ yes"
