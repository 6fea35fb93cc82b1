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
"""What Keras notes of compiling, privately, is still what we take it for.

As in `private_test`: the sentences that are printed say what broke.
"""

import keras as keras3

from tfmot_sapp.frameworks.private import compiling, optimizers


def functional(keras):
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3, name="hidden")(inputs))


def test_an_optimizer_keeps_its_rate_and_what_does_not_decay(keras):
    model = functional(keras)
    optimizer = keras.optimizers.AdamW(0.25)
    kernel, bias = model.get_layer("hidden").trainable_weights
    optimizer.exclude_from_weight_decay(var_list=[bias], var_names=["a", "b"])
    broke = "An optimizer keeps what it leaves out of decay elsewhere."
    keys, names = optimizers.without_decay(optimizer)
    assert optimizers.key_of(optimizer, bias) in keys, broke
    assert optimizers.key_of(optimizer, kernel) not in keys, broke
    assert sorted("|".join(names).split("|")) == ["a", "b"], broke
    assert not any(optimizers.without_decay(keras.optimizers.Adam())), broke
    broke = "An optimizer keeps its rate, or whether it is built, elsewhere."
    with optimizers.without_learning_rate(optimizer):
        assert optimizers.learning_rate_of(optimizer) == 0.0, broke
    assert float(optimizer.learning_rate) == 0.25, broke
    assert not optimizers.is_built(optimizer), broke
    optimizer.build([kernel])
    assert optimizers.is_built(optimizer), broke


def test_a_model_notes_what_it_is_compiled_with(keras, tmp_path):
    model = functional(keras)
    broke = "Keras notes elsewhere what a model is compiled with."
    assert not compiling.is_compiled(model), broke
    metrics, weighted = ["mae"], ["mse"]
    model.compile(
        "sgd",
        "mae",
        loss_weights=0.5,
        metrics=metrics,
        weighted_metrics=weighted,
        steps_per_execution=3,
    )
    model.run_eagerly = True
    assert compiling.is_compiled(model), broke
    found = compiling.compiling_of(model)
    assert found[:4] == ("mae", 0.5, metrics, weighted), broke
    assert found.flags["run_eagerly"] is True, broke
    assert found.flags["steps_per_execution"] == 3, broke
    model.compile(**found.flags)
    assert not compiling.own_steps(type(model), keras.Model), broke
    sequential = keras.Sequential
    assert not compiling.own_steps(sequential, keras.Model), broke

    class Own(keras.Model):
        def test_step(self, data):
            return {}

    assert compiling.own_steps(Own, keras.Model) == {"test_step"}, broke
    broke = "Keras asks for something else when it writes a model to a file."
    trained: list[bool] = []
    compiling.note_when_trained(model, lambda: bool(trained))
    config = keras.saving.serialize_keras_object(model)
    assert not config["compile_config"], broke
    trained.append(True)
    config = keras.saving.serialize_keras_object(model)
    assert config["compile_config"]["steps_per_execution"] == 3, broke


def test_a_metric_keeps_its_function(keras):
    def error(y, outputs, power):
        return abs(y - outputs) ** power

    metric = keras.metrics.MeanMetricWrapper(error, power=2.0)
    assert compiling.function_of(metric) == (error, {"power": 2.0}), (
        "A metric keeps the function that it averages elsewhere."
    )


def test_keras_3_compiles_no_copy_of_an_uncompiled_model():
    model = functional(keras3)
    model.compile("sgd", "mse")
    with compiling.seen_as_uncompiled(model):
        assert not keras3.models.clone_model(model).compiled
    assert model.compiled
