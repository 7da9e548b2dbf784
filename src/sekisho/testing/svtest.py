"""Runs test scripts in the language vnd.dovecot.testsuite: ordinary Sieve with commands that set a message,
compile and run scripts, and look at what they did. Shipped, so that any suite in that language can be run:
`python -m sekisho.testing.svtest FILE…`."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sekisho.core.message.header import HeaderSection
from sekisho.core.sieve.actions import (
    Action,
    Discard,
    FileInto,
    HeaderEdit,
    Keep,
    Notify,
    Redirect,
    Reject,
    Result,
    Vacation,
)
from sekisho.core.sieve.addresses import read_addresses
from sekisho.core.sieve.compiler import compile_script
from sekisho.core.sieve.faults import SieveError, SieveRunError
from sekisho.core.sieve.fields import FieldList, edited
from sekisho.core.sieve.language import WHOLE_LANGUAGE
from sekisho.core.sieve.letters import Stamp, notice_letter, refusal_letter, vacation_letter
from sekisho.core.sieve.limits import SieveLimits
from sekisho.core.sieve.machine import Machine, Returned, Stopped
from sekisho.core.sieve.script import INDEX_TAGS, MATCH_TAGS, ArgumentKind, Node, Script, Spec, Tag
from sekisho.core.sieve.situation import MailView, Situation

_EMPTY = b"From: sender@example.org\r\nTo: recipient@example.org\r\n\r\n"
_LIMITS = SieveLimits(work=20_000_000, redirects=4, actions=32)
_WORDS: dict[type, tuple[str, ...]] = {
    Keep: ("keep", "store"),
    FileInto: ("store", "fileinto"),
    Redirect: ("redirect",),
    Discard: ("discard",),
    Reject: ("reject", "ereject"),
    Vacation: ("vacation",),
    Notify: ("notify",),
}
_BOUNDS = {
    "sieve_max_redirects": "redirects",
    "sieve_max_actions": "actions",
    "sieve_max_script_size": "script_octets",
    "sieve_vacation_min_period": "vacation_min_seconds",
    "sieve_vacation_max_period": "vacation_max_seconds",
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "k": 1024, "": 1}


EXTENSION = Tag("extension", "string")
WHERE = (Tag("smtp", "", "where"), Tag("folder", "string", "where"))


class _TestFailed(Exception):
    pass


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """`failure` None: it passed."""

    file: str
    name: str
    failure: str | None


@dataclass(slots=True)
class _Sent:
    octets: bytes
    sender: str
    recipients: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _World:
    """Everything that the commands of the suite act on."""

    folder: Path
    situation: Situation
    limits: SieveLimits = _LIMITS
    script: Script | None = None
    results: list[Result] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sent: list[_Sent] = field(default_factory=list)
    mailboxes: dict[str, list[bytes]] = field(default_factory=lambda: {"INBOX": []})
    remembered: set[bytes] = field(default_factory=set)
    settings: dict[str, str] = field(default_factory=dict)
    failed_to_run: bool = False


class SuiteRunner:
    """One file of tests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.outcomes: list[CaseOutcome] = []
        self._world = _World(folder=path.parent, situation=self._situation(_EMPTY))
        self._language = WHOLE_LANGUAGE.extended(self._specs(), ("vnd.dovecot.testsuite", "namespace tst"))

    def run(self) -> list[CaseOutcome]:
        try:
            script = compile_script(
                self._path.read_bytes(), self._language, _LIMITS, self._find, includes_must_exist=True
            )
        except SieveError as error:
            return [CaseOutcome(self._path.name, "(the file)", str(error))]
        machine = Machine(self._world.situation, _LIMITS)
        machine.namespaces["tst"] = lambda name: str(self._path.parent) if name == "path" else ""
        self._replace(machine, self._world.situation)
        try:
            machine.run_script(script)
        except (Stopped, Returned):
            pass
        except (SieveRunError, _TestFailed) as error:
            self.outcomes.append(CaseOutcome(self._path.name, "(outside of tests)", str(error)))
        return self.outcomes

    def _situation(self, octets: bytes) -> Situation:
        return Situation(
            message=MailView.of(octets),
            reverse_path="sender@example.org",
            recipient="recipient@example.org",
            original_recipient="recipient@example.org",
            owner=(),
            now_us=1_800_000_000_000_000,
            environment={
                "name": "sekisho",
                "location": "MDA",
                "phase": "during",
                "domain": "example.org",
                "host": "mail.example.org",
            },
            mailbox_exists=lambda name: name in self._world.mailboxes or name.upper() == "INBOX",
            special_use_exists=lambda mailbox, use: False,
            is_duplicate=lambda key: key in self._world.remembered,
        )

    def _find(self, location: str, name: str) -> bytes | None:
        folders = ("included-global", "global") if location == "global" else ("included", "personal", ".")
        for folder in folders:
            path = self._path.parent / folder / f"{name}.sieve"
            if path.exists():
                return path.read_bytes()
        return None

    def _replace(self, machine: Machine, situation: Situation) -> None:
        machine.situation = self._world.situation = situation
        machine.fields = FieldList(situation.message.header)
        machine.decoded.clear()

    # --- commands

    def _test(self, machine: Machine, node: Node) -> None:
        name = machine.text(node.arguments[0])
        world = self._world
        world.results, world.errors, world.sent = [], [], []
        machine.result, machine.keeps, machine.flags, machine.has_answered = Result(), True, (), False
        failure = None
        try:
            machine.run_nodes(node.block)
        except Stopped:
            pass
        except (_TestFailed, SieveRunError) as error:
            failure = str(error)
        self.outcomes.append(CaseOutcome(self._path.name, name, failure))

    def _fail(self, machine: Machine, node: Node) -> None:
        raise _TestFailed(f"line {node.line}: {machine.text(node.arguments[0])}")

    def _set(self, machine: Machine, node: Node) -> None:
        name, value = machine.text(node.arguments[0]), machine.text(node.arguments[1])
        situation = self._world.situation
        if name == "message":
            self._replace(
                machine, _addressed(situation, MailView.of(value.encode("utf-8", "surrogateescape")))
            )
            return
        known = {
            "envelope.from": "reverse_path",
            "envelope.to": "recipient",
            "envelope.orig_to": "original_recipient",
            "envelope.auth": "auth",
        }
        if name not in known:
            raise _TestFailed(f"line {node.line}: test_set knows no {name}")
        if name.startswith("envelope.") and name != "envelope.auth":
            value = value.strip("<>")
        changes = {known[name]: value}
        if name == "envelope.to":
            changes["original_recipient"] = value
        machine.situation = self._world.situation = replace(
            situation,
            **changes,  # type: ignore[arg-type]  # `known` names fields of text only
        )

    def _config(self, machine: Machine, node: Node) -> None:
        name = machine.text(node.arguments[0])
        value = machine.text(node.arguments[1]) if len(node.arguments) > 1 else ""
        world = self._world
        if name in _BOUNDS and value:
            number = value.rstrip("smhdwkSMHDWK")
            if number.isdigit():
                bound = int(number) * _UNITS.get(value[len(number) :].lower()[:1], 1)
                world.limits = replace(world.limits, **{_BOUNDS[name]: bound})
        elif name in _BOUNDS:
            world.limits = replace(world.limits, **{_BOUNDS[name]: getattr(_LIMITS, _BOUNDS[name])})
        elif name == "sieve_user_email":
            world.situation = replace(world.situation, owner=(value,) if value else ())
        elif name == "recipient_delimiter":
            world.situation = replace(world.situation, separators=value or "+")
        world.settings[name] = value
        machine.situation, machine.limits = world.situation, world.limits

    def _nothing(self, machine: Machine, node: Node) -> bool:
        return True

    # --- scripts

    def _compile(self, machine: Machine, node: Node) -> bool:
        return self._compiled(machine.text(node.arguments[0]))

    def _compiled(self, name: str) -> bool:
        world = self._world
        world.errors, world.script = [], None
        path = world.folder / name
        try:
            world.script = compile_script(
                path.read_bytes(), self._language, world.limits, self._find, includes_must_exist=True
            )
        except FileNotFoundError:
            world.errors = [f"there is no {path}"]
        except SieveError as error:
            world.errors = [str(fault) for fault in error.faults]
        return world.script is not None

    def _run_script(self, machine: Machine, node: Node) -> bool:
        world = self._world
        if "append_result" not in node.tags:
            world.results = []
        return self._ran()

    def _ran(self) -> bool:
        world = self._world
        if world.script is None:
            raise _TestFailed("no script was compiled")
        inner = Machine(world.situation, world.limits)
        result = inner.run(world.script)
        world.errors = [str(result.error)] if result.error is not None else []
        world.results.append(result)
        return result.error is None

    def _multiscript(self, machine: Machine, node: Node) -> bool:
        self._world.results = []
        for name in machine.texts(node.arguments[0]):
            if not self._compiled(name) or not self._ran():
                return False
            if not any(isinstance(action, Keep) for action in self._world.results[-1].actions):
                break
        return True

    def _error(self, machine: Machine, node: Node) -> bool:
        return self._chosen(machine, node, [(each,) for each in self._world.errors])

    def _chosen(self, machine: Machine, node: Node, values: list[tuple[str, ...]]) -> bool:
        index = machine.number(node, "index")
        if index is not None:
            values = values[index - 1 : index]
        keys = machine.texts(node.arguments[0])
        return machine.matches(
            node.match, [word for each in values for word in each], keys, count=len(values)
        )

    # --- results

    def _result(self, machine: Machine) -> list[tuple[Result, list[Action]]]:
        world = self._world
        if world.results:
            return [(result, result.actions) for result in world.results]
        actions = list(machine.result.actions)
        if machine.keeps and not machine.result.having(Keep):
            actions.append(Keep(flags=machine.flags, is_implicit=True, edits=tuple(machine.fields.edits)))
        return [(machine.result, actions)]

    def _action(self, machine: Machine, node: Node) -> bool:
        actions = [action for _, some in self._result(machine) for action in some]
        return self._chosen(machine, node, [_WORDS[type(action)] for action in actions])

    def _reset(self, machine: Machine, node: Node) -> None:
        self._world.results = []
        self._world.sent = []
        machine.result, machine.keeps, machine.flags, machine.has_answered = Result(), True, (), False

    def _execute(self, machine: Machine, node: Node) -> bool:
        for result, actions in self._result(machine):
            for action in actions:
                self._carry_out(action)
            self._world.remembered |= {each.key for each in result.seen}
        return True

    def _carry_out(self, action: Action) -> None:
        world, situation = self._world, self._world.situation
        stamp = Stamp(f"letter-{len(world.sent)}@example.org", situation.now_us)
        header = situation.message.header
        if isinstance(action, Keep):
            world.mailboxes["INBOX"].append(self._octets(action.edits))
        elif isinstance(action, FileInto):
            world.mailboxes.setdefault(action.mailbox, []).append(self._octets(action.edits))
        elif isinstance(action, Redirect):
            sender = situation.reverse_path and situation.recipient
            if world.settings.get("sieve_redirect_envelope_from") in (None, "", "sender"):
                sender = situation.reverse_path
            world.sent.append(_Sent(self._octets(action.edits), sender, (action.address,)))
        elif isinstance(action, Vacation):
            if action.key not in world.remembered or not action.seconds:
                world.remembered.add(action.key)
                world.sent.append(_Sent(vacation_letter(action, stamp), "", (action.to,)))
        elif isinstance(action, Notify):
            owner = situation.recipient
            world.sent.append(_Sent(notice_letter(action, stamp, owner, header), owner, action.to))
        elif isinstance(action, Reject) and situation.reverse_path:
            octets = refusal_letter(
                action.reason, stamp, to=situation.reverse_path, recipient=situation.recipient, about=header
            )
            world.sent.append(_Sent(octets, "", (situation.reverse_path,)))

    def _octets(self, edits: tuple[HeaderEdit, ...]) -> bytes:
        message = self._world.situation.message
        octets = message.read(0, message.size)
        if not edits:
            return octets
        header: HeaderSection = message.header
        return edited(header, edits) + octets[header.end :]

    def _message(self, machine: Machine, node: Node) -> bool:
        number = node.arguments[0]
        assert isinstance(number, int)
        world, folder = self._world, machine.tag(node, "folder")
        if folder is not None:
            found = world.mailboxes.get(folder, [])
            if number >= len(found):
                return self._missing(node)
            self._replace(machine, _addressed(world.situation, MailView.of(found[number])))
            return True
        if number >= len(world.sent):
            return self._missing(node)
        sent = world.sent[number]
        changed = replace(
            world.situation,
            message=MailView.of(sent.octets),
            reverse_path=sent.sender,
            recipient=sent.recipients[0],
        )
        self._replace(machine, replace(changed, original_recipient=sent.recipients[0]))
        return True

    def _missing(self, node: Node) -> bool:
        if node.spec.is_test:
            return False
        raise _TestFailed(f"line {node.line}: there is no such message")

    def _create(self, machine: Machine, node: Node) -> None:
        self._world.mailboxes.setdefault(machine.text(node.arguments[0]), [])

    def _delete(self, machine: Machine, node: Node) -> None:
        self._world.mailboxes.pop(machine.text(node.arguments[0]), None)

    def _specs(self) -> list[Spec]:
        need = "vnd.dovecot.testsuite"

        def command(
            name: str,
            run: Callable[[Machine, Node], bool | None],
            *arguments: ArgumentKind,
            optional: int = 0,
        ) -> Spec:
            return Spec(name=name, capability=need, arguments=arguments, optional=optional, run=run)

        return [
            Spec(name="test", capability=need, arguments=("string",), has_block=True, run=self._test),
            command("test_fail", self._fail, "string"),
            command("test_set", self._set, "string", "string"),
            command("test_config_set", self._config, "string", "string"),
            command("test_config_unset", self._config, "string"),
            Spec(name="test_config_reload", capability=need, tags=(EXTENSION,), run=self._nothing),
            command("test_result_reset", self._reset),
            command("test_result_print", self._nothing),
            command("test_message_print", self._nothing),
            command("test_mailbox_create", self._create, "string"),
            command("test_mailbox_delete", self._delete, "string"),
            command("test_binary_load", self._nothing, "string"),
            command("test_binary_save", self._nothing, "string"),
            command("test_imap_metadata_set", self._nothing, "string", "string"),
            Spec(name="test_message", capability=need, arguments=("number",), tags=WHERE, run=self._message),
            *self._tests(need),
        ]

    def _tests(self, need: str) -> list[Spec]:
        def test(
            name: str,
            run: Callable[[Machine, Node], bool | None],
            *arguments: str,
            tags: tuple[Tag, ...] = (),
        ) -> Spec:
            return Spec(
                name=name,
                is_test=True,
                capability=need,
                arguments=arguments,  # type: ignore[arg-type]  # each is one of the literals
                tags=tags,
                run=run,
            )

        index = (*MATCH_TAGS, INDEX_TAGS[0]._replace(capability=""))
        return [
            test("test_message", self._message, "number", tags=WHERE),
            test("test_script_compile", self._compile, "string"),
            test("test_script_run", self._run_script, tags=(Tag("append_result"),)),
            test("test_multiscript", self._multiscript, "strings"),
            test("test_error", self._error, "strings", tags=index),
            test("test_result_action", self._action, "strings", tags=index),
            test("test_result_execute", self._execute),
        ]


def _addressed(situation: Situation, message: MailView) -> Situation:
    """The suites expect an envelope as the message's own fields have it, until they set another."""
    fields = FieldList(message.header)

    def first(names: tuple[str, ...], otherwise: str) -> str:
        for name in names:
            for each in fields.named(name):
                found = read_addresses(each.raw.decode("utf-8", "replace"))
                if found and found[0].domain:
                    return found[0].whole
        return otherwise

    recipient = first(("envelope-to", "to"), "recipient@example.com")
    sender = first(("return-path", "sender", "from"), "sender@example.com")
    return replace(
        situation, message=message, reverse_path=sender, recipient=recipient, original_recipient=recipient
    )


def run_suite(path: Path) -> list[CaseOutcome]:
    """Every test of a file, in order."""
    return SuiteRunner(path).run()


if __name__ == "__main__":
    outcomes = [outcome for name in sys.argv[1:] for outcome in run_suite(Path(name))]
    for outcome in outcomes:
        if outcome.failure is not None:
            print(f"FAIL {outcome.file}: {outcome.name}: {outcome.failure}")
    print(f"{sum(outcome.failure is None for outcome in outcomes)} of {len(outcomes)} pass")
    sys.exit(any(outcome.failure is not None for outcome in outcomes))
