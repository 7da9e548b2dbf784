import pytest

from sekisho.core.sasl.totp import base32, matching_step, otpauth_uri, totp_code

SECRET = b"12345678901234567890"  # RFC 6238 Appendix B
STEP_US = 30_000_000


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_the_rfc(seconds: int, code: str) -> None:
    assert totp_code(SECRET, seconds // 30, 8) == code
    assert totp_code(SECRET, seconds // 30) == code[2:]


def test_a_code_fits_for_its_step_and_those_beside_it() -> None:
    code = totp_code(SECRET, 100)
    assert [matching_step(SECRET, code, step * STEP_US, 0) for step in (98, 99, 100, 101, 102)] == [
        None,
        100,
        100,
        100,
        None,
    ]
    assert matching_step(SECRET, f" {code[:3]} {code[3:]} ", 100 * STEP_US, 0) == 100


def test_a_used_step_and_those_before_it_fit_no_more() -> None:
    code = totp_code(SECRET, 100)
    assert matching_step(SECRET, code, 100 * STEP_US, 99) == 100
    assert matching_step(SECRET, code, 100 * STEP_US, 100) is None
    assert matching_step(SECRET, code, 100 * STEP_US, 101) is None


@pytest.mark.parametrize("typed", ["", "abcdef", "00000", "１２３４５６", "\ud800", "0" * 100])
def test_other_texts_fit_never(typed: str) -> None:
    assert matching_step(SECRET, typed, 100 * STEP_US, 0) is None


def test_what_the_app_reads() -> None:
    assert base32(SECRET) == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    expected = f"otpauth://totp/example.org:taro%2B1@example.org?secret={base32(SECRET)}&issuer=example.org"
    assert otpauth_uri("example.org", "taro+1@example.org", SECRET) == expected
