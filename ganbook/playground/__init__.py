"""The playground: a game in the plane whose settings you change while it trains. Chapter 2."""

from ganbook.playground.widget import Playground, playground

__all__ = ["Playground", "playground"]
