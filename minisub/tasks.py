"""All worlds' phases and tasks under one roof: all that `experiment` and `runner` call.

A world has `phases(cfg)`, `check(cfg)`, `fetch(cfg)` and `given(cfg, key)`, which reads the fields
`GIVEN`, and tasks: `TASKS`, `VOLATILE`, `finish`, `epoch` and `cost`. A task is a pure function
(option, settings, inputs, key) that returns its product at once, or a `Fit` for the one
optimization loop; `begin`, `advance` and `finish` run either kind.
"""

from minisub import (
    claims,
    fit,
    image_chain,
    image_config,
    image_tasks,
    token_chain,
    token_config,
    token_tasks,
)
from minisub.phases import Fit

WORLDS = {
    token_config.Config: token_chain,
    image_config.ImageConfig: image_chain,
    claims.TheoryConfig: claims,
}
FLOAT64 = (claims.TheoryConfig,)
"""Worlds that compute in float64; the others take JAX's default, float32."""


def world_of(settings):
    """The module with the tasks of a phase's world."""
    if "claims" in settings:
        return claims
    return token_tasks if "world" in settings else image_tasks


def begin(kind, option, settings, inputs, key):
    """The state of a phase before its first step; for a phase without steps, its product."""
    task = world_of(settings).TASKS[kind](option, settings, inputs, key)
    return fit.begin(task.training, task.start, task.watch, key) if isinstance(task, Fit) else task


def advance(kind, option, settings, inputs, state, key, first, last):
    """The state of an optimizing phase after its steps `first` to `last` (exclusive)."""
    task = world_of(settings).TASKS[kind](option, settings, inputs, key)
    how = task.batches, task.watch
    return fit.advance(task.training, task.loss, state, key, first, last, *how)


def finish(kind, option, settings, inputs, state, key):
    """The phase's product, and its measures: name -> (arms,), or (arms, rows) if it was logged.

    The measure "step" says when, -1 in rows that were not written.
    """
    return world_of(settings).finish(kind, option, settings, inputs, state, key)


def volatile(phase):
    """Whether a phase's product is made again after a resumption instead of being saved."""
    return phase.kind in world_of(phase.settings).VOLATILE


def epoch(phase):
    """Updates in an epoch of a training phase; 0 in a world without epochs."""
    return world_of(phase.settings).epoch(phase)


def cost(phase):
    """Work of a phase in one repeat: before its first step, and at each step.

    Both are (operations of its matrix products; tokens scored, images seen or draws made).
    """
    return world_of(phase.settings).cost(phase)
