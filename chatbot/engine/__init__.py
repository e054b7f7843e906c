"""The engine. Knows no Django.

Waiting threads of a parallel loop sleep instead of spinning: on a machine that does anything else besides (a web process, a
database), spinning takes the very core the other half of the loop needs, and a step was measured 5 to 10 times slower. libgomp
reads the variable once, when torch is loaded, so it stands in front of every import.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
