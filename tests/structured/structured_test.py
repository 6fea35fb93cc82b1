# Copyright 2026 The tfmot_sapp Authors. All Rights Reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
# ==============================================================================
"""Whole units removed: the same outputs, the right units, nothing broken."""

import numpy as np
import pytest
import tensorflow as tf

import tfmot_sapp as sapp
from tfmot_sapp.frameworks import host_value
from tfmot_sapp.structured.collect import collect
from tfmot_sapp.structured.gram_criteria import least_squares_loss
from tfmot_sapp.structured.groups import find_groups
from tfmot_sapp.structured.shrink import shrink


def mlp(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((10,)),
            layers.Dense(14, activation="relu", name="first"),
            layers.Dropout(0.5),
            layers.BatchNormalization(name="norm"),
            layers.Dense(12, name="second"),
            layers.Activation("tanh"),
            layers.Dense(3, name="out"),
        ]
    )
    return model, ["first", "second"]


def two_readers(keras):
    layers = keras.layers
    inputs = keras.Input((10,))
    hidden = layers.Dense(16, activation="relu", name="hidden")(inputs)
    one = layers.Dense(3, name="one")(hidden)
    two = layers.Dense(5, name="two")(hidden)
    return keras.Model(inputs, [one, two]), ["hidden"]


def residual(keras):
    layers = keras.layers
    inputs = keras.Input((9, 9, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    y = layers.Conv2D(12, 3, strides=2, padding="same", name="inner")(x)
    y = layers.BatchNormalization(name="norm_1")(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(8, 3, padding="same", name="back")(y)
    y = layers.BatchNormalization(name="norm_2")(y)
    x = layers.Conv2D(8, 1, strides=2, name="short")(x)
    x = layers.Add(name="join")([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4, name="out")(x)), [
        "stem",
        "inner",
    ]


def inverted_residual(keras):
    layers = keras.layers
    inputs = keras.Input((8, 8, 6))
    x = layers.Conv2D(24, 1, use_bias=False, name="expand")(inputs)
    x = layers.BatchNormalization(name="norm_1")(x)
    x = layers.ReLU(6.0)(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.DepthwiseConv2D(3, strides=1, name="depthwise")(x)
    x = layers.BatchNormalization(name="norm_2")(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Conv2D(6, 1, use_bias=False, name="project")(x)
    x = layers.BatchNormalization(name="norm_3")(x)
    return keras.Model(inputs, layers.Add(name="join")([inputs, x])), ["expand"]


def flattened(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(
                10, 3, dilation_rate=2, activation="relu", name="conv_1"
            ),
            layers.Conv2D(9, 2, name="conv_2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(7, activation="relu", name="dense"),
            layers.Dense(3, name="out"),
        ]
    )
    return model, ["conv_1", "conv_2", "dense"]


def one_dimension(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 4)),
            layers.Conv1D(10, 3, activation="relu", name="conv"),
            layers.AveragePooling1D(2),
            layers.Conv1D(6, 2, strides=2, padding="same", name="next"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2, name="out"),
        ]
    )
    return model, ["conv", "next"]


def three_dimensions(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 5, 5, 2)),
            layers.Conv3D(8, 2, activation="relu", name="conv"),
            layers.Conv3D(6, 2, padding="same", name="next"),
            layers.GlobalAveragePooling3D(),
            layers.Dense(2, name="out"),
        ]
    )
    return model, ["conv", "next"]


def transformer(keras):
    layers = keras.layers
    inputs = keras.Input((6, 16))
    x = layers.LayerNormalization(name="norm")(inputs)
    x = layers.MultiHeadAttention(8, 4, name="attention")(x, x)
    x = layers.Add(name="join")([inputs, x])
    y = layers.Dense(32, activation="gelu", name="inner")(x)
    y = layers.Dense(16, name="outer")(y)
    return keras.Model(inputs, layers.Add(name="last")([x, y])), [
        "attention",
        "inner",
    ]


TOPOLOGIES = [
    mlp,
    two_readers,
    residual,
    inverted_residual,
    flattened,
    one_dimension,
    three_dimensions,
    transformer,
]
CRITERIA = [
    sapp.ISpaSP(),
    sapp.TopActivation(),
    sapp.UnitMagnitude(),
    sapp.GreedyForward(),
    sapp.ThiNet(),
    sapp.OSSCAR(),
    sapp.CoSaMP(),
]


def name_of(criterion):
    return type(criterion).__name__


def make(topology, keras):
    """Returns a model with random norms, its groups' names and inputs."""
    keras.utils.set_random_seed(1)
    model, names = topology(keras)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            size = layer.get_weights()[0].shape
            layer.set_weights(
                [
                    rng.uniform(0.5, 2, size),
                    rng.normal(size=size),
                    rng.normal(size=size),
                    rng.uniform(0.5, 2, size),
                ]
            )
    shape = (24, *model.input_shape[1:])
    return model, names, rng.normal(size=shape).astype(np.float32)


def outputs_of(model, x):
    outputs = model(x, training=False)
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    return np.concatenate([np.reshape(o, (len(x), -1)) for o in outputs], 1)


def zero_units(group, gone):
    """Zeroes what reads the units that are gone."""
    if group.has_heads:
        kernel = group.producer._output_dense.kernel
        value = host_value(kernel).copy()
        value[gone] = 0
        kernel.assign(value)
    for consumer in group.consumers:
        value = host_value(consumer.layer.kernel).copy()
        steps = np.arange(consumer.repeats)[:, None] * group.units
        value[..., (steps + gone).ravel(), :] = 0
        consumer.layer.kernel.assign(value)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_smaller_model_is_the_original_with_units_zeroed(keras, topology):
    model, names, x = make(topology, keras)
    groups = {group.name: group for group in find_groups(model).groups}
    assert sorted(groups) == sorted(names)
    rng = np.random.default_rng(2)
    kept = {
        name: np.sort(rng.permutation(group.units)[: max(1, group.units // 3)])
        for name, group in groups.items()
    }
    before = model.get_weights()

    smaller = shrink(model, groups, kept)

    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    for name, group in groups.items():
        zero_units(group, np.setdiff1d(np.arange(group.units), kept[name]))
    expected = outputs_of(model, x)
    np.testing.assert_allclose(
        outputs_of(smaller, x), expected, atol=1e-5 * np.abs(expected).max()
    )
    assert smaller.count_params() < model.count_params()


@pytest.mark.parametrize("criterion", CRITERIA, ids=name_of)
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_criterion_prunes_every_topology(topology, criterion):
    import keras

    model, names, x = make(topology, keras)
    groups = {group.name: group for group in find_groups(model).groups}

    smaller = sapp.prune_structured(
        model, x, 0.5, criterion, refit=True, verbose=False
    )

    after = {group.name: group for group in find_groups(smaller).groups}
    for name in names:
        assert after[name].units == groups[name].units // 2
    assert np.all(np.isfinite(outputs_of(smaller, x)))
    assert sapp.count_flops(smaller) < sapp.count_flops(model) or (
        topology is transformer
    )


def random_pair(keras, hidden=50, inputs=12, outputs=9, samples=64, seed=0):
    rng = np.random.default_rng(seed)
    model = keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(hidden, activation="relu", name="hidden"),
            keras.layers.Dense(outputs, name="out"),
        ]
    )
    for layer in model.layers:
        layer.set_weights(
            [rng.normal(size=w.shape) for w in layer.get_weights()]
        )
    return model, rng.normal(size=(samples, inputs)).astype(np.float32)


def hidden_and_weights(model, x):
    """Returns H (units, samples) and W1 (outputs, units)."""
    first, last = (
        [host_value(w).astype(np.float64) for w in layer.weights]
        for layer in model.layers[-2:]
    )
    hidden = np.maximum(x.astype(np.float64) @ first[0] + first[1], 0)
    return hidden.T, last[0].T


def literal_i_spasp(h_matrix, w, s, iterations=20):
    """The algorithm as it is written, samples and all."""
    h = h_matrix.sum(axis=1)
    chosen = []
    v = w @ h_matrix
    for _ in range(iterations):
        y = (w.T @ v).sum(axis=1)
        omega = np.argsort(-y, kind="stable")[: 2 * s]
        union = sorted(set(omega) | set(chosen))
        chosen = sorted(union, key=lambda i: -h[i])[:s]
        v = w @ h_matrix - w[:, chosen] @ h_matrix[chosen]
    return sorted(chosen)


def kept_of(model, smaller):
    """Finds the kept units by their incoming weights."""
    whole = host_value(model.get_layer("hidden").kernel)
    part = host_value(smaller.get_layer("hidden").kernel)
    return [
        int(np.flatnonzero(np.all(whole == column[:, None], axis=0))[0])
        for column in part.T
    ]


@pytest.mark.parametrize("keep", [0.12, 0.3, 0.45])
@pytest.mark.parametrize("seed", range(5))
def test_i_spasp_keeps_what_the_literal_algorithm_keeps(keras, keep, seed):
    model, x = random_pair(keras, seed=seed)

    smaller = sapp.prune_structured(model, x, keep, verbose=False)

    h, w = hidden_and_weights(model, x)
    expected = literal_i_spasp(h, w, int(50 * keep + 1e-9))
    assert kept_of(model, smaller) == expected


@pytest.mark.parametrize("keep", [0.5, 0.62, 0.9])
def test_i_spasp_is_top_activation_from_one_half_up(keras, keep):
    model, x = random_pair(keras)
    h, _ = hidden_and_weights(model, x)

    smaller = sapp.prune_structured(model, x, keep, verbose=False)

    top = np.argsort(-h.sum(1), kind="stable")[: int(50 * keep + 1e-9)]
    assert kept_of(model, smaller) == sorted(top)


def literal_conv_i_spasp(model, x, keep, iterations=20):
    """The same for convolutions, by the gradient of the loss."""
    hidden = find_groups(model).groups[-1].consumers[0]
    outer = type(model)(model.inputs[0], hidden.tensor)
    h_map = tf.cast(outer(x, training=False), tf.float64)
    kernel = host_value(hidden.layer.kernel).astype(np.float64)
    norm = hidden.scaled_by
    if norm is not None:
        gamma, _, _, variance = (host_value(w) for w in norm.weights)
        kernel = kernel * gamma / np.sqrt(variance + norm.epsilon)

    def consumer(values):
        return tf.nn.conv2d(
            values, kernel, hidden.layer.strides, hidden.layer.padding.upper()
        )

    whole = consumer(h_map)
    h = tf.reduce_sum(h_map, axis=(0, 1, 2)).numpy()
    chosen = np.zeros(len(h), bool)
    for _ in range(iterations):
        with tf.GradientTape() as tape:
            part = h_map * chosen.astype(np.float64)
            tape.watch(part)
            loss = 0.5 * tf.reduce_sum((whole - consumer(part)) ** 2)
        y = -tf.reduce_sum(tape.gradient(loss, part), axis=(0, 1, 2)).numpy()
        omega = np.argsort(-y, kind="stable")[: 2 * keep]
        union = np.union1d(omega, np.flatnonzero(chosen))
        best = union[np.argsort(-h[union], kind="stable")[:keep]]
        chosen = np.isin(np.arange(len(h)), best)
    return np.flatnonzero(chosen)


@pytest.mark.parametrize("topology", [residual, inverted_residual])
@pytest.mark.parametrize("keep", [2, 4])
def test_i_spasp_of_convolutions_is_that_of_gradients(keras, topology, keep):
    model, _, x = make(topology, keras)
    group = find_groups(model).groups[-1]
    statistics = collect(model, [group], [x[:9], x[9:]], False)[group.name]

    kept = sapp.ISpaSP().select(statistics, keep)

    np.testing.assert_array_equal(kept, literal_conv_i_spasp(model, x, keep))


def pair_statistics(seed=0, hidden=14):
    import keras

    model, x = random_pair(keras, hidden=hidden, seed=seed)
    group = find_groups(model).groups[0]
    statistics = collect(model, [group], [x[:30], x[30:]], True)[group.name]
    return statistics, *hidden_and_weights(model, x)


@pytest.mark.parametrize("seed", range(3))
def test_greedy_forward_is_greedy(seed):
    statistics, h, w = pair_statistics(seed)
    u, units = w @ h, len(h)
    chosen = []
    for count in range(1, 6):
        losses = {
            i: np.sum(
                (u - units / count * w[:, chosen + [i]] @ h[chosen + [i]]) ** 2
            )
            for i in range(units)
            if i not in chosen
        }
        chosen.append(min(losses, key=losses.get))

    found = sapp.GreedyForward().select(statistics, 5)

    assert list(found) == sorted(chosen)


@pytest.mark.parametrize("seed", range(3))
def test_thinet_removes_the_least(seed):
    statistics, h, w = pair_statistics(seed)
    gone = []
    for _ in range(9):
        losses = {
            i: np.sum((w[:, gone + [i]] @ h[gone + [i]]) ** 2)
            for i in range(len(h))
            if i not in gone
        }
        gone.append(min(losses, key=losses.get))

    found = sapp.ThiNet().select(statistics, 5)

    assert sorted(set(range(14)) - set(found)) == sorted(gone)


@pytest.mark.parametrize("seed", range(3))
def test_osscar_removes_what_costs_least_after_solving(seed):
    statistics, h, w = pair_statistics(seed)
    gram = h @ h.T
    gram += 1e-2 * np.mean(np.diag(gram)) * np.eye(len(h))
    kept = list(range(len(h)))

    def loss(units):
        solved = np.linalg.solve(gram[np.ix_(units, units)], gram[units] @ w.T)
        difference = w.T.copy()
        difference[units] -= solved
        return np.sum(difference * (gram @ difference))

    while len(kept) > 5:
        out = min(kept, key=lambda i: loss([k for k in kept if k != i]))
        kept.remove(out)

    found = sapp.OSSCAR(swaps=0).select(statistics, 5)

    assert list(found) == kept


@pytest.mark.parametrize("seed", range(4))
def test_swaps_lower_the_loss_of_a_bad_choice(seed):
    statistics, h, w = pair_statistics(seed, hidden=24)
    criterion = sapp.OSSCAR(swaps=2)
    bad = np.argsort(np.sum(h**2, 1) * np.sum(w**2, 0))[:7]
    start = np.isin(np.arange(24), bad)

    found = criterion._swapped(statistics, start)

    assert len(found) == 7
    after = np.isin(np.arange(24), found)
    before = least_squares_loss(statistics, start)
    assert least_squares_loss(statistics, after) < 0.9 * before


@pytest.mark.parametrize("topology", [mlp, residual, flattened, transformer])
def test_refitting_lowers_the_residual(keras, topology):
    model, names, x = make(topology, keras)
    expected = outputs_of(model, x)
    keep = {names[-1]: 0.4}

    errors = [
        np.linalg.norm(
            outputs_of(
                sapp.prune_structured(
                    model,
                    x,
                    keep,
                    sapp.TopActivation(),
                    refit=refit,
                    verbose=False,
                ),
                x,
            )
            - expected
        )
        for refit in (False, True)
    ]

    assert errors[1] < errors[0]


def test_the_residual_is_what_the_removed_units_gave(keras):
    model, x = random_pair(keras)
    group = find_groups(model).groups[0]
    statistics = collect(model, [group], [x], True)["hidden"]
    h, w = hidden_and_weights(model, x)
    kept = np.arange(0, 50, 3)
    gone = np.setdiff1d(np.arange(50), kept)

    expected = np.linalg.norm(w[:, gone] @ h[gone]) / np.linalg.norm(w @ h)

    assert statistics.residual(kept) == pytest.approx(expected, rel=1e-4)


def test_all_kinds_of_data_give_the_same_units(keras):
    model, x = random_pair(keras)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(10)
    labelled = tf.data.Dataset.from_tensor_slices((x, x)).batch(7)
    kinds = [
        x,
        tf.constant(x),
        dataset,
        labelled,
        (x[i : i + 5] for i in range(0, 64, 5)),
        [x[:40], x[40:]],
    ]

    found = [
        kept_of(model, sapp.prune_structured(model, data, 0.3, verbose=False))
        for data in kinds
    ]

    assert all(kept == found[0] for kept in found)


def test_a_share_per_layer_by_name_and_pattern(keras):
    model, _, x = make(flattened, keras)

    smaller = sapp.prune_structured(
        model, x, {"conv_2": 1.0, "conv*": 0.5}, verbose=False
    )

    assert smaller.get_layer("conv_1").filters == 5
    assert smaller.get_layer("conv_2").filters == 9
    assert smaller.get_layer("dense").units == 7


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_budgets_are_met_and_used(keras, share):
    model, _, x = make(flattened, keras)

    for budget, measure in (
        (sapp.FlopsBudget, sapp.count_flops),
        (sapp.ParameterBudget, lambda model: model.count_params()),
    ):
        whole = measure(model)
        smaller = sapp.prune_structured(model, x, budget(share), verbose=False)
        same = sapp.prune_structured(
            model, x, budget(round(share * whole)), verbose=False
        )
        assert 0.55 * share * whole < measure(smaller) <= share * whole
        assert measure(same) == measure(smaller)


def test_rounds_go_down_and_fine_tune_in_between(keras):
    model, x = random_pair(keras)
    sizes = []

    def fine_tune(model):
        sizes.append(model.get_layer("hidden").units)
        model.compile("sgd", "mse")
        model.fit(x, np.zeros((64, 9)), verbose=0)

    smaller = sapp.prune_structured(
        model, x, 0.2, rounds=3, fine_tune=fine_tune, verbose=False
    )

    assert sizes == [29, 17, 10]
    assert smaller.get_layer("hidden").units == 10


def reshaped(keras):
    layers = keras.layers
    inputs = keras.Input((6,))
    x = layers.Dense(8, name="hidden")(inputs)
    x = layers.Reshape((2, 4))(x)
    x = layers.Dense(8, name="next")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def softmaxed(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="softmax", name="hidden"),
            layers.Dense(8, name="next"),
            layers.ReLU(),
            layers.Dense(2, name="out"),
        ]
    )


def custom_activation(keras):
    @keras.saving.register_keras_serializable("structured_test")
    def share(values):
        return values / tf.reduce_sum(values, axis=-1, keepdims=True)

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation=share, name="hidden"),
            layers.Dense(8, activation="relu", name="next"),
            layers.Dense(2, name="out"),
        ]
    )


def attention_scores(keras):
    layers = keras.layers
    inputs = keras.Input((6, 8))
    x, scores = layers.MultiHeadAttention(4, 2, name="attention")(
        inputs, inputs, return_attention_scores=True
    )
    x = layers.Dense(8, name="next")(x)
    return keras.Model(inputs, [layers.Dense(2, name="out")(x), scores])


def shared_reader(keras):
    layers = keras.layers
    one, two = keras.Input((6,)), keras.Input((6,))
    reader = layers.Dense(4, name="reader")
    hidden = layers.Dense(8, name="hidden")
    a, b = reader(hidden(one)), reader(hidden(two))
    x = layers.Concatenate(name="both")([a, b])
    x = layers.Dense(8, name="next")(x)
    return keras.Model([one, two], layers.Dense(2, name="out")(x))


def nested(keras):
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, name="deep"), layers.Dense(8)],
        name="inner",
    )
    inputs = keras.Input((6,))
    x = inner(layers.Dense(8, name="hidden")(inputs))
    x = layers.Dense(8, name="next")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def normed_across(keras):
    layers = keras.layers
    inputs = keras.Input((6,))
    x = layers.Dense(8, name="hidden")(inputs)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Dense(8, name="next")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


@pytest.mark.parametrize(
    "topology, name, reason",
    [
        (reshaped, "hidden", "Reshape"),
        (softmaxed, "hidden", "softmax"),
        (custom_activation, "hidden", "may mix its units by share"),
        (attention_scores, "attention", "scores of each head"),
        (shared_reader, "hidden", "several times"),
        (nested, "hidden", "Sequential"),
        (nested, "deep", "inside `inner`"),
        (normed_across, "hidden", "LayerNormalization"),
        (lambda keras: residual(keras)[0], "back", "`join`"),
        (lambda keras: residual(keras)[0], "out", "output of the model"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_is_not_supported_is_left_alone_and_reported(
    keras, topology, name, reason
):
    model = topology(keras)
    groups = find_groups(model)
    inputs = [
        np.random.default_rng(0).normal(size=(8, *tensor.shape[1:]))
        for tensor in model.inputs
    ]
    inputs = [x.astype(np.float32) for x in inputs]
    data = inputs[0] if len(inputs) == 1 else tuple(inputs)

    smaller = sapp.prune_structured(model, data, 0.5, verbose=False)

    assert reason in groups.left_alone[name]
    assert name not in {group.name for group in groups.groups}
    assert reason in str(groups)
    skipped = sapp.report(smaller).skipped
    told = [why for key, why in skipped.items() if key.split("/")[0] == name]
    assert told and all(reason in why for why in told)
    smaller.predict(data if len(inputs) == 1 else inputs, verbose=0)


def test_the_smaller_model_exports_and_trains_on(keras, tmp_path):
    model, _, x = make(residual, keras)
    smaller = sapp.prune_structured(model, x, 0.5, verbose=False)
    smaller.compile("adam", "mse")
    smaller.fit(x, np.zeros((24, 4)), verbose=0)

    sapp.export_tflite(smaller, tmp_path / "smaller.tflite")
    smaller.save(tmp_path / "smaller.keras")

    loaded = keras.models.load_model(tmp_path / "smaller.keras")
    np.testing.assert_array_equal(outputs_of(loaded, x), outputs_of(smaller, x))


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"keep": 0.0}, ValueError, "`keep` must be in"),
        ({"keep": 1.5}, ValueError, "`keep` must be in"),
        ({"keep": float("nan")}, ValueError, "`keep` must be in"),
        ({"keep": "half"}, TypeError, "`keep` must be a ratio"),
        ({"keep": {"nothing*": 0.5}}, ValueError, "fits none"),
        ({"keep": sapp.FlopsBudget(0.0001)}, ValueError, "can't be met"),
        ({"criterion": "ispasp"}, TypeError, "`criterion`"),
        ({"rounds": 0}, ValueError, "`rounds`"),
        ({"data": []}, ValueError, "at least one batch"),
        ({"data": 3}, TypeError, "`data` must be"),
        ({"data": iter([1]), "rounds": 2}, ValueError, "every round"),
    ],
)
def test_bad_arguments_are_named(arguments, error, words):
    import keras

    model, x = random_pair(keras)
    given = {"data": x, "keep": 0.5, "verbose": False, **arguments}

    with pytest.raises(error, match=words):
        sapp.prune_structured(model, **given)


def test_a_model_without_units_is_refused(keras):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

    with pytest.raises(ValueError, match="no units.*output of the model"):
        sapp.prune_structured(model, np.ones((2, 3)), 0.5, verbose=False)
