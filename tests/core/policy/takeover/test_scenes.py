"""Both error rates of the guard over seeds: how much spam of each style gets out, and that honest mail is
never held."""

import pytest
from tests.core.policy.takeover.rehearsal import ATTACKS, HONEST, rehearse

SEEDS = range(1000, 1003)

# What the issue asks for, and for the other styles what a run over hundreds of seeds gave with room above it.
MOST_REACHED = {
    "burst": 50,
    "low and slow": 100,
    "many addresses": 60,
    "from home": 100,
    "in threads": 200,
    "fresh links": 60,
    "young account": 100,
    "at night": 100,
}


@pytest.mark.parametrize("scene", ATTACKS)
def test_spam_is_stopped_early(scene: str) -> None:
    for seed in SEEDS:
        ending = rehearse(scene, seed)
        assert ending.spam.reached <= MOST_REACHED[scene], f"seed {seed}: {ending.spam.because}"
        if scene not in ("in threads", "fresh links"):
            assert ending.spam.because and ending.spam.held > 10 * ending.spam.reached


@pytest.mark.parametrize("scene", HONEST)
def test_honest_mail_is_never_held(scene: str) -> None:
    for seed in SEEDS:
        ending = rehearse(scene, seed)
        assert ending.honest.held_messages == 0, f"seed {seed}: {ending.honest.because}"
        assert ending.honest.reached > 0 and max(ending.honest.waits) <= 60


@pytest.mark.slow
@pytest.mark.parametrize("scene", [*ATTACKS, *HONEST])
def test_over_many_seeds(scene: str) -> None:
    endings = [rehearse(scene, seed) for seed in range(2000, 2040)]
    if scene in ATTACKS:
        reached, sent = (
            sum(ending.spam.reached for ending in endings),
            sum(ending.spam.sent for ending in endings),
        )
        assert reached < sent * (0.15 if scene in ("in threads", "fresh links") else 0.03)
        assert max(ending.spam.reached for ending in endings) <= MOST_REACHED[scene]
    else:
        messages = sum(len(ending.honest.waits) for ending in endings)
        assert sum(ending.honest.held_messages for ending in endings) <= messages * 0.01
