"""Reads TensorBoard event files with TensorBoard's own readers, and makes NumPy's histograms.

Takes {"files": [path], "folders": [path], "histograms": {name: [value]}} as JSON on stdin;
prints {"events": {path: [event]}, "tags": {path: {plugin: [tag]}}, "histograms": {name: ...}}.
Values that are not finite are strings in the output: JSON has none.
"""

import json
import math
import sys

import numpy as np
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util import tensor_util


def plain(values):
    """The array as nested lists for JSON."""
    if isinstance(values, list):
        return [plain(value) for value in values]
    return values if math.isfinite(values) else str(values)


def read_value(value):
    tensor = tensor_util.make_ndarray(value.tensor)
    return {
        "tag": value.tag,
        "plugin": value.metadata.plugin_data.plugin_name,
        "dtype": str(tensor.dtype),
        "shape": list(tensor.shape),
        "values": plain(tensor.tolist()),
    }


def read_file(path):
    """All events up to the first record that is cut short or fails its CRC."""
    return [
        {
            "step": event.step,
            "wallTime": event.wall_time,
            "version": event.file_version,
            "values": [read_value(value) for value in event.summary.value],
        }
        for event in EventFileLoader(path).Load()
    ]


def read_tags(folder):
    accumulator = EventAccumulator(folder)
    accumulator.Reload()
    return {
        plugin: sorted(accumulator.PluginTagToContent(plugin))
        for plugin in ("scalars", "histograms")
        if plugin in accumulator.ActivePlugins()
    }


def histogram(values):
    counts, edges = np.histogram(np.array(values, np.float64), bins=30)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


request = json.load(sys.stdin)
print(
    json.dumps(
        {
            "events": {path: read_file(path) for path in request["files"]},
            "tags": {path: read_tags(path) for path in request["folders"]},
            "histograms": {
                name: histogram(values) for name, values in request["histograms"].items()
            },
        },
        allow_nan=False,
    )
)
