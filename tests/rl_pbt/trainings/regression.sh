#!/bin/sh
# The square root of 2 by gradient descent, as a training in a shell script: one number in one file.
python3 - "$1" <<'END'
import json, os, sys
request = json.load(open(sys.argv[1]))
x = 1.0
if request["parent"]:
    x = float(open(os.path.join(request["parent"], "x")).read())
for _ in range(request["budget"]):
    x -= request["hypers"]["rate"] * 4 * x * (x * x - 2)
if request["purpose"] == "train":
    open(os.path.join(request["checkpoint"], "x"), "w").write(repr(x))
json.dump({"scores": [-abs(x * x - 2)] * len(request["evaluation_seeds"])}, open(request["answer"], "w"))
END
