"""The first cell of a chapter that refute.py runs: its source is executed there, by itself.

All seeds of the course pass through the three functions that are replaced here; a test looks for
others. Embedded data, and the classifier that measures, stay what they are.
"""


def start(by: int, claims: int, record: str, space: dict) -> None:
    """Shift every seed, and let claims say in a file what became of them.

    by: what is added to a seed. claims: how many there are; `claim_7` is that of number 7.
    record: the file, a line for each time that a claim is reached: its number, and 1 if it held.
    space: where the names `claim_0`, `claim_1` and so on go.
    """
    import numpy
    import torch

    def shifted(seed):
        if isinstance(seed, tuple):
            return shifted(seed[0]), *seed[1:]
        return seed + by if isinstance(seed, (int, numpy.integer)) else seed

    class Generator(torch.Generator):
        def manual_seed(self, seed):
            return super().manual_seed(shifted(seed))

    manual_seed, default_rng = torch.manual_seed, numpy.random.default_rng
    torch.manual_seed = torch.random.manual_seed = lambda seed: manual_seed(shifted(seed))
    numpy.random.default_rng = lambda seed=None: default_rng(shifted(seed))
    torch.Generator = Generator
    torch.manual_seed(0)  # for what draws before it seeds

    from ganbook.claims import ClaimFailed, claim

    def numbered(number):
        def recorded(sentence, holds):
            held = False
            try:
                claim(sentence, holds)
                held = True
            except ClaimFailed as failure:
                print(failure)  # and go on, so that what follows in the cell is tried, too
            finally:
                with open(record, "a") as file:
                    print(number, int(held), file=file)

        return recorded

    space.update({f"claim_{number}": numbered(number) for number in range(claims)})
