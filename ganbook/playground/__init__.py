"""The playground: a game in the plane that trains while its settings are changed. Chapter 2."""

from ganbook.playground.widget import Playground, playground

__all__ = ["Playground", "playground"]
