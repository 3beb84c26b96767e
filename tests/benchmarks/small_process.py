"""A process that holds next to nothing and says how much."""

import json

from benchmarks.timing import peak

print(json.dumps({"megabytes": peak()}))
