"""The engine. Knows no Django.

Waiting threads of a parallel loop spin for a moment and then sleep. Those that spin for ever take the very core that the other
half of the loop needs, once the machine does anything else besides (a web process, a database): a step was measured 5 to 10
times slower. Those that sleep at once made it up to 1.4 times slower on a quiet machine. libgomp reads the variables once, when
torch is loaded, so they stand in front of every import.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
