"""Question 2: do classes differ in where the model fails?

Measure: ``geolip_theorems.measures.classes``. Verdict: the cosine between the mean error maps of the most
distant pair of classes, chosen on other images than it is measured on, is below 0.99, and shuffled labels
do as well less than once in a hundred times.
"""


def test_classes_fail_in_different_places(assert_claim):
    assert_claim("class_cosine")
