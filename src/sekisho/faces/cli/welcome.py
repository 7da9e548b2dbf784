"""What `sekisho try` tells a person: commands that can be pasted to send and read a first message."""

import shlex
from dataclasses import dataclass

from sekisho.faces.cli.handle import TryReady
from sekisho.faces.i18n.catalogue import Catalogue


def welcome(ready: TryReady, say: Catalogue, program: str = "sekisho") -> str:
    """The whole text, ready to print. `program`: how whoever reads it calls this one."""
    config_file = f"{ready.dir}/sekisho.toml"
    why = shlex.join((program, "why", ready.accounts[0].address, "-c", config_file))
    ports, (first, second) = ready.ports, ready.accounts[:2]
    commands = _commands(ready)
    accounts = "\n".join(f"  {account.address}   {account.password}" for account in ready.accounts)
    width = max(map(len, ports))
    listing = "\n".join(f"  {kind.ljust(width)}  127.0.0.1:{port}" for kind, port in ports.items())
    return "\n".join(
        (
            say(
                "The try-out server is running (process {pid}); Ctrl-C stops it. It lives in {dir}.",
                pid=ready.pid,
                dir=ready.dir,
            ),
            "",
            say("Accounts (address, password):"),
            accounts,
            "",
            say("It listens on this machine only:"),
            listing,
            "",
            say("1. Send a message from {first} to {second}:", first=first.address, second=second.address),
            f"  {commands.send}",
            "",
            say("2. Read it over IMAP, or over POP3:"),
            f"  {commands.read}",
            f"  {commands.pop3}",
            "",
            say("3. Send one in from outside, as another mail server would (with curl, or with swaks):"),
            f"  {commands.stranger}",
            f"  {commands.swaks}",
            "",
            say("4. Talk to it by hand:"),
            f"  {commands.look}",
            "",
            say(
                "For a mail program: trust {ca_file}, server 127.0.0.1, user name = address, TLS on connect.",
                ca_file=ready.ca_file,
            ),
            say(
                "Mail to other domains leaves this machine if it can. To start the same server "
                "again: {command}",
                command=shlex.join((program, "serve", "-c", config_file)),
            ),
            say("Ask it, from another terminal: {command}", command=why),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commands:
    send: str
    read: str
    pop3: str
    stranger: str
    swaks: str
    look: str


def _commands(ready: TryReady) -> _Commands:
    """To be pasted into a shell."""
    ports, (first, second) = ready.ports, ready.accounts[:2]
    ca = f"--cacert {shlex.quote(ready.ca_file)}"
    send = (
        f"printf 'From: {first.address}\\r\\nTo: {second.address}\\r\\nSubject: "
        f"Konnichiwa\\r\\n\\r\\nFirst message.\\r\\n' | \\\n"
        f"    curl -sS {ca} --url smtps://127.0.0.1:{ports['submissions']} --user "
        f"'{first.address}:{first.password}' \\\n"
        f"      --mail-from {first.address} --mail-rcpt {second.address} --upload-file -"
    )
    stranger = (
        f"printf 'From: stranger@example.net\\r\\nTo: {first.address}\\r\\nSubject: Hello\\r\\n\\r\\nFrom "
        f"outside.\\r\\n' | \\\n"
        f"    curl -sS --ssl-reqd {ca} --url smtp://127.0.0.1:{ports['smtp']}/client.example.net \\\n"
        f"      --mail-from stranger@example.net --mail-rcpt {first.address} --upload-file -"
    )
    swaks = f"swaks --server 127.0.0.1:{ports['smtp']} --tls --from stranger@example.net --to {first.address}"
    read = (
        f"curl -sS {ca} --user '{second.address}:{second.password}' "
        f"'imaps://127.0.0.1:{ports['imaps']}/INBOX;MAILINDEX=1'"
    )
    pop3 = f"curl -sS {ca} --user '{second.address}:{second.password}' pop3s://127.0.0.1:{ports['pop3s']}/1"
    look = f"openssl s_client -quiet -CAfile {shlex.quote(ready.ca_file)} -connect 127.0.0.1:{ports['imaps']}"
    return _Commands(send=send, read=read, pop3=pop3, stranger=stranger, swaks=swaks, look=look)
