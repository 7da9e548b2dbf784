"""Teaching, asking and forgetting, as the commands do it."""

import base64
from typing import Any

import pytest
from tests.admin.test_operations import ask, refusal
from tests.core.policy.classifier.mails import ham, spam
from tests.stores.opened import OpenStore

from sekisho.admin.context import Context
from sekisho.core.policy.classifier.features import features_of
from sekisho.testing.records import MemoryJournal


def lessons(count: int) -> list[dict[str, Any]]:
    return [
        {
            "key": f"{make.__name__}{n}",
            "is_spam": make is spam,
            "features": base64.b64encode(features_of(make(n)).to_octets()).decode(),
        }
        for n in range(count)
        for make in (ham, spam)
    ]


@pytest.fixture
async def taught(context: Context) -> Context:
    await ask(context, "domain.add", name="example.org")
    await ask(context, "account.add", address="taro@example.org", password="correct horse battery")
    await ask(context, "classifier.teach", lessons=lessons(100))
    return context


async def test_a_life(taught: Context, journal: MemoryJournal, store: OpenStore) -> None:
    status = await ask(taught, "classifier.status")
    assert (status.ham, status.spam, status.news, status.needed) == (100, 100, 200, 100)
    fitted = await ask(taught, "classifier.fit")
    assert (fitted.ham, fitted.spam) == (100, 100)
    status = await ask(taught, "classifier.status")
    assert (status.is_ready, status.news) == (True, 0)
    assert [(row.account, row.ham, row.spam) for row in status.accounts] == [(None, 100, 100)]
    found = await ask(taught, "classifier.explain", build=list(spam(900).build), words=list(spam(900).words))
    assert found.is_ready and found.score == found.overall > 0.25
    assert found.telling[0].weight > 0.01
    assert (await ask(taught, "classifier.forget", everything=True)).count == 200
    assert not (await ask(taught, "classifier.status")).is_ready
    assert [kind for kind in journal.kinds() if kind.startswith("admin.classifier")] == [
        "admin.classifier.teach", "admin.classifier.fit", "admin.classifier.forget",
    ]  # fmt: skip


async def test_for_one_account(taught: Context) -> None:
    await ask(
        taught,
        "classifier.teach",
        lessons=[{**lessons(1)[1], "is_spam": False, "key": "mine"}],
        account="taro@example.org",
    )
    await ask(taught, "classifier.fit")
    asked = {"build": list(spam(0).build), "words": list(spam(0).words)}
    own = await ask(taught, "classifier.explain", account="taro@example.org", **asked)
    assert own.score < own.overall
    rows = (await ask(taught, "classifier.status")).accounts
    assert [(row.account, row.ham, row.spam) for row in rows] == [
        (None, 100, 100),
        ("taro@example.org", 1, 0),
    ]
    assert (await ask(taught, "classifier.forget", account="taro@example.org")).count == 1
    assert (await ask(taught, "classifier.forget", account="taro@example.org")).count == 0


async def test_what_is_refused(taught: Context) -> None:
    assert "no account" in await refusal(taught, "classifier.teach", lessons=[], account="nobody@example.org")
    assert "cannot be read" in await refusal(
        taught, "classifier.teach", lessons=[{"key": "a", "is_spam": True, "features": "AAAA"}]
    )
    assert "At most" in await refusal(taught, "classifier.teach", lessons=lessons(501))
    assert "whose" in await refusal(taught, "classifier.forget")


async def test_before_it_learned_enough(context: Context) -> None:
    found = await ask(context, "classifier.explain", build=[], words=["casino"])
    assert not found.is_ready and found.telling == []
