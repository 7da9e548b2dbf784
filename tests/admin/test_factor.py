"""`factor.*`: a second factor from its beginning to its end."""

import base64

from tests.admin.test_operations import ask, refusal
from tests.admin.test_operations import taro as taro

from sekisho.admin.context import Context
from sekisho.core.sasl.totp import totp_code
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal

TARO = "taro@example.org"


def code(context: Context, secret: str) -> str:
    return totp_code(base64.b32decode(secret), context.clock.now_us() // 30_000_000)


async def test_a_factor_from_beginning_to_end(taro: Context, journal: MemoryJournal) -> None:
    assert (await ask(taro, "factor.show", address=TARO)).state == "off"
    assert "No second factor was begun" in await refusal(taro, "factor.confirm", address=TARO, code="1")
    assert "has no second factor" in await refusal(taro, "factor.check", address=TARO, code="1")
    assert "has no second factor" in await refusal(taro, "factor.disable", address=TARO)
    begun = await ask(taro, "factor.enable", address=TARO)
    assert begun.uri == f"otpauth://totp/example.org:{TARO}?secret={begun.secret}&issuer=example.org"
    assert (await ask(taro, "factor.show", address=TARO)).state == "begun"
    assert "code is wrong" in await refusal(taro, "factor.confirm", address=TARO, code="000")
    confirmed = await ask(taro, "factor.confirm", address=TARO, code=code(taro, begun.secret))
    assert len(confirmed.recovery_codes) == 10 and confirmed.app_passwords == 0
    shown = await ask(taro, "factor.show", address=TARO)
    assert shown.state == "on" and shown.recovery_left == 10 and shown.confirmed_at_us == taro.clock.now_us()
    assert "already" in await refusal(taro, "factor.confirm", address=TARO, code="1")
    assert "disable it first" in await refusal(taro, "factor.enable", address=TARO)
    clock = taro.clock
    assert isinstance(clock, ManualClock)
    clock.advance(30)
    assert (await ask(taro, "factor.check", address=TARO, code=code(taro, begun.secret))).by == "code"
    assert "code is wrong" in await refusal(taro, "factor.check", address=TARO, code=code(taro, begun.secret))
    checked = await ask(taro, "factor.check", address=TARO, code=confirmed.recovery_codes[0])
    assert (checked.by, checked.recovery_left) == ("recovery", 9)
    assert (await ask(taro, "factor.disable", address=TARO)).state == "off"
    changes = [entry.fields["change"] for entry in journal.entries if entry.kind == "admin.account.factor"]
    assert changes == ["begun", "on", "checked", "checked", "checked", "off"]
    assert not any(
        begun.secret in repr(entry) or confirmed.recovery_codes[0] in repr(entry) for entry in journal.entries
    )
