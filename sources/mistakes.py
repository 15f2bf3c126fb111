"""The mistakes of mistakes.txt, for refute.py."""

from pathlib import Path
from typing import NamedTuple

from build import BuildError


class Mistake(NamedTuple):
    """One mistake: `before` becomes `after`.

    chapter: its number, "03"; one of its claims and checks should notice. name: what is wrong.
    file: of the package, from the repository's root; "" for the source of the chapter.
    """

    chapter: str
    name: str
    file: str
    before: str
    after: str


def read(path: Path) -> list[Mistake]:
    """The mistakes of a file. Raises BuildError for an entry that is twice there or unreadable."""
    found = []
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    for entry in filter(None, "\n".join(lines).strip("\n").split("\n\n")):
        head, *rest = entry.strip("\n").split("\n")
        chapter, _, name = head.partition(" ")
        file = rest.pop(0)[3:] if rest and rest[0].startswith("in ") else ""
        before, after = (
            "\n".join(line[2:] for line in rest if line.startswith(sign)) for sign in "-+"
        )
        if not (name and before and all(line[:2].strip() in ("-", "+") for line in rest)):
            raise BuildError(f"{path.name}: this entry can't be read:\n{entry}")
        if any((chapter, name) == (one.chapter, one.name) for one in found):
            raise BuildError(f"{path.name}: two mistakes of chapter {chapter} are called {name!r}")
        found.append(Mistake(chapter, name, file, before, after))
    return found


def plant(mistake: Mistake, path: Path) -> None:
    """Make a mistake in a file. Raises BuildError unless its `before` is there exactly once."""
    text = path.read_text(encoding="utf-8")
    if text.count(mistake.before) != 1:
        raise BuildError(
            f"mistakes.txt, {mistake.chapter} {mistake.name}: what it changes is"
            f" {text.count(mistake.before)} times in {path.name}, not once:\n{mistake.before}"
        )
    path.write_text(text.replace(mistake.before, mistake.after), encoding="utf-8", newline="\n")
