"""What the tests of the lessons' checks share."""

from course.classroom import checks


def verdict(check, answer):
    found = check(answer)
    assert isinstance(found, checks.Verdict)
    return found


def wrong(check, answer, hint):
    found = verdict(check, answer)
    assert found.status == "wrong", found
    assert hint in found.message
