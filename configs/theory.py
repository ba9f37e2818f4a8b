"""What theory says about a student's first updates holds on every random network that meets its
assumptions, and fails without them.

    python train.py theory                1 repeat, 50 seconds on 2 CPU cores

Lemma 1 and Theorem 1 of arXiv 2507.14805, what they leave out, and two models whose whole training
is known, each on 1,000 draws of a small network, a displacement, inputs and outputs in float64.
`configs/_first_updates.py` has what is computed, `configs/_claims.py` what is claimed of it and
what the worst of the draws is. A claim named broken lacks the assumption behind the comma.
Seed 0, jax 0.10.2; most of the time is compilation, on cores that other work kept busy:

    | claim                               | draws   | violations | worst      |
    | ----------------------------------- | ------- | ---------- | ---------- |
    | product mlp squares                 | 1,000   | 0          | 0.01571    |
    | product mlp softmax                 | 1,000   | 0          | 0.00984    |
    | product cnn squares                 | 1,000   | 0          | 0.02195    |
    | product cnn softmax                 | 1,000   | 0          | 0.0117     |
    | product transformer squares         | 1,000   | 0          | 0.01028    |
    | product transformer softmax         | 1,000   | 0          | 0.00294    |
    | slope mlp squares                   | 1,000   | 0          | 7.614e-07  |
    | slope mlp softmax                   | 1,000   | 0          | 5.826e-06  |
    | slope cnn squares                   | 1,000   | 0          | 6.091e-07  |
    | slope cnn softmax                   | 1,000   | 0          | 2.084e-06  |
    | slope transformer squares           | 1,000   | 0          | 1.641e-06  |
    | slope transformer softmax           | 1,000   | 0          | 7.234e-05  |
    | loss falls mlp squares              | 1,000   | 0          | -1         |
    | loss falls mlp softmax              | 1,000   | 0          | -1         |
    | loss falls cnn squares              | 1,000   | 0          | -1         |
    | loss falls cnn softmax              | 1,000   | 0          | -1         |
    | loss falls transformer squares      | 1,000   | 0          | -1         |
    | loss falls transformer softmax      | 1,000   | 0          | -1         |
    | foreign start mlp squares           | 1,000   | 0          | 1.352e-06  |
    | foreign start mlp softmax           | 1,000   | 0          | 3.083e-06  |
    | foreign start cnn squares           | 1,000   | 0          | 8.89e-07   |
    | foreign start cnn softmax           | 1,000   | 0          | 3.457e-06  |
    | foreign start transformer squares   | 1,000   | 0          | 4.594e-06  |
    | foreign start transformer softmax   | 1,000   | 0          | 3.403e-06  |
    | degenerate mlp squares              | 1,000   | 0          | 0          |
    | degenerate mlp softmax              | 1,000   | 0          | 0          |
    | degenerate cnn squares              | 1,000   | 0          | 0          |
    | degenerate cnn softmax              | 1,000   | 0          | 0          |
    | degenerate transformer squares      | 1,000   | 0          | 0          |
    | degenerate transformer softmax      | 1,000   | 0          | 0          |
    | linear model squares                | 1,000   | 0          | 0          |
    | linear model softmax                | 1,000   | 0          | 0          |
    | deep linear                         | 1,000   | 0          | 9.295e-14  |
    | tangent kernel mlp                  | 1,000   | 0          | 4.958e-14  |
    | tangent kernel cnn                  | 1,000   | 0          | 7.954e-14  |
    | broken product, foreign start       | 1,000   | 508        | -0.2424    |
    | broken product, signed weights      | 1,000   | 517        | -0.2505    |
    | broken product, permuted outputs    | 1,000   | 492        | -0.2092    |
    | broken slope, foreign start         | 1,000   | 1,000      | 1          |
    | broken loss falls, foreign start    | 1,000   | 291        | 4.993      |
    | broken foreign start, shared start  | 1,000   | 1,000      | 1          |
    | broken degenerate, all outputs      | 1,000   | 1,000      | 0.964      |
    | broken linear model, hidden layers  | 1,000   | 1,000      | 1.129      |
    | broken deep linear, another head    | 1,000   | 1,000      | 9.456      |
    | broken tangent kernel, true network | 1,000   | 1,000      | 0.7537     |

With 10,000 draws (seed 1) no claim is violated either.
"""

from functools import partial

from configs import _claims as claims

ARCHITECTURES = {"mlp": "mlp-8-8", "cnn": "cnn-3-8", "transformer": "transformer-8-1-8"}
LOSSES = {"squares": False, "softmax": True}
OF_ALL = {
    "product": claims.product,
    "slope": claims.slope,
    "loss falls": claims.loss_falls,
    "foreign start": claims.foreign_start,
    "degenerate": claims.degenerate,
}
config = claims.Config()
repeats = 1
float64 = True


def experiment(cfg):
    """Each claim, for the architectures and losses that play a part in it; then broken ones, which
    lack the assumption behind the comma."""
    claimed = partial(claims.claimed, cfg)
    whole = {
        f"{name} {kind} {loss}": claimed(claim, layers, softmax=softmax)
        for name, claim in OF_ALL.items()
        for kind, layers in ARCHITECTURES.items()
        for loss, softmax in LOSSES.items()
    }
    for loss, softmax in LOSSES.items():
        whole[f"linear model {loss}"] = claimed(claims.linear_model, "mlp", softmax=softmax)
    whole["deep linear"] = claimed(claims.deep_linear)
    for kind in "mlp", "cnn":
        whole[f"tangent kernel {kind}"] = claimed(claims.tangent_kernel, ARCHITECTURES[kind])
    return whole | {
        "broken product, foreign start": claimed(claims.product, start=True),
        "broken product, signed weights": claimed(claims.product, weights=True),
        "broken product, permuted outputs": claimed(claims.product, outputs=True),
        "broken slope, foreign start": claimed(claims.slope, start=True),
        "broken loss falls, foreign start": claimed(claims.loss_falls, start=True),
        "broken foreign start, shared start": claimed(claims.foreign_start, start=True),
        "broken degenerate, all outputs": claimed(claims.degenerate, outputs=True),
        "broken linear model, hidden layers": claimed(claims.linear_model),
        "broken deep linear, another head": claimed(claims.deep_linear, model=True),
        "broken tangent kernel, true network": claimed(claims.tangent_kernel, model=True),
    }
