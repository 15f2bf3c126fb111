"""A transport plan to edit by hand, with its cost. Chapter 7."""

import ipywidgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ganbook.plotting import FAKE, OTHER, REAL
from ganbook.widgets import MovingPicture, frame


def explorer(heaps, earth, holes, room, plan=None) -> MovingPicture:
    """Edit a transport plan: a field for each entry, its cost, and the least cost. Chapter 7.

    heaps, holes: places (M, 2) and (K, 2), in metres.
    earth, room: whole numbers of shovelfuls, (M,) in the heaps and (K,) in the holes, with equal
        totals.
    plan: shovelfuls (M, K) to begin with; None moves nothing.
    Heaps are lettered, holes numbered. By keyboard: Tab goes to the next field, arrow keys change
    it. Raises ValueError if the arguments don't fit.
    """
    picture = TransportPicture(heaps, earth, holes, room)
    plan = np.zeros(picture.distance.shape, dtype=int) if plan is None else np.asarray(plan)
    if plan.shape != picture.distance.shape:
        raise ValueError(
            f"the plan must have the shape {picture.distance.shape}; it has {plan.shape}"
        )
    most = int(picture.earth.sum())
    if not (_whole(plan) and (plan <= most).all()):
        raise ValueError(f"the plan must hold whole numbers from 0 to {most}")
    fields = {}
    for (i, j), amount in np.ndenumerate(plan):
        heap, hole = _letter(i), j + 1
        fields[f"{heap}{hole}"] = ipywidgets.BoundedIntText(
            int(amount), min=0, max=most, description=f"{heap} to {hole}",
            style={"description_width": "4em"}, layout=ipywidgets.Layout(width="9em"),
        )  # fmt: skip
    moving = MovingPicture(picture, picture.say, **fields)
    moving.children[0].layout = ipywidgets.Layout(
        display="grid", grid_template_columns=f"repeat({plan.shape[1]}, 10em)"
    )
    return moving


class TransportPicture:
    """A picture of heaps, holes and a transport plan between them. Chapter 7.

    heaps, earth, holes, room: as `explorer` takes them.
    Called with the M K entries of the plan, row by row, as keyword arguments, it returns a PNG as
    bytes. `least` is the least possible cost, in shovelfuls times metres.
    """

    def __init__(self, heaps, earth, holes, room):
        self.heaps = np.asarray(heaps, dtype=float)
        self.holes = np.asarray(holes, dtype=float)
        self.earth, self.room = np.asarray(earth), np.asarray(room)
        for places, amounts in ((self.heaps, self.earth), (self.holes, self.room)):
            if places.ndim != 2 or places.shape[1:] != (2,) or amounts.shape != places.shape[:1]:
                raise ValueError(
                    f"places must be (N, 2) and amounts (N,); got {places.shape} and"
                    f" {amounts.shape}"
                )
            if not (np.isfinite(places).all() and _whole(amounts)):
                raise ValueError("places must be finite, and amounts whole numbers, 0 or more")
        if self.earth.sum() != self.room.sum():
            raise ValueError(
                f"there must be as much room as earth; got {self.room.sum()} and {self.earth.sum()}"
            )
        self.distance = np.linalg.norm(self.heaps[:, None] - self.holes, axis=2)
        self.least = self._least_cost()

    def _least_cost(self) -> float:
        # Imported here, because it takes a quarter of a second, and few chapters need it.
        from scipy.optimize import linprog

        m, k = self.distance.shape
        sums = np.r_[np.kron(np.eye(m), np.ones(k)), np.kron(np.ones(m), np.eye(k))]
        amounts = np.r_[self.earth, self.room]
        return linprog(self.distance.ravel(), A_eq=sums, b_eq=amounts).fun

    def __call__(self, **amounts) -> bytes:
        plan, left, free = self._plan(amounts)
        figure = Figure(figsize=(7.4, 2.9), dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes, beside = figure.subplots(1, 2, width_ratios=(2, 1))
        for (i, j), amount in np.ndenumerate(plan):
            if amount:
                _draw_way(axes, self.heaps[i], self.holes[j], amount)
        for i, amount in enumerate(left):
            _draw_place(axes, self.heaps[i], _letter(i), "s", FAKE, full=amount > 0)
        for j, amount in enumerate(free):
            _draw_place(axes, self.holes[j], str(j + 1), "o", REAL, full=amount > 0)
        axes.set(xlabel="metres", ylabel="metres", aspect="equal")
        axes.margins(0.14)
        beside.axis("off")
        beside.text(0, 0.95, "\n".join(self._report(plan, left, free)), va="top", linespacing=1.6)
        return frame(figure)

    def say(self, **amounts) -> str:
        """What the picture shows, in a line. Takes what a call takes."""
        line = "; ".join(self._report(*self._plan(amounts)))
        return f"{line[0].upper()}{line[1:]}."

    def _plan(self, amounts: dict):
        plan = np.array(list(amounts.values())).reshape(self.distance.shape)
        return plan, self.earth - plan.sum(1), self.room - plan.sum(0)

    def _report(self, plan, left, free) -> list[str]:
        moved, cost = plan.sum(), (plan * self.distance).sum()
        lines = [f"moved: {moved} of {self.earth.sum()}", f"cost: {cost:.2f}"]
        for i, amount in enumerate(left):
            if amount:
                verb = "still has" if amount > 0 else "is short of"
                lines.append(f"heap {_letter(i)} {verb} {abs(amount)}")
        for j, amount in enumerate(free):
            if amount:
                verb = "lacks" if amount > 0 else "overflows by"
                lines.append(f"hole {j + 1} {verb} {abs(amount)}")
        if left.any() or free.any():
            return lines
        lines += ["all moved, all full", f"the least possible: {self.least:.2f}"]
        more = cost - self.least
        if more < 1e-9 * (1 + self.least):
            return [*lines, "and you have it"]
        above = f"{100 * more / self.least:.2g} %" if self.least > 1e-9 else f"{more:.2f}"
        return [*lines, f"yours is {above} above it"]


def _whole(amounts: np.ndarray) -> bool:
    return bool((amounts >= 0).all() and (amounts == np.floor(amounts)).all())


def _letter(heap: int) -> str:
    return chr(ord("A") + heap)


def _draw_way(axes, start, end, amount) -> None:
    axes.plot(*np.stack([start, end]).T, color=OTHER, linewidth=1.6 * amount, alpha=0.35)
    axes.annotate(f"{amount}", (start + end) / 2, ha="center", va="center", fontsize=11)


def _draw_place(axes, place, name, marker, color, full) -> None:
    fill, ink = (color, "white") if full else ("white", color)
    axes.plot(*place, marker, color=color, markerfacecolor=fill, markersize=21, markeredgewidth=1.8)
    axes.annotate(name, place, color=ink, ha="center", va="center", weight="bold")
