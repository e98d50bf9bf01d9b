"""What the stages of an answer hand on."""

from tests.frozen import assert_frozen


def test_no_stage_writes_to_a_result():
    assert_frozen("inference")
