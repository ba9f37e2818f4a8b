"""How many lines the package has, docstrings included: all of it, and what a reader of one world
reads. Of the token world this is all but behaviors, which have experiments of their own."""

from pathlib import Path

import minisub

PACKAGE = Path(minisub.__file__).parent
ALL, PATH = 10_000, 3_500
"""The most that the package, and a path through it, may have."""
SHARED = "config.py", "nets", "lab"


def of(*parts):
    """Lines of modules and rooms of the package."""
    paths = [path for part in parts for path in sorted((PACKAGE / part).rglob("*.py"))]
    paths += [PACKAGE / part for part in parts if part.endswith(".py")]
    return sum(len(path.read_text().splitlines()) for path in paths)


def counted():
    """Lines of the whole package, and of the headline path of each world."""
    shared = of(*SHARED)
    return {
        "package": of("."),
        "tokens": shared + of("tokens") - of("tokens/behaviors"),
        "images": shared + of("images"),
    }


def said():
    """The counts in one line."""
    lines = counted()
    paths = ", ".join(f"{world} {lines[world]:,}" for world in ("tokens", "images"))
    return f"lines: package {lines['package']:,} of {ALL:,}; path {paths} of {PATH:,}"
