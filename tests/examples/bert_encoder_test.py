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
"""The encoder sees the words of a sentence and nothing else."""

# In a process of its own: the recipes define the same flags.
PROGRAM = """
import sys
sys.argv = [
    "bert_encoder.py", "--width=32", "--heads=2", "--blocks=2",
    "--vocabulary=50"]
import keras, numpy as np, tfmot_sapp as sapp
from examples.block_pruning import bert_encoder

bert_encoder.FLAGS(sys.argv)

def make(length):
    bert_encoder.FLAGS.length = length
    model = sapp.prune_blocks(
        bert_encoder.make_model(), sapp.ConstantSparsity(0.75, 0),
        {"block_*": (4, 4)}, pruning_policy=sapp.MinimumBlocks(4))
    model.compile("sgd", "mse")
    return model

rng = np.random.default_rng(0)
words = rng.integers(1, 50, (4, 5))
padded = np.pad(words, ((0, 0), (0, 7)))
long = make(12)
long.fit(padded, np.ones((4, 2)), verbose=0,
         callbacks=[sapp.UpdatePruningStep()])
short = make(5)
for theirs, mine in zip(long.variables, short.variables):
    value = keras.ops.convert_to_numpy(theirs)
    if mine.shape != value.shape:
        assert mine.path == "places/table", mine.path
        value = value[:5]
    mine.assign(value)
rows = {row.name: row.kept / row.blocks for row in sapp.report(long).pruned}
assert len(rows) == 2 * 6 and set(rows.values()) == {0.25}, rows
expected = short.predict(words, verbose=0)
np.testing.assert_allclose(
    long.predict(padded, verbose=0), expected, atol=1e-5)
assert np.ptp(expected) > 1e-2
other = padded.copy()
other[:, 5] = 7
assert np.abs(long.predict(other, verbose=0) - expected).max() > 1e-4
"""


def test_padding_is_neither_attended_to_nor_pooled(forks):
    done = forks.run(PROGRAM)

    assert done.returncode == 0, done.stderr[-3000:]
