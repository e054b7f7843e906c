"""The engine. Knows no Django.

Waiting threads of a parallel loop spin for a moment and then sleep. Those that spin for ever take the very core that the other
half of the loop needs, once the machine does anything else besides (a web process, a database): a step was measured 5 to 10
times slower. Those that sleep at once made it up to 1.4 times slower on a quiet machine. libgomp reads the variables once, when
torch is loaded, so they stand in front of every import.

oneDNN keeps the code it generates for each shape of a product, half a megabyte a shape, 1024 of them: with row counts that change
from step to step a worker grew by 80 MB a minute. A quarter as many hold what comes again; making one anew costs a millisecond.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
