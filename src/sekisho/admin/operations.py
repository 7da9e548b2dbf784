"""Every operator action by name: the one table that the control socket and the direct mode both answer from.

A request is one JSON object `{"operation": "account.show", "arguments": {"address": "…"}}`. The answer is
`{"result": …}` or `{"refused": {"text": …, "values": …}}`; an own bug is `{"fault": "id of the traceback"}`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from sekisho.admin import (
    accounts,
    aliases,
    bans,
    classifier,
    credentials,
    dkim,
    domains,
    door,
    factor,
    guard,
    importing,
    logins,
    queue,
    release,
    reports,
    reputation,
    roles,
    shaping,
    sieve,
)
from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.why import question
from sekisho.ports.bans import Ban
from sekisho.ports.classifier import Fitted
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.credentials import Credential
from sekisho.ports.directory import Account, Alias, DirectoryError, Domain
from sekisho.ports.scripts import ScriptInfo
from sekisho.ports.spool import DestinationState


@dataclass(frozen=True, slots=True)
class Operation:
    """`request` and `result` are the types that arguments and results are checked against."""

    run: Callable[[Context, Any], Awaitable[Any]]
    request: type
    result: Any


class Fault(Exception):
    """The server hit an own bug; `str()` is the id under which its log has the traceback."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    operation: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class OperationRefusal(msgspec.Struct, frozen=True):
    text: str
    values: dict[str, Any] = {}


class OperationAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    result: msgspec.Raw = msgspec.Raw(b"null")
    refused: OperationRefusal | None = None
    fault: str | None = None


OPERATIONS: Mapping[str, Operation] = {
    "domain.add": Operation(domains.add_domain, domains.AddDomain, Domain),
    "domain.list": Operation(domains.list_domains, domains.Nothing, list[Domain]),
    "domain.show": Operation(domains.show_domain, domains.DomainRequest, domains.DomainDetails),
    "domain.remove": Operation(domains.remove_domain, domains.DomainRequest, Domain),
    "account.check_new": Operation(accounts.check_new, accounts.AccountRequest, accounts.AccountRequest),
    "account.add": Operation(accounts.add_account, accounts.AddAccount, Account),
    "account.import": Operation(
        importing.import_accounts, importing.ImportAccounts, list[importing.ImportedLine]
    ),
    "factor.show": Operation(factor.show_factor, factor.FactorRequest, factor.FactorView),
    "factor.enable": Operation(factor.enable_factor, factor.FactorRequest, factor.FactorBegun),
    "factor.confirm": Operation(factor.confirm_factor, factor.FactorCode, factor.FactorConfirmed),
    "factor.disable": Operation(factor.disable_factor, factor.FactorRequest, factor.FactorView),
    "factor.check": Operation(factor.check_factor, factor.FactorCode, factor.FactorChecked),
    "account.list": Operation(accounts.list_accounts, accounts.ListAccounts, list[Account]),
    "account.show": Operation(accounts.show_account, accounts.AccountRequest, accounts.AccountDetails),
    "account.passwd": Operation(accounts.set_password, accounts.SetPassword, Account),
    "account.state": Operation(accounts.set_state, accounts.SetState, Account),
    "account.expire": Operation(accounts.set_expiry, accounts.SetExpiry, Account),
    "credential.add": Operation(
        credentials.add_credential, credentials.AddCredential, credentials.NewCredential
    ),
    "credential.list": Operation(credentials.list_credentials, credentials.CredentialsOf, list[Credential]),
    "credential.disable": Operation(
        credentials.disable_credential, credentials.OneCredential, credentials.CredentialDone
    ),
    "credential.enable": Operation(
        credentials.enable_credential, credentials.OneCredential, credentials.CredentialDone
    ),
    "credential.remove": Operation(
        credentials.remove_credential, credentials.OneCredential, credentials.CredentialDone
    ),
    "account.quota": Operation(accounts.set_quota, accounts.SetQuota, Account),
    "account.remove": Operation(accounts.remove_account, accounts.RemoveAccount, Account),
    "account.undelete": Operation(accounts.undelete_account, accounts.AccountRequest, Account),
    "account.may_send_as": Operation(accounts.grant_sender, accounts.GrantSender, accounts.AccountDetails),
    "account.logins": Operation(logins.list_logins, logins.LoginsRequest, logins.LoginHistory),
    "alias.add": Operation(aliases.add_alias, aliases.AddAlias, Alias),
    "alias.list": Operation(aliases.list_aliases, aliases.ListAliases, list[Alias]),
    "alias.remove": Operation(aliases.remove_alias, aliases.AliasRequest, Alias),
    "dkim.add": Operation(dkim.add_key, dkim.AddKey, dkim.KeyView),
    "dkim.list": Operation(dkim.list_keys, dkim.ListKeys, list[dkim.KeyView]),
    "dkim.rotate": Operation(dkim.rotate_keys, dkim.RotateKeys, list[dkim.KeyView]),
    "dkim.retire": Operation(dkim.retire_keys, dkim.RetireKeys, list[dkim.KeyView]),
    "classifier.teach": Operation(classifier.teach, classifier.Teach, classifier.ClassifierChange),
    "classifier.fit": Operation(classifier.fit, classifier.ClassifierIdle, Fitted),
    "classifier.status": Operation(classifier.status, classifier.ClassifierIdle, classifier.ClassifierStatus),
    "classifier.explain": Operation(classifier.explain, classifier.AskClassifier, classifier.Explained),
    "classifier.forget": Operation(classifier.forget, classifier.Forget, classifier.ClassifierChange),
    "door.expect": Operation(door.expect, door.Expect, list[door.Expecting]),
    "door.expected": Operation(door.list_expected, domains.Nothing, list[door.Expecting]),
    "door.greylist": Operation(door.greylist_report, door.AskGreylist, door.GreylistReport),
    "door.release": Operation(release.release, release.ReleaseRequest, release.Released),
    "reputation.list": Operation(
        reputation.list_reputation, reputation.ListReputation, list[reputation.ReputationView]
    ),
    "reputation.show": Operation(
        reputation.show_reputation, reputation.ReputationRequest, reputation.ReputationDetails
    ),
    "reputation.forget": Operation(
        reputation.forget_reputation, reputation.ReputationRequest, reputation.Forgotten
    ),
    "reports.dmarc": Operation(reports.dmarc_reports, reports.AskReports, list[reports.SenderSeen]),
    "reports.tls": Operation(reports.tls_reports, reports.AskReports, list[reports.TlsSeen]),
    "reports.complaints": Operation(reports.complaints, reports.AskReports, list[reports.ComplaintSeen]),
    "bans.list": Operation(bans.list_bans, bans.ListBans, list[Ban]),
    "bans.show": Operation(bans.show_bans, bans.ShowBans, bans.BanDetails),
    "bans.lift": Operation(bans.lift_bans, bans.LiftBans, list[Ban]),
    "bans.add": Operation(bans.add_ban, bans.AddBan, Ban),
    "roles.check": Operation(roles.check_roles, domains.Nothing, list[roles.RoleProblem]),
    "guard.list": Operation(guard.list_cases, domains.Nothing, list[guard.GuardedAccount]),
    "guard.show": Operation(guard.show_account, guard.ShowGuarded, guard.GuardDetails),
    "guard.release": Operation(guard.release_held, guard.GuardRequest, guard.GuardDone),
    "guard.purge": Operation(guard.purge_held, guard.PurgeHeld, guard.GuardDone),
    "guard.forgive": Operation(guard.forgive_account, guard.GuardRequest, guard.GuardDone),
    "guard.bulk": Operation(guard.set_bulk, guard.SetBulk, guard.GuardRights),
    "guard.recovery": Operation(guard.set_recovery, guard.SetRecovery, guard.GuardRights),
    "sieve.list": Operation(sieve.list_scripts, sieve.ScriptsOf, list[ScriptInfo]),
    "sieve.get": Operation(sieve.get_script, sieve.OneScript, sieve.ScriptText),
    "sieve.put": Operation(sieve.put_script, sieve.PutScript, sieve.ScriptChange),
    "sieve.activate": Operation(sieve.activate_script, sieve.OneScript, sieve.ScriptChange),
    "sieve.remove": Operation(sieve.remove_script, sieve.OneScript, sieve.ScriptChange),
    "shaping.providers": Operation(shaping.list_providers, domains.Nothing, list[shaping.ProviderState]),
    "warmup.show": Operation(shaping.show_warmup, domains.Nothing, list[shaping.WarmupState]),
    "warmup.simulate": Operation(shaping.simulate_warmup, shaping.SimulateWarmup, shaping.WarmupForecast),
    "queue.list": Operation(queue.list_queue, queue.ListQueue, list[queue.QueueMessageView]),
    "queue.show": Operation(queue.show_queued, queue.MessageRequest, queue.QueueMessageView),
    "queue.retry": Operation(queue.retry_queue, queue.RetryQueue, queue.QueueChange),
    "queue.hold": Operation(queue.hold_queued, queue.MessageRequest, queue.QueueChange),
    "queue.release": Operation(queue.release_queued, queue.MessageRequest, queue.QueueChange),
    "queue.drop": Operation(queue.drop_queued, queue.MessageRequest, queue.QueueChange),
    "ledger.why": Operation(question.why, question.Why, question.WhyAnswer),
    "queue.destinations": Operation(queue.list_destinations, domains.Nothing, list[DestinationState]),
}


async def answer(context: Context, request: bytes) -> bytes:
    """Do what the request asks and say how it ended. Never raises: what peers send and own bugs are answers
    too."""
    try:
        return msgspec.json.encode(await _perform(context, request))
    except (
        Exception
    ) as error:  # the border of the control socket: any bug becomes a fault with a traceback in the log
        return msgspec.json.encode(OperationAnswer(fault=context.journal.fault("admin", error)))


async def _perform(context: Context, request: bytes) -> OperationAnswer:
    try:
        asked = msgspec.json.decode(request, type=Request)
        operation = OPERATIONS.get(asked.operation)
        if operation is None:
            raise AdminRefused("This server knows no operation {name}.", name=asked.operation)
        arguments: Any = msgspec.json.decode(asked.arguments, type=operation.request)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _refusal(AdminRefused("The request cannot be read: {reason}.", reason=str(error)))
    except AdminRefused as refused:
        return _refusal(refused)
    try:
        result = await operation.run(context, arguments)
    except AdminRefused as refused:
        return _refusal(refused)
    except DirectoryError as error:
        return _refusal(AdminRefused("{sentence}", sentence=str(error)))
    except StoreUnavailable as error:
        return _refusal(AdminRefused("The mail store cannot be used now: {reason}.", reason=str(error)))
    return OperationAnswer(result=msgspec.Raw(msgspec.json.encode(result)))


def _refusal(refused: AdminRefused) -> OperationAnswer:
    return OperationAnswer(refused=OperationRefusal(refused.text, dict(refused.values)))


# What those are answered who ask while too many do.
BUSY = msgspec.json.encode(
    _refusal(AdminRefused("The server is answering too many commands at the moment; try again soon."))
)


def make_request(operation: str, arguments: msgspec.Struct) -> bytes:
    return msgspec.json.encode({"operation": operation, "arguments": arguments})


def read_answer(operation: str, octets: bytes) -> Any:
    """The result in the operation's result type; raises Refused, Fault, or ValueError for what is no
    answer."""
    answered = msgspec.json.decode(octets, type=OperationAnswer)
    if answered.refused is not None:
        raise AdminRefused(answered.refused.text, **answered.refused.values)
    if answered.fault is not None:
        raise Fault(answered.fault)
    return msgspec.json.decode(answered.result, type=OPERATIONS[operation].result)
