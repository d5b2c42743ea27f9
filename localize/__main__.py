"""python -m localize"""

import sys

if sys.path and sys.path[0] != sys.path[-1]:
    sys.path.append(sys.path.pop(0))  # the current folder last: its `datasets` must not shadow anybody's package

from localize.cli import main

if __name__ == "__main__":
    main()
