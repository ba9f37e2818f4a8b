"""Records of runs as tables, figures and pages. Needs nothing of how they were made."""

from minisub.results.pages import joined, write

__all__ = ["joined", "write"]
