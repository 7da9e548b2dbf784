"""Evidence of DKIM and ARC as results of an Authentication-Results field, written and read back."""

from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.results import arc_result, dkim_results
from sekisho.core.message.authentication_results import MethodResult, Property, format_authentication_results


def test_a_signature() -> None:
    evidence = DkimEvidence(
        result="pass",
        reason="",
        domain="example.test",
        selector="s1",
        identity="a=b@example.test",
        algorithm="rsa-sha256",
        signature_start="b/+TImW5",
        key_bits=2048,
        is_testing=True,
    )
    (result,) = dkim_results([evidence])
    assert result == MethodResult(
        method="dkim",
        result="pass",
        properties=(
            Property("header", "d", "example.test"),
            Property("header", "i", "a=b@example.test"),
            Property("header", "s", "s1"),
            Property("header", "a", "rsa-sha256"),
            Property("header", "b", "b/+TImW5"),
        ),
    )
    text = format_authentication_results("mx.test", (result,))
    assert b"dkim=pass" in text and b"(2048-bit key, testing)" in text


def test_a_signature_that_could_not_be_read() -> None:
    (result,) = dkim_results([DkimEvidence("permerror", "no d=")])
    assert result == MethodResult(method="dkim", result="permerror", properties=(), reason="no d=")
    assert b'dkim=permerror reason="no d="' in format_authentication_results("mx.test", (result,))


def test_the_default_identity_is_not_repeated() -> None:
    (result,) = dkim_results(
        [
            DkimEvidence(
                result="fail",
                reason="body hash did not verify",
                domain="example.test",
                selector="s1",
                identity="@example.test",
            )
        ]
    )
    assert result.value("header", "i") is None and result.value("header", "d") == "example.test"


def test_no_signature() -> None:
    assert dkim_results(()) == (MethodResult(method="dkim", result="none"),)


def test_arc() -> None:
    assert arc_result(ArcEvidence(result="none")) == MethodResult(method="arc", result="none")
    result = arc_result(ArcEvidence(result="pass", reason="", instances=2, sealers=("a.test", "b.test")))
    assert result.result == "pass" and result.comment == "2 sets, last by b.test"
    assert (
        arc_result(
            ArcEvidence(result="fail", reason="seal 1 did not verify", instances=1, sealers=("a.test",))
        ).reason
        == "seal 1 did not verify"
    )
