"""`python -m knngraph` is the same as the command `knngraph`."""

import sys

from knngraph.cli import main

if __name__ == "__main__":
    sys.exit(main())
