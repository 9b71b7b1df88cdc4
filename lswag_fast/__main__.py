"""`python -m lswag_fast` is `lswag-fast`."""

import sys

from lswag_fast.cli import main

sys.exit(main())
