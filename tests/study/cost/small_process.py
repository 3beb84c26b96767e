"""A process that holds next to nothing and says how much."""

import json

from study.cost.timing import peak

print(json.dumps({"megabytes": peak()}))
