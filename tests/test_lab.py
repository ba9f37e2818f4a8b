"""The engine: products are made once, found again, refused early, and never mixed."""

import json
import os
import shutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from minisub import experiments, keeping
from minisub.config import Refused, Stopped, Training
from minisub.images.together import together
from minisub.lab import folder, identity, perform, plan, run
from minisub.lab.products import Measure, Product, marked, quick, shared
from minisub.nets import streams
from minisub.nets.fit import Batches, Fit

MADE_BY = {"source": "x"}
TRAINING = Training(steps=12, learning_rate=0.1, frozen=())


def drawn(key, *, n, scale=1.0):
    """Random numbers."""
    return {"params": {"w": scale * jax.random.normal(key, (n,))}}


def trained(key, *, start, training, target, batches=False):
    """Descent towards a target, from noisy batches."""

    def loss(params, key, batch=0):
        noise = jax.random.normal(key, params["w"].shape)
        return jnp.sum((params["w"] - target["w"] - 0.01 * noise - 0.01 * batch) ** 2)

    how = Batches(5, lambda epoch: jnp.float32(epoch), lambda order, step: order + step)
    return Fit(training, loss, start, how if batches else None)


def size(*, params):
    """A measure: the sum of squares."""
    return {"size": jnp.sum(params["w"] ** 2)}


def experiment(scale=1.0, steps=12):
    """Two origins, a teacher, and two students of it."""
    first, second = (Product(drawn, name, n=3, scale=scale)["params"] for name in ("a", "b"))
    training = Training(steps=steps, learning_rate=0.1, frozen=())
    measure = Measure(size, "params")

    def fit(start, target, **more):
        made = Product(trained, "data", start=start, target=target, training=training, **more)
        return made["params"].measured(measure)

    teacher = fit(first, second)
    control = fit(first, first, batches=True)
    return {
        "teacher": teacher,
        "control": control,
        "student": fit(second, teacher, batches=True).against(control),
        "foreign": fit(second, fit(second, first)),
    }


def performed(path, named=None, settings=None, **how):
    """The rows of an experiment that is performed into a folder; `performed.taken` is how many of
    its products came from earlier runs."""
    settings = settings or [({}, named or experiment())]
    with folder.Folder(path, MADE_BY) as place:
        performance = perform.Performance(settings, place, **{"segment": 5, **how})
        performance.make_all()
        performed.taken = performance.taken
        return [*performance.rows()]


def contents(path):
    """Checksum of every product of a folder."""
    found = {}
    for product in sorted((path / "products").glob("*/*")):
        note, tree = folder.read(product)
        found[f"{product.parent.name}/{product.name}"] = folder.checksum(tree, note)
    return found


def test_the_performed_run_and_the_pure_one_give_the_same_bits(tmp_path):
    rows = performed(tmp_path, repeats=2)
    keys, pure = run.repeat_keys(0, 2), jax.jit(lambda key: run.run(experiment(), key))
    for repeat in range(2):
        record = pure(keys[repeat])
        for row in rows:
            if row["repeat"] == repeat:
                assert row["value"] == float(record[row["arm"]][row["measure"]])


def test_the_pure_run_maps_over_keys_and_over_numbers_of_the_experiment():
    keys, scales = run.repeat_keys(0, 2), jnp.array([0.5, 2.0])
    pure = jax.jit(lambda key, scale: run.run(experiment(scale), key))
    mapped = jax.jit(jax.vmap(pure))(keys, scales)
    alone = [pure(key, scale) for key, scale in zip(keys, scales, strict=True)]
    for name, measures in mapped.items():
        expected = [record[name]["size"] for record in alone]
        np.testing.assert_allclose(measures["size"], expected, rtol=1e-5)


def test_more_repeats_and_the_same_command_leave_what_is_there(tmp_path):
    once = performed(tmp_path / "one", repeats=3)
    performed(tmp_path / "two", repeats=1)
    again = performed(tmp_path / "two", repeats=3)
    assert once == again and contents(tmp_path / "one") == contents(tmp_path / "two")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "two" / "products").rglob("*")}
    assert performed(tmp_path / "two", repeats=3) == once
    assert stamps == {p: p.stat().st_mtime_ns for p in (tmp_path / "two" / "products").rglob("*")}


def test_a_group_of_repeats_gives_what_repeats_alone_give_up_to_rounding(tmp_path):
    alone, group = (
        performed(tmp_path / "1", repeats=2),
        performed(tmp_path / "2", repeats=2, group=2),
    )
    value = {(r["repeat"], r["arm"]): r["value"] for r in group}
    for row in alone:
        assert row["value"] == pytest.approx(value[row["repeat"], row["arm"]], rel=1e-4)


def test_settings_of_a_sweep_share_what_they_have_in_common(tmp_path):
    settings = [({"steps": n}, experiment(steps=n)) for n in (12, 7)]
    performed(tmp_path, settings=settings)
    made = [p.parent.name.partition("-")[0] for p in (tmp_path / "products").glob("*/0")]
    assert (made.count("drawn"), made.count("trained")) == (2, 10)


def test_a_measure_can_be_added_and_nothing_is_trained_again(tmp_path):
    performed(tmp_path)
    named = experiment()

    def length(*, params):
        return {"length": jnp.sqrt(jnp.sum(params["w"] ** 2))}

    named["teacher"] = named["teacher"].measured(Measure(length, "params"))
    with folder.Folder(tmp_path, MADE_BY) as place:
        left = perform.Performance([({}, named)], place, segment=5).left()
        assert [p.task.__name__ for p, *_ in left] == ["length"]


def test_equal_calls_are_made_once_and_share_a_program(tmp_path):
    named = {
        "one": Product(drawn, "a", n=17, scale=1.0)["params"].measured(Measure(size, "params")),
        "same": Product(drawn, "a", n=17, scale=1.0)["params"].measured(Measure(size, "params")),
        "scaled": Product(drawn, "a", n=17, scale=2.0)["params"].measured(Measure(size, "params")),
    }
    before = run.begin._cache_size()
    rows = performed(tmp_path, named)
    values = [row["value"] for row in rows]
    assert values[0] == values[1] and values[2] == pytest.approx(4 * values[0])
    assert run.begin._cache_size() - before == 2  # drawn and size
    assert len(contents(tmp_path)) == 2


def between(w, *, other):
    return (w + other["w"]) / 2


def applied(key, *, start, how):
    return {"params": {"w": how(start["w"])}}


def test_a_function_is_given_what_the_products_stand_for_that_it_is_passed_with():
    first, second = (Product(drawn, name, n=3)["params"] for name in ("a", "b"))
    measure = Measure(size, "params")
    key = jax.random.key(0)

    def halfway(other):
        return Product(applied, "use", start=first, how=Partial(between, other=other))["params"]

    found = run.run({"half": halfway(second).measured(measure)}, key)["half"]["size"]
    w = [drawn(streams.named_key(key, name), n=3)["params"]["w"] for name in ("a", "b")]
    assert found == pytest.approx(float(jnp.sum((w[0] + w[1]) ** 2)) / 4, rel=1e-6)
    assert halfway(second).digest == halfway(second).digest != halfway(first).digest


def test_products_trained_together_are_those_trained_alone(tmp_path):
    named = experiment()
    pair = {name: named[name] for name in ("control", "student")}
    rows = {r["arm"]: r["value"] for r in performed(tmp_path, named)}
    side = {r["arm"]: r["value"] for r in performed(tmp_path / "side", together(pair))}
    assert side == {name: pytest.approx(rows[name], rel=1e-5) for name in pair}


def test_an_edited_function_of_the_user_makes_its_products_anew_and_no_others():
    source = "def f(key, *, x, g):\n    return g(x) * {}\ndef g(x):\n    return x + {}\n"

    def product(*numbers):
        module = {"__name__": "mine"}
        exec(source.format(*numbers), module)
        return Product(module["f"], "a", x=1.0, g=module["g"]).digest

    assert product(2, 3) == product(2, 3)
    assert len({product(2, 3), product(5, 3), product(2, 4)}) == 3
    assert identity.describe(partial(drawn, n=3)) == identity.describe(partial(drawn, n=3))
    assert identity.describe(1) != identity.describe(True) != identity.describe(1.0)


MAKERS = "nets/fit.py", "lab/run.py", "tokens/behaviors/cases.py", "images/tasks.py"
MAKERS = "config.py", *MAKERS, "theory/watching.py", "detection/tasks.py", "audit/trace.py"


@pytest.mark.parametrize("file", MAKERS)
def test_an_edit_of_what_makes_products_is_another_source(file, tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "PACKAGE", shutil.copytree(identity.PACKAGE, tmp_path / "copy"))
    before = identity.source.__wrapped__()
    with open(tmp_path / "copy" / file, "a") as edited:
        edited.write("#\n")
    assert identity.source.__wrapped__() != before


def test_what_no_later_run_could_recognize_is_refused():
    with pytest.raises(Refused, match="no later run could recognize"):
        _ = Product(drawn, "a", n=object()).digest


def test_a_folder_that_was_made_otherwise_is_refused_and_says_how(tmp_path):
    performed(tmp_path)
    with pytest.raises(Refused, match=r"source was x and is y\); choose another --out"):
        folder.Folder(tmp_path, {"source": "y"})
    with pytest.raises(Refused, match="threads was absent and is 2"):
        folder.Folder(tmp_path, MADE_BY | {"threads": 2})


def test_a_folder_in_use_and_a_folder_of_something_else_are_refused(tmp_path):
    with folder.Folder(tmp_path / "run", MADE_BY), pytest.raises(Refused, match="in use"):
        folder.Folder(tmp_path / "run", MADE_BY)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(Refused, match=r"thesis.tex but no run"):
        folder.Folder(tmp_path / "other", MADE_BY)


def test_a_damaged_product_or_line_is_made_again(tmp_path):
    rows = performed(tmp_path)
    measures = tmp_path / "measures.jsonl"
    lines = measures.read_text().splitlines(keepends=True)
    measures.write_text(
        "".join([lines[0][:40] + "9" + lines[0][41:], *lines[1:-1], lines[-1][:30]])
    )
    names, before = experiment(), contents(tmp_path)
    for path in (tmp_path / "products").glob("trained-*/0/**/d/*"):
        flipped = bytearray(path.read_bytes())
        flipped[len(flipped) // 2] ^= 1
        path.write_bytes(bytes(flipped))
    damaged = contents(tmp_path)
    assert performed(tmp_path) == rows
    mended = contents(tmp_path)
    for name in "teacher", "foreign":  # of which others are made, or which has no measure left
        [product] = [x for x in mended if x == f"{names[name]}/0"]
        assert mended[product] == before[product] != damaged[product]


def test_a_shape_that_does_not_fit_is_refused_with_the_line_that_asks_for_it():
    small, large = (Product(drawn, "a", n=n)["params"] for n in (2, 3))
    wrong = Product(trained, "data", start=small, target=large, training=TRAINING)["params"]
    with pytest.raises(Refused, match=r"test_lab.py:\d+, in trained: .* do not fit"):
        plan.Plan([{"wrong": wrong}])


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_made(tmp_path):
    named = experiment()
    start, target = (named["teacher"].arguments[x] for x in ("start", "target"))
    wild = Training(steps=12, learning_rate=1e30, optimizer="sgd", frozen=())
    bad = Product(trained, "data", start=start, target=target, training=wild)["params"]
    with pytest.raises(Stopped, match=r"not finite at step \d+; lower its learning rate"):
        performed(tmp_path, named | {"bad": bad.measured(Measure(size, "params"))})
    made = [name.partition("-")[0] for name in contents(tmp_path) if name.endswith("/0")]
    assert made.count("drawn") == 2 and made.count("trained") == 5


def test_a_product_that_its_check_finds_wrong_stops_the_run_and_is_not_kept(tmp_path):
    def made(key, *, n):
        return {"params": {"w": jnp.ones(n)}}

    bad = marked(check=lambda made, *, n: f"{n} is too few; give more.")(made)
    named = {"bad": Product(bad, "a", n=2)["params"].measured(Measure(size, "params"))}
    with pytest.raises(Stopped, match=r"test_lab.py:\d+, made-.* in repeats \(0,\): 2 is too few"):
        performed(tmp_path, named)
    assert not contents(tmp_path)


@pytest.mark.parametrize("partial", [False, True])
def test_a_measure_that_is_not_a_number_stops_the_run_unless_it_may_lack_values(partial, tmp_path):
    def lacking(*, params):
        return {"there": jnp.sum(params["w"]), "lacks": jnp.nan}

    measure = Measure(marked(partial=partial)(lacking), "params")
    named = {"a": Product(drawn, "a", n=2)["params"].measured(measure)}
    if partial:
        assert [row["measure"] for row in performed(tmp_path, named)] == ["there"]
    else:
        with pytest.raises(Stopped, match=r"lacks of a in repeats \(0,\) is not a number"):
            performed(tmp_path, named)


def test_a_product_that_cannot_be_written_stops_the_run(tmp_path, monkeypatch):
    def full(*_):
        raise Stopped("there is no space; free some.")

    monkeypatch.setattr(folder, "write", full)
    with pytest.raises(Stopped, match="no space"):
        performed(tmp_path)


def test_what_is_made_once_is_of_the_runs_key_saved_under_its_own_name_and_kept(tmp_path):
    start, target = (Product(drawn, name, n=3).once for name in "ab")
    how = {"training": TRAINING, "target": target["params"]}
    saved = Product(trained, "data", start=start["params"], **how).once
    of_it = Product(trained, "more", start=saved["params"], batches=True, **how)["params"]
    named = {"student": of_it.measured(Measure(size, "params"))}
    rows = performed(tmp_path, named, seed=1, repeats=2)
    pure = jax.jit(lambda key: run.run(named, key, seed=1))
    for row, key in zip(rows, run.repeat_keys(1, 2), strict=True):
        assert row["value"] == float(pure(key)["student"]["size"])
    with folder.Folder(tmp_path, MADE_BY) as place:
        assert "dropped" in keeping.thin(place, "last")
    assert {name.rpartition("/")[2] for name in contents(tmp_path)} == {"1", "run"}


def test_costs_count_every_multiplication_of_a_training():
    def matmul(key, *, n):
        def loss(params, key):
            return jnp.sum((jnp.ones((7, n)) @ params["w"]) ** 2)

        start = {"w": jax.random.normal(key, (n, n))}
        return Fit(TRAINING, loss, start)

    product = Product(matmul, "a", n=5)
    cost = plan.Plan([{"a": product}]).costs[product.digest]
    forward = 2 * 7 * 5 * 5
    assert (cost.step, cost.steps) == (2 * forward, 12)  # the first factor needs no gradient


def test_a_stated_difference_says_what_its_arms_differ_in():
    first, second = Product(drawn, "a", n=1), Product(drawn, "b", n=1)
    one, other = (
        Product(trained, "data", start=x).replace(given={"start": x, "rank": 1})
        for x in (first, second)
    )
    stated = experiments.differences_of({"one": one.against(other), "other": other})
    assert stated == [{"one": "one", "other": "other", "in": ["start"]}]
    with pytest.raises(Refused, match="has no name"):
        experiments.differences_of({"one": one.against(Product(drawn, "c", n=2))})


def test_what_runs_share_is_copied_and_the_oldest_goes_first(tmp_path, monkeypatch):
    base = shared(lambda key, *, n: {"params": {"w": jnp.eye(n) @ jax.random.normal(key, (n, n))}})
    base.__name__ = base.__qualname__ = "base"
    named = {"a": Product(base, "a", n=3)["params"].measured(Measure(size, "params"))}
    kept = keeping.Cache(tmp_path / "cache", MADE_BY, 0)
    rows = performed(tmp_path / "one", named, cache=kept)
    assert performed.taken == 0
    with folder.Folder(tmp_path / "plan", MADE_BY) as place:
        for cache, free in (None, False), (kept, True):
            left = perform.Performance([({}, named)], place, cache=cache).left()
            assert [flops == 0 for p, _, flops in left if p.stream] == [free]
    assert performed(tmp_path / "two", named, cache=kept) == rows and performed.taken == 1
    other = keeping.Cache(tmp_path / "cache", {"source": "y"}, 0)
    performed(tmp_path / "three", named, cache=other)
    assert performed.taken == 0
    one, two = kept.root.glob("*/*/*")
    os.utime(two, (0, 0))
    kept.limit = sum(x.stat().st_size for x in one.rglob("*") if x.is_file())
    kept.evict()
    assert list(kept.root.glob("*/*/*")) == [one]


def test_models_that_are_dropped_are_not_made_again(tmp_path):
    named = {"teacher": experiment()["teacher"]}
    rows = performed(tmp_path, named, repeats=11)
    with folder.Folder(tmp_path, MADE_BY) as place:
        assert keeping.thin(place, "auto") == "" != keeping.thin(place, "auto", most=1)
    assert {p.name for p in (tmp_path / "products").glob("*/*")} == {"10"}
    assert performed(tmp_path, named, repeats=11) == rows
    assert {p.name for p in (tmp_path / "products").glob("*/*")} == {"10"}


def test_what_a_kill_left_of_a_product_is_no_product(tmp_path):
    performed(tmp_path, repeats=2)
    [path, *_] = (tmp_path / "products").glob("drawn-*/0")
    left = shutil.copytree(path, path.parent / "0.orbax-checkpoint-tmp")
    assert left not in set(folder.whole(tmp_path)) > {path}
    with folder.Folder(tmp_path, MADE_BY) as place:
        assert "dropped" in keeping.thin(place, "last")
    assert not path.exists()


def test_a_product_that_is_damaged_in_the_cache_is_replaced_there(tmp_path):
    base = shared(lambda key, *, n: {"params": {"w": jax.random.normal(key, (n,))}})
    base.__name__ = base.__qualname__ = "base"
    named = {"a": Product(base, "a", n=3)["params"].measured(Measure(size, "params"))}
    kept = keeping.Cache(tmp_path / "cache", MADE_BY, 0)
    rows = performed(tmp_path / "one", named, cache=kept)
    [path] = kept.root.glob("*/*/*")
    for file in path.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    assert performed(tmp_path / "two", named, cache=kept) == rows and performed.taken == 0
    assert performed(tmp_path / "three", named, cache=kept) == rows and performed.taken == 1


def test_a_product_has_parts_by_name_and_no_order():
    with pytest.raises(TypeError, match="not iterable"):
        list(Product(drawn, "a", n=3))


def test_orbax_alone_loads_a_product_as_named_arrays(tmp_path):
    from orbax.checkpoint import v1 as ocp

    performed(tmp_path)
    [path, *_] = (tmp_path / "products").glob("drawn-*/0")
    assert jax.tree.map(jnp.shape, ocp.load(path)) == {"params": {"w": (1, 3)}}


def test_a_stream_depends_on_its_name_alone():
    key = jax.random.key(0)
    data = [jax.random.key_data(streams.named_key(key, name)).tolist() for name in ("a", "b", "a")]
    assert data[0] == data[2] != data[1]


def test_quick_products_and_measures_are_not_saved(tmp_path):
    light = quick(lambda key, *, n: {"params": {"w": jax.random.normal(key, (n,))}})
    light.__name__ = light.__qualname__ = "light"
    performed(tmp_path, {"a": Product(light, "a", n=3)["params"].measured(Measure(size, "params"))})
    assert not (tmp_path / "products").exists()
    [line] = (tmp_path / "measures.jsonl").read_text().splitlines()
    assert json.loads(line)["values"].keys() == {"size"}
