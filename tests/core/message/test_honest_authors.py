"""Honest mail of two decades of mail programs keeps its author: both rates over the ham among the test
vectors."""

from tests.core.policy.classifier.corpus import mails

from sekisho.core.message.authorship import read_authorship
from sekisho.core.message.header import HeaderSection
from sekisho.faces.cli.mailfiles import normal


def test_no_honest_mail_loses_its_author() -> None:
    found = {
        mail.name: read_authorship(HeaderSection(normal(mail.octets))) for mail in mails() if not mail.is_spam
    }
    assert len(found) > 2000
    assert {name: one.problem for name, one in found.items() if one.problem} == {}
    # Only a name with a dot can have a policy; if all of them asked for rejection, so many were marked.
    assert sum(any("." in name for name in one.shown) for one in found.values()) <= 2
