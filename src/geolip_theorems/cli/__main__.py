"""``python -m geolip_theorems.cli``."""

import sys

from . import main

sys.exit(main())
