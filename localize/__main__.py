"""python -m localize"""

import os
import sys

if sys.path[0] in ("", os.getcwd()):
    sys.path.append(sys.path.pop(0))  # the current folder last: its `datasets` must not shadow anybody's package

from localize.cli import main

if __name__ == "__main__":
    main()
