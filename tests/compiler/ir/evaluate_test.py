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
"""Computing whole subgraphs, and what is refused."""

import numpy as np
import pytest

from tfmot_sapp.compiler.ir.check import check_graph
from tfmot_sapp.compiler.ir.evaluate import (
    evaluate,
    has_meaning,
    run_subgraph,
)
from tfmot_sapp.compiler.ir.graph import Graph, Operation, Subgraph
from tfmot_sapp.compiler.ir.make import make_operation
from tfmot_sapp.compiler.ir.values import Quantization, Value


def scalar(name, dtype="int32"):
    return Value(name, (), dtype)


def number(content):
    return Value.constant("number", np.array(content, np.int32))


def doubling_loop():
    """Doubles x as long as it is below a limit: two values go around."""
    low, limit, below = scalar("x"), scalar("limit"), scalar("below", "bool")
    cond = Subgraph(
        "cond",
        [low, limit],
        [below],
        [make_operation("LESS", [low, limit], [below])],
    )
    x, kept, doubled = scalar("x"), scalar("limit"), scalar("doubled")
    body = Subgraph(
        "body",
        [x, kept],
        [doubled, kept],
        [make_operation("ADD", [x, x], [doubled])],
    )
    inputs, outputs = [scalar("a"), scalar("b")], [scalar("c"), scalar("d")]
    loop = make_operation("WHILE", inputs, outputs)
    loop.regions = {"cond": (cond,), "body": (body,)}
    main = Subgraph("main", inputs, outputs, [loop])
    return Graph([main, cond, body])


def choice():
    """Negates x or leaves it."""
    x, y, z = scalar("x"), scalar("y"), scalar("z")
    negate = Subgraph("then", [x], [y], [make_operation("NEG", [x], [y])])
    leave = Subgraph("else", [z], [z])
    condition, given, chosen = scalar("if", "bool"), scalar("a"), scalar("b")
    operation = make_operation("IF", [condition, given], [chosen])
    operation.regions = {"then": (negate,), "else": (leave,)}
    main = Subgraph("main", [condition, given], [chosen], [operation])
    return Graph([main, negate, leave])


def test_loop_runs_until_its_condition_fails():
    graph = doubling_loop()

    found = run_subgraph(graph.main, [np.int32(3), np.int32(40)])

    assert [int(array) for array in found] == [48, 40]


def test_loop_computes_what_litert_computes(run_litert):
    from tfmot_sapp.compiler.writers.tflite import write_tflite

    graph = doubling_loop()
    inputs = [np.array(5, np.int32), np.array(1000, np.int32)]

    ran = run_litert(write_tflite(graph), inputs)

    np.testing.assert_array_equal(run_subgraph(graph.main, inputs), ran)


@pytest.mark.parametrize("condition", [True, False])
def test_branch_computes_what_litert_computes(run_litert, condition):
    from tfmot_sapp.compiler.writers.tflite import write_tflite

    graph = choice()
    inputs = [np.array(condition), np.array(7, np.int32)]

    ran = run_litert(write_tflite(graph), inputs)

    np.testing.assert_array_equal(run_subgraph(graph.main, inputs), ran)


def test_composite_computes_its_decomposition(every_feature):
    composite = every_feature().main.operations[2]

    (found,) = evaluate(composite, [np.full((8, 4), -2, np.float32)])

    np.testing.assert_array_equal(found, np.full((8, 4), 2))


def test_loop_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(
        "tfmot_sapp.compiler.ir.evaluate._MOST_ITERATIONS", 1000
    )
    graph = doubling_loop()

    with pytest.raises(ValueError, match="more than 1,000 times"):
        # Twice zero is zero, which stays below one.
        run_subgraph(graph.main, [np.int32(0), np.int32(1)])


def test_dequantize_of_channels():
    scale = np.array([0.5, 2], np.float32)
    quantization = Quantization(scale, np.array([1, -1]), axis=1)
    value = Value.constant(
        "w", np.array([[3, 4], [5, 6]], np.int8), quantization
    )
    operation = make_operation(
        "DEQUANTIZE", [value], [Value("y", (2, 2), "float32")]
    )

    (found,) = evaluate(operation, [value.contents])

    np.testing.assert_array_equal(found, [[1, 10], [2, 14]])


def test_dequantize_of_half_precision(check_meaning):
    check_meaning(
        "DEQUANTIZE", np.ones((2, 3), np.float16), out="float32", version=3
    )


def test_quantized_arithmetic_has_no_meaning():
    quantization = Quantization(np.array([0.5], np.float32), np.zeros(1, int))
    x = Value("x", (4,), "int8", quantization=quantization)
    y = Value("y", (4,), "int8", quantization=quantization)

    assert not has_meaning(make_operation("ADD", [x, x], [y]))
    assert has_meaning(make_operation("RESHAPE", [x], [y]))


def test_fused_tanh_has_no_meaning():
    x, y = Value("x", (4,), "float32"), Value("y", (4,), "float32")
    operation = make_operation(
        "ADD", [x, x], [y], fused_activation_function="TANH"
    )

    assert not has_meaning(operation)


def test_custom_operation_is_refused():
    operation = Operation("CUSTOM", [], [], custom_code="Mine")

    with pytest.raises(ValueError, match="CUSTOM Mine of version 1"):
        evaluate(operation, [])


@pytest.mark.parametrize(
    "operation,arrays",
    [
        (("FULLY_CONNECTED", {}), [np.ones((2, 3)), np.ones((4, 5))]),
        (("CONV_2D", {}), [np.ones((1, 4, 4, 2)), np.ones((3, 2, 2, 2))]),
        (("RESHAPE", {}), [np.ones(6), np.array([4, -1])]),
        (("MEAN", {}), [np.ones(6), np.array([9])]),
        (("FLOOR_DIV", {}), [np.ones(2)]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(operation, arrays):
    kind, attributes = operation
    y = Value("y", (), "float64")
    values = [Value.constant("x", array) for array in arrays]

    with pytest.raises(ValueError, match=f"must fit {kind}"):
        evaluate(make_operation(kind, values, [y], **attributes), arrays)


def test_result_of_another_shape_is_refused():
    x, y = Value("x", (None, 4), "float32"), Value("y", (None, 5), "float32")

    with pytest.raises(ValueError, match="must write 'y' of shape"):
        evaluate(make_operation("ABS", [x], [y]), [np.ones((2, 4), "f4")])


def test_wrong_number_of_inputs_is_refused():
    with pytest.raises(ValueError, match="must be 2 arrays. Received: 1"):
        run_subgraph(doubling_loop().main, [np.int32(3)])


def test_value_without_contents_is_refused():
    x, y = scalar("x"), scalar("y")
    subgraph = Subgraph("main", [], [y], [make_operation("NEG", [x], [y])])

    with pytest.raises(ValueError, match="Received: 'x' of type int32"):
        run_subgraph(subgraph, [])


def test_order_is_checked():
    x, y, z = scalar("x"), scalar("y"), scalar("z")
    first, second = (
        make_operation("NEG", [x], [y]),
        make_operation("ABS", [y], [z]),
    )

    with pytest.raises(ValueError, match="before ABS reads it"):
        check_graph(Graph([Subgraph("main", [x], [z], [second, first])]))
    with pytest.raises(ValueError, match="once"):
        check_graph(Graph([Subgraph("main", [x], [z], [first, first])]))


def test_written_constant_is_refused():
    x, y = scalar("x"), number(3)

    with pytest.raises(ValueError, match="a constant"):
        subgraph = Subgraph("main", [x], [y], [make_operation("NEG", [x], [y])])
        check_graph(Graph([subgraph]))


def test_recursion_is_refused():
    x, y = scalar("x"), scalar("y")
    subgraph = Subgraph("again", [x], [y])
    call = Operation("CALL", [x], [y], regions={"callee": (subgraph,)})
    subgraph.operations.append(call)

    with pytest.raises(ValueError, match="must not run itself"):
        check_graph(Graph([subgraph]))
