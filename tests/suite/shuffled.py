"""A pytest plugin that runs tests in a random order: ``-p tests.suite.shuffled``, the seed in SHUFFLE."""

import os
import random


def pytest_collection_modifyitems(items):
    random.Random(int(os.environ["SHUFFLE"])).shuffle(items)
