"""Mails with one program in them, and ways to break or to hide it: what mail programs still open, and ours
must see."""

import base64
import binascii
import email
import email.policy
import quopri
import random
import re

PROGRAM = b"MZ\x90\0" + bytes(60) + b"This program cannot be run" + bytes(range(256)) * 2
_TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nSee the attachment.\r\n"


def _encoded(dice: random.Random) -> tuple[bytes, bytes]:
    """(Content-Transfer-Encoding, body)"""
    how = dice.choice(["base64", "base64", "quoted-printable", "x-uuencode", "8bit"])
    if how == "base64":
        return b"base64", base64.encodebytes(PROGRAM).replace(b"\n", b"\r\n")
    if how == "quoted-printable":
        return b"quoted-printable", quopri.encodestring(PROGRAM).replace(b"\n", b"\r\n")
    if how == "x-uuencode":
        lines = [binascii.b2a_uu(PROGRAM[n : n + 45]) for n in range(0, len(PROGRAM), 45)]
        return b"x-uuencode", b"begin 644 x.bin\r\n" + b"".join(lines).replace(
            b"\n", b"\r\n"
        ) + b"`\r\nend\r\n"
    return b"8bit", PROGRAM.replace(b"\n", b".").replace(b"\r", b".") + b"\r\n"


def attachment(dice: random.Random) -> bytes:
    encoding, body = _encoded(dice)
    name = dice.choice([b"x.exe", b"holiday.jpg", b""])
    fields = [
        b"Content-Type: "
        + dice.choice([b"application/octet-stream", b"application/x-msdownload", b"image/jpeg"])
    ]
    if name:
        fields.append(b'Content-Disposition: attachment; filename="' + name + b'"')
    fields.append(b"Content-Transfer-Encoding: " + encoding)
    dice.shuffle(fields)
    return b"\r\n".join(fields) + b"\r\n\r\n" + body


def multipart(dice: random.Random, parts: list[bytes], boundary: bytes) -> bytes:
    kind = dice.choice([b"mixed", b"mixed", b"alternative", b"related", b"report", b"digest", b"x-odd"])
    value = b"multipart/" + kind + b"; boundary=" + dice.choice([b'"%b"', b'"%b"', b"%b"]) % boundary
    body = (
        b"".join(b"\r\n--" + boundary + b"\r\n" + part for part in parts) + b"\r\n--" + boundary + b"--\r\n"
    )
    return b"Content-Type: " + value + b"\r\n\r\n" + dice.choice([b"", b"preamble\r\n"]) + body


def sane(dice: random.Random) -> bytes:
    """A mail as programs write them, up to four levels deep."""
    part = attachment(dice)
    for level in range(dice.randint(1, 4)):
        if dice.random() < 0.25:
            part = (
                b"Content-Type: "
                + dice.choice([b"message/rfc822", b"message/global", b"message/news"])
                + b"\r\n\r\n"
                + _headers()
                + part
            )
        else:
            parts = [part, *(_TEXT for _ in range(dice.randint(0, 2)))]
            dice.shuffle(parts)
            part = multipart(dice, parts, b"b%d=_%d" % (level, dice.randint(0, 99)))
    return _headers() + part


def _headers() -> bytes:
    return b"From: a@sender.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n"


def _at(dice: random.Random, mail: bytes, pattern: bytes, replacement: bytes) -> bytes:
    """One of the places that fit, replaced."""
    places = list(re.finditer(pattern, mail, re.IGNORECASE))
    if not places:
        return mail
    place = dice.choice(places)
    return mail[: place.start()] + place.expand(replacement) + mail[place.end() :]


_BOUNDARY = rb'boundary="?([^"\r\n;]+)"?'
# What is broken: a pattern, and what stands there instead.
WAYS: tuple[tuple[bytes, bytes], ...] = (
    (_BOUNDARY, rb"boundary*0=\1"),
    (_BOUNDARY, rb"boundary*=us-ascii''\1"),
    (_BOUNDARY, rb"boundary*0*=us-ascii'en'\1; boundary*1="),
    (_BOUNDARY, rb'boundary="\1 "'),
    (_BOUNDARY, rb'boundary="\1'),
    (_BOUNDARY, rb"boundary=\1\t "),
    (_BOUNDARY, rb"boundary = (comment) \1"),
    (_BOUNDARY, rb"boundary=<\1>"),
    (_BOUNDARY, rb"boundary='\1'"),
    (_BOUNDARY, rb"boundary=\1; boundary=other"),
    (_BOUNDARY, rb"boundary=other; boundary=\1"),
    (_BOUNDARY, rb"boundary=other; boundary*=utf-8''\1"),
    (_BOUNDARY, rb"boundary=x\1"),
    (_BOUNDARY, rb"x=y"),
    (_BOUNDARY, rb";;; boundary=\1;;"),
    (_BOUNDARY, rb"\r\n\tboundary=\r\n \1"),
    (rb"multipart/(\w+); ", rb"multipart/\1 "),
    (rb"multipart/(\w+); ", rb"multipart/(x)\1 (y); "),
    (rb"multipart/(\w+); ", rb"MULTIPART / \1 ; "),
    (rb"content-type:", rb"Content-Type: text/plain\r\nContent-Type:"),
    (rb"content-type:", rb"Content-Type :"),
    (rb"content-type:", rb"X-Odd: y\r\nno field at all\r\nContent-Type:"),
    (rb"content-type: ([^\r]*)", rb"Content-Type: \1\r\nContent-Type: text/plain"),
    (rb"content-transfer-encoding: (\S+)", rb"Content-Transfer-Encoding: \1 (comment)"),
    (rb"content-transfer-encoding: (\S+)", rb"Content-Transfer-Encoding: \1;"),
    (
        rb"content-transfer-encoding: (\S+)",
        rb"Content-Transfer-Encoding: \1\r\nContent-Transfer-Encoding: 7bit",
    ),
    (
        rb"content-transfer-encoding: (\S+)",
        rb"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: \1",
    ),
    (rb"content-transfer-encoding: (\S+)", rb"content-transfer-ENCODING:\r\n \1"),
    (rb"message/rfc822", b"message/rfc822\r\nContent-Transfer-Encoding: 8bit"),
    (rb"message/\w+", b"message/partial; number=1; total=1; id=x"),
    (rb"message/\w+", b"message/external-body; access-type=x"),
    (rb"\r\n\r\n", b"\r\n"),
    (rb"\r\n\r\n", b"\r\nno field, and no empty line\r\n"),
    (rb"\r\n\r\n", b"\r\n \r\n"),
    (rb"\r\n--(\S+)\r\n", rb"\r\n--\1  \t\r\n"),
    (rb"\r\n--(\S+)\r\n", rb"\r\n--\1\n"),
    (rb"\r\n--(\S+)\r\n", rb"\r\n--\1--\r\n"),
    (rb"\r\n--(\S+)\r\n", rb"\r\n--\1x\r\n"),
    (rb"\r\n--(\S+)\r\n", rb"\r\n--\1\r\n--\1\r\n"),
    (rb"\r\n--(\S+)\r\n", rb"\r\n"),
    (rb"\r\n--(\S+)--\r\n", rb"\r\n"),
    (rb"=\r\n", b"= \r\n"),
    (rb"=\r\n", b"=\t \r\n"),
    (rb"TVqQAA", b"TVq=QAA"),
    (rb"TVqQAA", b"TV!qQ AA"),
    (rb'filename="([^"]*)"', rb"filename*0=\1"),
    (rb'filename="([^"]*)"', rb"filename*=utf-8''\1"),
    (rb'filename="([^"]*)"', rb"filename=safe.txt; filename=\1"),
    (rb'filename="([^"]*)"', rb'filename="=?utf-8?Q?\1?="'),
    (rb'filename="([^"]*)"', rb"filename=\1 ."),
    (rb"content-disposition: attachment;", b"Content-Disposition: inline\r\nContent-Disposition: x;"),
    (rb"mime-version: 1.0\r\n", b""),
    (rb"subject: x\r\n", b"Subject: x\r\n\xff\xfe: raw\r\n"),
)


def broken(dice: random.Random) -> bytes:
    mail = sane(dice)
    for _ in range(dice.randint(1, 3)):
        pattern, replacement = dice.choice(WAYS)
        mail = _at(dice, mail, pattern, replacement)
    if dice.random() < 0.1:
        mail = mail.replace(b"\r\n", b"\n")
    return mail


def seen_by_library(mail: bytes) -> int:
    """How many programs CPython's parser gives a reader: by what they are, or by name."""
    count = 0
    try:
        for part in email.message_from_bytes(mail, policy=email.policy.compat32).walk():
            if not part.is_multipart():
                payload, name = part.get_payload(decode=True), part.get_filename() or ""
                assert isinstance(payload, bytes)
                count += payload.lstrip().startswith(b"MZ\x90") or name.rstrip(". ").endswith(".exe")
    except TypeError:  # its decode_params fails where `boundary*0=` and `boundary*=` stand side by side
        pass
    return count
