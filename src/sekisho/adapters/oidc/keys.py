"""The public keys of an issuer: fetched when they are first needed, again when they are old or a token names
one that is not known."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import h11
import jwt

from sekisho.adapters.net.http import get_https
from sekisho.config.issuers import IssuerSettings
from sekisho.ports.clock import Clock
from sekisho.ports.tokens import IssuerUnavailable, TokenRefused

FETCH_SECONDS = 5.0
FRESH_SECONDS = 3600.0
# Keys that could not be fetched anew are still used for so long.
STALE_SECONDS = 86_400.0
# Whoever shows tokens with invented key names makes us ask no more often than this.
AGAIN_SECONDS = 60.0
AFTER_FAILURE_SECONDS = 10.0
_MAX_OCTETS = 262_144
_MAX_KEYS = 100
_MIN_RSA_BITS = 2048
_KEY_TYPES = ("RSA", "EC", "OKP")  # never "oct": a secret that both sides know proves nothing here

Get = Callable[[str], Awaitable[tuple[int, bytes]]]


def https_getter(ca_file: Path | None) -> Get:
    """Raises OSError, ssl.SSLError for a CA file that cannot be read."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return lambda url: get_https(url, context, _MAX_OCTETS)


class IssuerKeys:
    def __init__(self, settings: IssuerSettings, clock: Clock, get: Get) -> None:
        self._settings, self._clock, self._get = settings, clock, get
        self._lock = asyncio.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._unnamed: list[jwt.PyJWK] = []
        self._fetched_at = self._asked_at = float("-inf")
        self._problem = ""

    async def key(self, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """The key that a token was signed with; raises TokenRefused, IssuerUnavailable."""
        now = self._clock.monotonic()
        key = self._find(kid, algorithm) if now - self._fetched_at < FRESH_SECONDS else None
        if key is None:
            await self._refresh(kid, algorithm)
            key = self._find(kid, algorithm)
        if key is not None and self._clock.monotonic() - self._fetched_at < STALE_SECONDS:
            return key
        if self._problem:
            raise IssuerUnavailable(f"issuer unavailable: {self._problem}")
        raise TokenRefused(
            "token signed by an unknown key", may_pass=True
        )  # perhaps of a key that is newer than ours

    def _find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        if kid is not None:
            key = self._keys.get(kid)
            return key if key is not None and key.algorithm_name == algorithm else None
        fitting = [key for key in (*self._keys.values(), *self._unnamed) if key.algorithm_name == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    async def _refresh(self, kid: str | None, algorithm: str) -> None:
        """One question at a time, and not too often. What went wrong is kept for `key` to tell."""
        async with self._lock:
            now = self._clock.monotonic()
            is_fresh = now - self._fetched_at < FRESH_SECONDS
            if (
                is_fresh and self._find(kid, algorithm) is not None
            ):  # who was before us in the line asked for us
                return
            if now - self._asked_at < (AFTER_FAILURE_SECONDS if self._problem else AGAIN_SECONDS):
                return
            self._asked_at = now
            try:
                async with asyncio.timeout(FETCH_SECONDS):
                    self._take(await self._document(await self._url()))
            except TimeoutError:
                self._problem = f"no answer within {FETCH_SECONDS:g} seconds"
            except (OSError, ValueError, h11.ProtocolError, RecursionError) as error:
                self._problem = str(error) or type(error).__name__
            else:
                self._problem, self._fetched_at = "", self._clock.monotonic()

    async def _url(self) -> str:
        if self._settings.jwks_url is not None:
            return self._settings.jwks_url
        found = await self._document(discovery_url(self._settings.issuer))
        if found.get("issuer") != self._settings.issuer:  # OpenID Connect Discovery §4.3
            raise ValueError("the discovery document is of another issuer")
        return str(found.get("jwks_uri", ""))

    async def _document(self, url: str) -> dict[str, Any]:
        status, body = await self._get(url)
        if status != 200:
            raise ValueError(f"{url}: HTTP {status}")
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError(f"{url}: not an object of JSON")
        return document

    def _take(self, document: dict[str, Any]) -> None:
        keys: dict[str, jwt.PyJWK] = {}
        unnamed: list[jwt.PyJWK] = []
        listed = document.get("keys")
        for entry in listed[:_MAX_KEYS] if isinstance(listed, list) else []:
            key = _usable(entry)
            if key is None:
                continue
            if isinstance(key.key_id, str):
                keys[key.key_id] = key
            else:
                unnamed.append(key)
        if not keys and not unnamed:
            raise ValueError("the issuer has no key that can be used")
        self._keys, self._unnamed = keys, unnamed


def discovery_url(issuer: str) -> str:
    return issuer.rstrip("/") + "/.well-known/openid-configuration"  # OpenID Connect Discovery §4


def _usable(entry: object) -> jwt.PyJWK | None:
    """RFC 7517 §5: keys that are not understood are passed over."""
    if not isinstance(entry, dict) or entry.get("kty") not in _KEY_TYPES or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return None if entry["kty"] == "RSA" and key.key.key_size < _MIN_RSA_BITS else key
