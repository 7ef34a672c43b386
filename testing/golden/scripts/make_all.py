"""Makes all golden files again: python golden/scripts/make_all.py

Each peer runs in a process of its own, since Keras 3 and the legacy Keras that TensorFlow
1's code needs can't be in one.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

SCRIPTS = [
    'tf1.py',
    'contrib.py',
    'tf_layers.py',
    'keras3.py',
    'keras3_freezing.py',
    'pytorch.py',
    'tf_keras_model.py',
]

for script in SCRIPTS:
    subprocess.run([sys.executable, HERE / script], check=True)
