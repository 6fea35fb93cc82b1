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
"""Only registered classes are made from files, by names without modules."""

import dataclasses
import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

from tfmot_sapp.base import registry

TFMOT = (
    "tensorflow_model_optimization.python.core.sparsity.keras.pruning_schedule"
)


class Plain(registry.Registered):
    def __init__(self, rate, inner=None, others=()):
        self.rate, self.inner, self.others = rate, inner, others

    def get_config(self):
        return {
            "rate": self.rate,
            "inner": self.inner and registry.serialize(self.inner),
            "others": [registry.serialize(other) for other in self.others],
        }


@dataclasses.dataclass(frozen=True)
class Data(registry.Registered):
    rate: float
    inner: Plain | None = None


class Unregistered:
    def get_config(self):
        return {"class_name": "Unregistered", "config": {}}


@pytest.fixture(name="own")
def own_class():
    """A class as this package would define it."""
    made = type(
        "Own",
        (registry.Registered,),
        {
            "__module__": "tfmot_sapp.somewhere",
            "__init__": lambda self, order=2.0: setattr(self, "order", order),
            "get_config": lambda self: {"order": self.order},
        },
    )
    yield made
    del registry._CLASSES["tfmot_sapp>Own"]


@pytest.fixture(name="schedules")
def tfmot_module():
    importlib.import_module("tfmot_sapp.schedules.tfmot_schedules")
    return sys.modules[TFMOT]


def through_json(obj):
    return json.loads(json.dumps(registry.serialize(obj)))


def old(module, class_name, **config):
    return {"module": module, "class_name": class_name, "config": config}


def new(name, **config):
    return {"registered_name": name, "config": config}


def test_own_names_hold_no_module(own):
    written = through_json(own(3.0))

    assert written == new("tfmot_sapp>Own", order=3.0)
    made = registry.deserialize(written)
    assert type(made) is own and made.order == 3.0


def test_names_of_version_0_1_0_are_known(own, schedules):
    for module in ("tfmot_sapp.magnitude", "tfmot_sapp.a.b", "tfmot_sapp"):
        assert type(registry.deserialize(old(module, "Own"))) is own
    made = registry.deserialize(old(__name__, "Plain", rate=1))
    assert type(made) is Plain
    made = registry.deserialize(
        old(TFMOT, "ConstantSparsity", target_sparsity=0.5, begin_step=3)
    )
    assert type(made) is schedules.ConstantSparsity and made.begin_step == 3


def test_names_of_users_hold_their_module_and_nest():
    obj = Plain(0.5, inner=Plain(0.25), others=[Plain(1), Data(2.0)])

    written = through_json(obj)

    assert written["registered_name"] == f"{__name__}:Plain"
    made = registry.deserialize(written)
    assert (made.rate, made.inner.rate) == (0.5, 0.25)
    assert [type(other) for other in made.others] == [Plain, Data]


def test_dataclasses_have_a_config():
    made = registry.deserialize(through_json(Data(0.5, Plain(2))))

    assert type(made) is Data and made.rate == 0.5 and made.inner.rate == 2


def test_schedules_of_tfmot(schedules):
    schedule = schedules.PolynomialDecay(0.1, 0.9, 5, 50)

    written = through_json(schedule)

    assert written["registered_name"] == "tfmot>PolynomialDecay"
    made = registry.deserialize(written)
    assert made.get_config() == schedule.get_config()


def test_two_classes_of_this_package_never_share_a_name(own):
    with pytest.raises(TypeError, match="name of its own"):
        type("Own", (registry.Registered,), {"__module__": "tfmot_sapp.other"})
    again = type("Own", (own,), {"__module__": own.__module__})
    assert type(registry.deserialize(new("tfmot_sapp>Own"))) is again


@pytest.fixture(name="marker")
def marker_path(tmp_path):
    path = tmp_path / "it ran"
    yield path
    assert not path.exists()


def crafted(marker):
    """Yields what a file could say to run something that writes `marker`."""
    command = f"open({str(marker)!r}, 'w')"
    run = {"args": [sys.executable, "-c", command]}
    for module, name in (
        ("subprocess", "Popen"),
        ("os", "system"),
        ("builtins", "open"),
        ("pathlib", "Path.touch"),
        (__name__, "Unregistered.__class__"),
        ("tfmot_sapp.base.registry", "sys"),
        ("tfmot_sapp.base.registry", "Registered"),
        ("tfmot_sapp.base.registry", "Registered.__class__"),
        ("tfmot_sapp.base.registry", "inspect.types.FunctionType"),
        ("tfmot_sapp", "base.registry.sys.modules"),
        (TFMOT, "abc.ABC"),
        (TFMOT, "tf"),
        (TFMOT, "PruningSchedule.__class__"),
        ("", "Popen"),
        ("", ""),
        ("subprocess>Popen", ""),
        ("tfmot_sapp.x", "subprocess:Popen"),
    ):
        yield old(module, name, **run)
        yield new(f"{module}:{name}", **run)
        yield new(f"{module}>{name}", **run)
        yield new(f"{module}.{name}", **run)
        yield new(f"tfmot_sapp>{module}.{name}", **run)
        yield new(f"tfmot>{name}", **run)
    for name in (None, 3, ["subprocess"], {"module": "subprocess"}, True):
        yield old(name, "Popen", **run)
        yield old("subprocess", name, **run)
        yield new(name, **run)


def test_nothing_else_is_made_from_a_file(marker, schedules, keras):
    del schedules, keras  # Loaded, so that there is more to name.
    for config in crafted(marker):
        with pytest.raises(ValueError, match="Received"):
            registry.deserialize(config)


def test_nothing_else_is_made_from_what_is_nested(marker):
    for config in crafted(marker):
        for nested in (config, [config], {"a": [{"b": config}]}):
            with pytest.raises(ValueError, match="Received"):
                registry.deserialize(
                    new(f"{__name__}:Plain", rate=1, inner=nested)
                )
            with pytest.raises(ValueError, match="Received"):
                Data.from_config({"rate": nested})


@pytest.mark.parametrize(
    "config",
    [
        None,
        3,
        [],
        {},
        "tfmot_sapp>Own",
        {"registered_name": "tfmot_sapp>Own"},
        {"class_name": "Own", "config": {}},
        {"registered_name": "tfmot_sapp>Own", "config": None},
        {"registered_name": "tfmot_sapp>Own", "config": [1]},
        {"registered_name": "tfmot_sapp>Own", "config": {}, "module": "os"},
        new("tfmot_sapp>Own", degree=2),
        new("tfmot_sapp>Own", __class__=2),
        new(f"{__name__}:Plain"),
        {"registered_name": f"{__name__}:Plain", "config": {1: 2, "rate": 1}},
        old(TFMOT, "ConstantSparsity"),
        old(TFMOT, "ConstantSparsity", target_sparsity=2, begin_step=0),
        old(TFMOT, "PruningSchedule"),
    ],
)
def test_damaged_configs_are_refused(own, schedules, config):
    del own, schedules
    with pytest.raises(ValueError, match="Received"):
        registry.deserialize(config)


def test_unknown_and_missing_arguments_are_named():
    with pytest.raises(ValueError) as error:
        Plain.from_config({"speed": 3})

    assert "unknown are ['speed'], missing are ['rate']" in str(error.value)


def test_what_has_no_config_can_not_be_saved():
    with pytest.raises(TypeError, match="must define `get_config"):
        registry.serialize(object())


def test_serialized_values_are_told_from_others():
    assert registry.is_serialized(registry.serialize(Plain(1)))
    assert registry.is_serialized(old("tfmot_sapp.magnitude", "Magnitude"))
    for value in (None, {}, {"config": {}}, {"class_name": "a", "config": {}}):
        assert not registry.is_serialized(value)


def test_classes_of_the_user_are_found_once_registered(keras):
    """Also when the file was written before, and by version 0.1.0."""
    before = through_json(Unregistered())
    assert before == new(f"{__name__}:Unregistered")
    version_0_1_0 = old(__name__, "Unregistered")

    with pytest.raises(ValueError, match="register_keras_serializable"):
        registry.deserialize(before)
    with keras.saving.custom_object_scope({"Unregistered": Unregistered}):
        for written in (before, version_0_1_0):
            assert type(registry.deserialize(written)) is Unregistered
    with pytest.raises(ValueError, match="register_keras_serializable"):
        registry.deserialize(version_0_1_0)

    objects = keras.saving.get_custom_objects()
    keras.saving.register_keras_serializable("mine", "Mine")(Unregistered)
    try:
        after = through_json(Unregistered())
        assert after == new("mine>Mine")
        for written in (before, version_0_1_0, after):
            assert type(registry.deserialize(written)) is Unregistered
    finally:
        del objects["mine>Mine"]


def test_functions_that_are_registered_are_not_called(keras, marker):
    with keras.saving.custom_object_scope({"touch": pathlib.Path.touch}):
        for config in (new("touch", self=marker), new("a:touch", self=marker)):
            with pytest.raises(ValueError, match="not registered"):
                registry.deserialize(config)


def test_layers_are_left_to_keras(keras):
    class Mine(keras.layers.Layer):
        pass

    with keras.saving.custom_object_scope({"Mine": Mine}):
        for config in (new("Mine"), old(__name__, "Mine")):
            with pytest.raises(ValueError, match="not registered"):
                registry.deserialize(config)


def test_a_process_that_defines_the_class_loads_it(tmp_path, fresh_environment):
    module = tmp_path / "mine.py"
    module.write_text(
        "from tfmot_sapp.base.registry import Registered, serialize\n"
        "class Largest(Registered):\n"
        "    pass\n"
    )
    load = (
        "import sys, json\n"
        "from tfmot_sapp.base.registry import deserialize\n"
        "made = deserialize(json.loads(sys.argv[1]))\n"
        "print(type(made).__qualname__)\n"
    )
    paths = [str(tmp_path), *(path for path in sys.path if path)]
    environment = {
        **fresh_environment,
        "PYTHONPATH": os.pathsep.join([os.getcwd(), *paths]),
    }

    def run(program):
        return subprocess.run(
            [sys.executable, "-c", program, json.dumps(new("mine:Largest"))],
            env=environment,
            capture_output=True,
            text=True,
        )

    # The file alone imports nothing.
    assert "ValueError: The class `mine:Largest`" in run(load).stderr
    assert run(f"import mine\n{load}").stdout == "Largest\n"
