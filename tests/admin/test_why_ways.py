"""On which way a message left: each policy with each proof that can go with it has its sentence."""

import pytest
from tests.admin.test_why import Scene, said

from sekisho.admin.why.ways import WAYS

TAKEN = "250 2.0.0 OK"


def left(scene: Scene, policy: str, proof: str, result: str = "delivered", reply: str = TAKEN) -> None:
    scene.accepted("m1", "c@far.example", relayed=1)
    fields = {"recipient": "c@far.example", "result": result, "reply": reply, "remote": "mx.far.example"}
    fields |= {"cause": "answered", "policy": policy, "proof": proof}
    scene.note("relay.attempt", "m1", "c@far.example", reverse_path="a@b.example", attempt=1, **fields)


@pytest.mark.parametrize(("policy", "proof"), WAYS)
async def test_a_delivered_message_and_its_way(policy: str, proof: str) -> None:
    scene = Scene()
    left(scene, policy, proof)
    story = await scene.story("m1")
    assert story.verdict == "delivered" and "(250 2.0.0 OK)" in said(story.what)
    assert said(story.why) == WAYS[policy, proof].why
    assert said(story.why, "ja") != said(story.why)


@pytest.mark.parametrize(("policy", "proof"), [("none", "clear"), ("none", "encrypted"), ("", "")])
async def test_where_nothing_was_asked_nothing_is_told(policy: str, proof: str) -> None:
    scene = Scene()
    left(scene, policy, proof)
    story = await scene.story("m1")
    assert story.why is None and said(story.what).endswith(": 250 2.0.0 OK")
    assert [entry.fields["policy"] for entry in story.entries if entry.kind == "relay.attempt"] == [policy]


async def test_what_went_wrong_goes_before_the_way() -> None:
    scene = Scene()
    left(scene, "dane", "dane", "failed", "550 5.1.1 No such user")
    assert "answered: 550 5.1.1 No such user" in said((await scene.story("m1")).why)
