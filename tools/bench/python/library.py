"""Answers the requests of src/requests.ts over the standard input and output, in JSON lines.

A line {"name": …, "args": …} is answered by one of {"answer": …}, {"absent": reason} where a
library is not installed, and {"error": message}. Ends at the end of its input.
"""

import json
import os
import sys
import time


class Task:
    """Functions by name; each runs so many times, and returns when the last has ended."""

    def __init__(self, contenders, parameters=None):
        self.contenders = contenders
        self.parameters = parameters


def serve(open_library, make_norm, make_step):
    """Runs until the end of the input.

    open_library(device) imports the library and returns what it tells of itself; make_norm(shape,
    direction) and make_step(network) return a Task.
    """
    # What libraries print is not an answer.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    task = None

    def answer(name, args):
        nonlocal task
        if name == "open":
            return open_library(args["device"])
        if name == "prepare":
            task = None
            if args["kind"] == "norm":
                task = make_norm(args["shape"], args["direction"])
            else:
                task = make_step(args["network"])
            return {
                "contenders": list(task.contenders),
                "parameters": task.parameters,
            }
        if name == "time":
            return milliseconds(task.contenders[args["contender"]], args["count"])
        raise ValueError(f"Python does not answer {name}")

    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"answer": answer(request["name"], request["args"])}
        except ImportError as error:
            reply = {"absent": str(error)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


def milliseconds(contender, count):
    """Of one call."""
    # What others have put out of the caches comes back.
    if count > 1:
        contender(1)
    start = time.perf_counter()
    contender(count)
    return (time.perf_counter() - start) * 1000 / count
