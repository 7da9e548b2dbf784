"""What reception is built with."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sekisho.config.schema import ReceptionSettings
from sekisho.services.reception.inspection import Inspector
from sekisho.services.reception.watch import DoorWatch
from sekisho.services.reports.intake import NO_INTAKE, Intake
from sekisho.services.sieve.service import NO_SIEVE, Sieving
from sekisho.services.smtp.tools import ServiceConfig, ServiceTools


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionTools(ServiceTools):
    inspector: Inspector
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    watch: DoorWatch | None = None
    sieve: Sieving = NO_SIEVE
    intake: Intake = NO_INTAKE


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionConfig(ServiceConfig):
    reception: ReceptionSettings
