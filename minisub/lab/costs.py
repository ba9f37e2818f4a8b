"""What programs cost: operations of their matrix products, counted in what JAX traced.

The body of a scan counts as often as it runs, that of a loop of unknown length once: an update.
"""

import math

import jax
import jax.extend.core

from minisub.lab import run
from minisub.lab.products import Product


def flops(jaxpr):
    """Operations of the matrix products and convolutions of a jaxpr, two for a multiply-add."""
    return sum(of_equation(equation) for equation in jaxpr.eqns)


def of_equation(equation):
    """As `flops`, of one equation with all that is inside it."""
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        inner = math.prod(equation.invars[0].aval.shape[i] for i in contracted)
        return 2 * inner * math.prod(equation.outvars[0].aval.shape)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        out = params["dimension_numbers"].rhs_spec[0]
        taps = math.prod(kernel) // kernel[out]
        return 2 * taps * math.prod(equation.outvars[0].aval.shape)
    inside = [flops(getattr(x, "jaxpr", x)) for x in jax.extend.core.jaxprs_in_params(params)]
    if name == "cond":
        return max(inside)
    return sum(inside) * (params["length"] if name == "scan" else 1)


def update(made, key):
    """Operations of one update of a `Fit`."""
    state = run.begun(made, key)
    return flops(jax.make_jaxpr(lambda s: run.advanced(made, s, key, 0, 1))(state).jaxpr)


def relative(product, plain):
    """The product of `cost`: operations of an update of one training over those of a plain one."""
    calls = [{"task": p.task, "arguments": p.arguments} for p in (product, plain)]
    return Product(over, None, calls=calls)


def over(*, calls):
    """Operations of an update of the first of two calls over those of the second."""
    key = jax.random.key(0)
    one, other = (update(call["task"](key, **call["arguments"]), key) for call in calls)
    return {"cost": jax.numpy.float32(one / other)}
