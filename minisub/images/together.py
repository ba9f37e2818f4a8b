"""Models trained side by side in one loop."""

from minisub.config import require
from minisub.lab.identity import describe
from minisub.lab.products import Product, marked
from minisub.nets.fit import Fit, Watch

READ = "training", "carrier"
"""Arguments that products trained together share."""


def together(products):
    """The same products (a dict) trained side by side in one loop, where small models are faster.

    What they read in an update is gathered once. They must have one stream, one `Training` and one
    carrier. None of them sees another.
    """
    read = {(p.stream, *(describe(p.arguments.get(x)) for x in READ)) for p in products.values()}
    require(
        len(read) == 1,
        f"{', '.join(products)} do not have one training and one carrier; give them one of each, "
        "or train each alone.",
    )
    first = next(iter(products.values()))
    training = first.arguments["training"]
    require(
        not training.rank and not training.weight_noise,
        "Adapters and weight noise are drawn by the names of parameters, which change in one loop; "
        "leave out together, or rank and weight_noise.",
    )
    require(
        not training.optimizer.startswith("normalized"),
        "Normalized updates are divided by the norm of all parameters, which in one loop are those "
        "of all students; leave out together, or choose another optimizer.",
    )
    calls = {name: {"task": p.task, "arguments": p.arguments} for name, p in products.items()}
    joint = Product(side_by_side, first.stream, calls=calls)["params"]
    made = {n: joint[n].replace(measures=p.measures, given=p.given) for n, p in products.items()}
    alike = {p.describe(): made[name] for name, p in products.items()}
    return {
        name: made[name].against(*(alike.get(c.describe(), c) for c in p.controls))
        for name, p in products.items()
    }


@marked(shares_inputs=True)
def side_by_side(key, calls):
    """One `Fit` of several, whose losses are summed; its parameters are a dict of theirs."""
    fits = {name: call["task"](key, **call["arguments"]) for name, call in calls.items()}
    first = next(iter(fits.values()))
    watches = {name: fit.watch for name, fit in fits.items() if fit.watch}

    def loss(params, key, *batch):
        return sum(fit.loss(params[name], key, *batch) for name, fit in fits.items())

    def log(*seen):
        rows = {n: w.log(*(tree[n] for tree in seen)) for n, w in watches.items() if w.rows}
        return {f"{name}: {key}": x for name, row in rows.items() for key, x in row.items()}

    def edit(params, updates, key):
        changed = {n: watch.edit(params[n], updates[n], key) for n, watch in watches.items()}
        return updates | changed

    rows = max((watch.rows for watch in watches.values()), default=0)
    watch = Watch(rows, log, edit) if watches else None
    starts = {name: fit.start for name, fit in fits.items()}
    return Fit(first.training, loss, starts, first.batches, watch)
