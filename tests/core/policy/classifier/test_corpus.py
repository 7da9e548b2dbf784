"""What the classifier is worth on real mail: taught one half, asked about the other. Nothing is adjusted to
the half that is asked."""

import pytest
from tests.core.policy.classifier.corpus import ask, halves, mails, taught

from sekisho.core.policy.classifier.knowledge import MIN_LESSONS


async def test_a_part_in_halves() -> None:
    """As much as a small server knows after its first weeks: it is careful then."""
    ham, spam = [mail for mail in mails() if not mail.is_spam], [mail for mail in mails() if mail.is_spam]
    lessons, asked = halves(1, [*ham[::9], *spam[::4]])
    found = ask(await taught(lessons), asked)
    assert min(found.ham, found.spam, sum(mail.is_spam for mail in lessons)) >= MIN_LESSONS
    assert found.ham_junk == 0
    assert found.spam_junk >= 0.5 * found.spam, f"{found.spam_junk} of {found.spam}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
async def test_halves_at_random(seed: int) -> None:
    """At most 0.05 % of ham: of a thousand not one."""
    one, other = halves(seed, mails())
    for lessons, asked in ((one, other), (other, one)):
        found = ask(await taught(lessons), asked)
        assert found.ham > 900 and found.ham_junk == 0
        assert found.spam_junk >= 0.9 * found.spam, f"{found.spam_junk} of {found.spam}"
