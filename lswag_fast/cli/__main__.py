"""`python -m lswag_fast.cli` is `lswag-fast`."""

import sys

from lswag_fast.cli import main

sys.exit(main())
