"""Question 2: do classes differ in where the model fails?

The figure is the cosine between the mean error maps of the most distant pair of classes, chosen on other
images than it is measured on; shuffled labels may do as well less than once in a hundred times. Measure:
``geolip_theorems.questions.classes``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.classes import class_cosine


@claim(class_cosine < 0.99)
def test_classes_fail_in_different_places(verdict):
    verdict.check()
