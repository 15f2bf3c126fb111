"""Checks of the exercises: `checks.ch01.some_exercise(answer)` says solved, open, or what is wrong.

A check tests properties that a right answer has, on inputs it draws itself, so it never needs to
contain the answer. How to write one:

- `@exercise("1.2")` asks for a function, `@exercise("1.3", value=True)` for a value.
- What comes back goes through `number`, `count`, `tensor` or `parts`, which accept everything that
  can be meant and name everything else. Nothing else touches it first.
- `recognise` and `recognise_number` name known mistakes; with `truth` they never blame a right
  answer. `same` and `near` compare as loosely as float32 needs.
"""

import contextlib
import functools
import inspect
import itertools
import math
import numbers
import os
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Set

import numpy as np
import torch

from ganbook.claims import each_of, marked
from ganbook.guards import Randomness

SEED = 8128
"""For all that a check draws, so that its verdict depends on the answer alone. Tests try others."""

RTOL, ATOL = 1e-4, 1e-5
"""How far a right answer may be off: many are computed in float32, and `.item()` hides which."""

MOST = 10_000
"""The most values that are read from a generator, which may have no end."""


class Mistake(AssertionError):
    """What is wrong with an answer. Jupyter shows its message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [marked("✘", "x", f"{self}")]


class Open(Exception):
    """The answer, or a part of it, which may be named, is still the dots of the stub."""


def require(holds, message: str) -> None:
    """Raise `Mistake(message)` unless `holds`, bools or arrays, tensors, lists of them, is true."""
    if not all(np.asarray(part).all() for part in each_of(holds)):
        raise Mistake(message)


# ---- What comes back


def number(value, what: str = "", *, infinite: bool = False) -> float:
    """The answer as a float, or a `Mistake`.

    value: a number of any kind, or a tensor, array, list or tuple that holds one. No truth value,
        no string, no complex number, not NaN.
    what: its name, for the message. infinite: whether it may be infinite.
    """
    of = f"{what}: " if what else ""
    one = _only(value)
    if isinstance(one, complex):
        raise Mistake(f"{of}one number should come back, not a complex one, {one:.3g}.")
    if one is None:
        raise Mistake(f"{of}one number should come back, not {kind(value)}.")
    if math.isnan(one) or (math.isinf(one) and not infinite):
        raise Mistake(f"{of}the number is {one}: a finite one should come back.")
    return one


def count(value, what: str = "") -> int:
    """The answer as a whole number, or a `Mistake`: 4, 4.0 and a tensor that holds 4 are 4."""
    found = number(value, what)
    of = f"{what}: " if what else ""
    require(found == round(found), f"{of}a whole number should come back, not {found:.6g}.")
    return round(found)


def tensor(value, shape: tuple[int, ...], what: str = ""):
    """The answer as float64 of the expected shape, or a `Mistake` that names the shape.

    value: a tensor, array, list, tuple or generator of numbers; for the shape () also a number.
        It may hold NaN or infinity: `same` names them.
    what: its name, for the message.
    """
    of, shape = f"{what}: " if what else "", tuple(shape)
    try:
        found = _as_tensor(value)
    except (TypeError, ValueError, RuntimeError, OverflowError, NotImplementedError) as error:
        reason = f" {error}." if type(error) is _Unfit else ""
        raise Mistake(
            f"{of}a tensor of shape {shape} should come back, not {kind(value)}.{reason}"
        ) from None
    if shape == () and found.numel() == 1:
        return found.reshape(())
    require(found.shape == shape, f"{of}the shape should be {shape}; it is {tuple(found.shape)}.")
    return found


def parts(value, n: int, message: str = "") -> list:
    """The n things that come back, as a list, or a `Mistake` with the message.

    value: a tuple, a list, a tensor or array with n rows, or a generator.
    """
    message = message or f"{n} values should come here, separated by commas"
    if isinstance(value, Iterator):
        value = take(value, n + 1)
    ordered = isinstance(value, (list, tuple, np.ndarray, torch.Tensor)) and getattr(
        value, "shape", (1,)
    )
    require(bool(ordered), f"{message.removesuffix('.')}; this is {kind(value)}.")
    require(len(value) == n, f"{message.removesuffix('.')}; there are {len(value)}.")
    return list(value)


def take(values: Iterable, n: int) -> list:
    """The first n of some values, or all if there are fewer: a generator may have no end."""
    try:
        return list(itertools.islice(values, n))
    except Exception as error:
        raise Mistake(f"your code raised {_said(error)}") from error


def kind(value) -> str:
    """What a value is, in a few words: never the pages that torch would print."""
    name = type(value).__name__
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, (torch.Tensor, np.ndarray)):
        of = "" if value.dtype not in _UNREAL else f" {str(value.dtype).removeprefix('torch.')}"
        return f"{name}{of} of shape {tuple(value.shape)}"
    if isinstance(value, (list, tuple, Mapping, Set)):
        return f"{name} of {len(value)}"
    return name


_UNREAL = (torch.bool, torch.complex64, torch.complex128, *map(np.dtype, ("?", "F", "D")))


class _Unfit(TypeError):
    """Why a value is no tensor of numbers, in words for a `Mistake`."""


def _only(value) -> float | complex | None:
    """The one number that a value holds, None if it holds none or several."""
    if value is ...:
        raise Open
    if isinstance(value, (bool, np.bool_, str, bytes)):
        return None
    try:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            value = value.to_dense() if value.layout is not torch.strided else value
            no_number = value.numel() != 1 or value.dtype == torch.bool
            return None if no_number else value.item()
        if isinstance(value, np.ndarray):
            return _only(value.item()) if value.size == 1 else None
        if isinstance(value, Iterator):
            value = take(value, 2)
        if isinstance(value, (list, tuple)):
            return _only(value[0]) if len(value) == 1 else None
        if isinstance(value, (complex, np.complexfloating)):
            return complex(value)
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError, RuntimeError, NotImplementedError, RecursionError):
        return None


def _as_tensor(value) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.to_dense() if value.layout is not torch.strided else value
        if value.is_complex():
            raise _Unfit("Its numbers are complex")
        return value.to(torch.float64, copy=True)
    if isinstance(value, Iterator):
        value = take(value, MOST + 1)
    if isinstance(value, (Mapping, Set, str, bytes)):
        raise TypeError
    if not isinstance(value, np.ndarray) and not isinstance(value, (list, tuple)):
        if isinstance(value, (numbers.Number, np.generic)) or not isinstance(value, Iterable):
            one = _only(value) if not isinstance(value, (bool, np.bool_)) else float(value)
            if one is None or isinstance(one, complex):
                raise TypeError
            return torch.tensor(one, dtype=torch.float64)
        value = value.__array__() if hasattr(value, "__array__") else take(value, MOST + 1)
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            return torch.from_numpy(np.array(value, dtype=np.float64, order="C"))
        if value.dtype.kind == "c":
            raise _Unfit("Its numbers are complex")
        if value.dtype.kind != "O" or value.ndim == 0:
            raise TypeError
        value = list(value)
    plain = all(type(part) in (int, float) for part in value)
    if plain:
        return torch.tensor([float(part) for part in value], dtype=torch.float64)
    rows = [_as_tensor(part) for part in value]
    if len({row.shape for row in rows}) > 1:
        raise _Unfit("Its rows have different lengths")
    return torch.stack(rows)


# ---- What is right, and what is known to be wrong


def near(found, value, rtol: float = RTOL, atol: float = ATOL) -> bool:
    """Whether two numbers, or two tensors of the same shape, agree. NaN agrees with nothing."""
    found, value = (torch.as_tensor(x).detach().cpu().double() for x in (found, value))
    if found.shape != value.shape and 1 not in (found.numel(), value.numel()):
        return False
    return torch.allclose(*torch.broadcast_tensors(found, value), rtol=rtol, atol=atol)


def same(found, truth, message: str, rtol: float = RTOL, atol: float = ATOL) -> None:
    """Raise `Mistake(message)` unless found agrees with truth. NaN and infinity are named."""
    truth = torch.as_tensor(truth).double()
    if near(found, truth, rtol, atol):
        return
    found = torch.as_tensor(found)
    if torch.isfinite(truth).all() and not torch.isfinite(found).all():
        bad = found[~torch.isfinite(found)]
        share = f"{bad[0]:g}" if found.numel() == 1 else f"{len(bad)} of {found.numel()} are not"
        message = f"the result is not finite ({share}): {message}"
    raise Mistake(message)


def recognise(
    found, *mistakes, truth=None, of: str = "", rtol: float = RTOL, atol: float = ATOL
) -> None:
    """Raise the message of the first known mistake that gives exactly what was found.

    mistakes: pairs of a value and its message. truth: the right value; what is near it is not
        blamed, even if a mistake happens to give the same. of: what stands before each message.
    rtol, atol: how near is near, where the truth is given.
    """
    if truth is None:
        rtol, atol = 1e-5, 1e-7  # without it at hand, only what can't be a coincidence
    elif near(found, truth, rtol, atol):
        return
    for value, message in mistakes:
        require(not near(found, value, rtol, atol), of + message)


def recognise_number(
    found: float, *mistakes, truth: float | None = None, of: str = "", within: float = 1e-4
) -> None:
    """The same for one number. within: how near is near."""
    if truth is not None and abs(found - truth) <= within * max(1.0, abs(truth)):
        return
    for value, message in mistakes:
        close = math.isfinite(value) and abs(found - value) <= within * max(1.0, abs(value))
        require(not (close or found == value), of + message)


# ---- The frame


def exercise(number: str, *, value: bool = False):
    """Make a check of exercise `number` ("1.2") out of a function that calls `require`.

    number: of the exercise. value: whether it asks for a value; otherwise it asks for a function.
    The check gets the learner's answer. For dots, None, or a function that returns either, it
    prints that the exercise is open. Everything that the learner's code may raise, `sys.exit()`
    included, becomes a `Mistake` that names it; an interrupt passes through. After the check, the
    settings of torch and numpy and the random numbers are what they were before.
    """

    def decorate(check):
        @functools.wraps(check)
        def run(answer):
            try:
                with _own_random_numbers(), _kept_settings():
                    given = _settled(answer) if value else guarded(answer)
                    check(given)
                    require(
                        not getattr(given, "leaves_gradients_off", False),
                        "gradients are left switched off for all that comes after:"
                        " use `with torch.no_grad():`, which switches them on again.",
                    )
            except Open as part:
                of = f" of {part}" if part.args else ""
                is_open = (
                    f"Exercise {number} is open: replace the dots{of} (and return a value),"
                    " then run this cell again."
                )
                # Where points are given, an open exercise gets none.
                if os.environ.get("NBGRADER_EXECUTION"):
                    raise Mistake(is_open) from None
                print(marked("○", "o", is_open))
            except Mistake as mistake:
                raise Mistake(f"Exercise {number}: {mistake}") from mistake.__cause__
            except (Exception, SystemExit) as error:
                raise Mistake(
                    f"Exercise {number}: what came back can't be judged ({_said(error)})."
                    " Is it what the exercise asks for?"
                ) from error
            else:
                print(marked("✔", "OK", f"Exercise {number} solved."))

        run.exercise = number
        return run

    return decorate


def guarded(answer, what: str = ""):
    """A learner's function whose exceptions are `Mistake`s, and whose generators have an end.

    what: its name, for the message if it is no function.
    After a call, its `leaves_gradients_off` tells whether the next cell would have no gradients.
    """
    if _dots(answer) or answer is None:
        raise Open
    of = f"{what}: " if what else ""
    name = type(answer).__name__
    article = "an" if name[0].lower() in "aeiou" else "a"
    require(
        callable(answer),
        f"{of}a function should stand here, not {article} {name}:"
        " hand over its name, without calling it.",
    )

    @functools.wraps(answer, updated=())
    def call(*args, **kwargs):
        try:
            with _kept_settings():
                try:
                    result = answer(*args, **kwargs)
                except RuntimeError as error:
                    # It may expect the other precision: both occur in the notebooks.
                    if not re.search("dtype|scalar type|Float|Double", str(error)):
                        raise
                    try:
                        result = answer(*map(_other_precision, args), **kwargs)
                    except Exception:
                        raise error from None
                result = _settled(result, asked=False)
                call.leaves_gradients_off = not torch.is_grad_enabled()
        except (Mistake, Open, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error, (TypeError, ValueError, AttributeError, RuntimeError)) and (
                "ellipsis" in str(error).lower()
            ):
                raise Open from None
            hint = ""
            if isinstance(answer, type) and isinstance(error, TypeError):
                hint = f" ({answer.__name__} is a class: hand over an object of it)"
            raise Mistake(f"your code raised {_said(error)}{hint}") from error
        return result

    return call


def on_copies(answer, *given):
    """What an answer returns for copies of what is given, or a `Mistake` if it writes into them."""
    copies = [
        x.clone() if isinstance(x, torch.Tensor) else x.copy() if isinstance(x, np.ndarray) else x
        for x in given
    ]
    result = answer(*copies)
    for was, now in zip(given, copies, strict=True):
        if now is was:  # no tensor and no array: not copied
            continue
        equal = torch.equal if isinstance(was, torch.Tensor) else np.array_equal
        require(equal(was, now), "your function changes what it is given: work on a copy.")
    return result


def _other_precision(value):
    other = {torch.float32: torch.float64, torch.float64: torch.float32}
    if not isinstance(value, torch.Tensor) or value.dtype not in other:
        return value
    return value.to(other[value.dtype])


def _settled(value, *, asked: bool = True):
    """A value whose generators are lists. Raises Open for dots, Mistake for what is no value.

    asked: whether it is the answer itself, or else what an answer returned.
    """
    if isinstance(value, dict):
        for name, part in value.items():
            if part is None or _dots(part):
                raise Open(name)
    if value is None or _dots(value):
        raise Open
    if inspect.iscoroutine(value):
        value.close()
        raise Mistake("your function is `async`, so calling it does nothing. Write `def` alone.")
    if asked and callable(value) and not isinstance(value, torch.Tensor):
        raise Mistake(
            f"a value should stand here, not {_a_function(value)}: call it, and hand over what"
            " it returns."
        )
    return _listed(value)


def _a_function(value) -> str:
    return kind(value) if isinstance(value, type) else f"a function ({kind(value)})"


def _listed(value, depth: int = 3):
    """The value, with lists no longer than `MOST` in place of iterators."""
    if isinstance(value, Iterator):
        found = list(itertools.islice(value, MOST + 1))
        require(
            len(found) <= MOST,
            f"your code gives more than {MOST:,} values, perhaps without end:"
            " a loop with `yield` in it that never stops?",
        )
        value = found
        if _dots(value):
            raise Open
    if depth and type(value) in (list, tuple) and len(value) <= MOST:
        return type(value)(_listed(part, depth - 1) for part in value)
    if depth and type(value) is dict and len(value) <= MOST:
        return {key: _listed(part, depth - 1) for key, part in value.items()}
    return value


def _dots(value, depth: int = 3) -> bool:
    """Whether the dots of a stub are anywhere in a value."""
    if value is ...:
        return True
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist() if value.dtype == object else ()
    if isinstance(value, Mapping):
        value = list(value.values())
    if not depth or not isinstance(value, (list, tuple, Set)):
        return False
    return any(_dots(part, depth - 1) for part in itertools.islice(value, MOST))


def _said(error: BaseException) -> str:
    """The name of an error and what it says, at a readable length."""
    if isinstance(error, SystemExit):
        return "SystemExit: don't call exit() in it"
    try:
        text = str(error)
    except Exception:
        text = ""
    text = text if len(text) <= 400 else text[:400] + " ..."
    return f"{type(error).__name__}: {text}"


@contextlib.contextmanager
def _own_random_numbers():
    """Global generators that start from SEED, for the check and for an answer that draws.

    They are put back afterwards: exercise solved or not, the chapter draws the same numbers.
    """
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002
    try:
        with Randomness(SEED):
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


@contextlib.contextmanager
def _kept_settings():
    """The usual settings of torch and numpy, and afterwards those from before."""
    device = torch.get_default_device()
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    threads, errors = torch.get_num_threads(), np.geterr()
    anomaly = torch.is_anomaly_enabled()
    try:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        yield
    finally:
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)
        torch.autograd.set_detect_anomaly(anomaly)
        np.seterr(**errors)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device == torch.device("cpu") else device)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
