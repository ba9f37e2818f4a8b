"""What a repeat is made of: phases, each a task with what it reads."""

from typing import Any, NamedTuple


class Phase(NamedTuple):
    """One link of a repeat: it depends on nothing but these fields, its inputs and a key."""

    name: str
    """Of its product in the state of a repeat."""
    kind: str
    """A function of `token_tasks.py` or `image_tasks.py`."""
    settings: dict
    """The parts of the configuration that the task reads: a pytree, numbers traced."""
    inputs: dict
    """What the task calls each input -> the name of that product in the state."""
    key: str
    """Name of its random stream; phases that share it see the same data in the same order."""
    option: str = ""
    """The start, the channel, or how many examples to do at a time; static."""
    arms: tuple = ()
    """Under which its measures are recorded, one set an arm; none if empty."""
    given: tuple = ()
    """Names of the arrays it reads that all repeats share, such as real images."""
    back: int = 0
    """How many repeats before this one its key comes from: 1 for a neighbor's teacher."""

    @property
    def steps(self):
        """Optimizer updates; a phase without training does all its work at once."""
        return self.settings["training"].steps if "training" in self.settings else 0


class Fit(NamedTuple):
    """What an optimizing task supplies to `fit`."""

    training: Any
    """A `Training` configuration."""
    loss: Any
    """(params, key) -> scalar; (params, key, batch) with `batches`."""
    start: Any
    """The first parameters."""
    batches: Any = None
    """The `Batches` of every epoch; None if each update draws its own from its key."""
    watch: Any = None
    """The `Watch` over its updates; None if nothing is logged or changed."""


class Batches(NamedTuple):
    """A fixed set of examples, visited in a new order in every epoch."""

    steps: int
    """Updates in an epoch."""
    order: Any
    """epoch -> the order of its examples"""
    at: Any
    """(order, step within the epoch) -> the batch that the loss is given"""


class Watch(NamedTuple):
    """What `fit` does beside an update."""

    rows: int
    """Of the log, at evenly spaced updates from the first on; 0: no log."""
    log: Any
    """(params, gradient, updates) -> a row: name -> array. Before the update is made; gradient and
    updates have None where parameters are frozen."""
    edit: Any
    """(params, updates, key) -> the updates that are made."""
