"""`python -m warmboot`."""

import sys

from warmboot.cli.main import main

sys.exit(main())
