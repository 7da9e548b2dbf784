"""Making, renaming and deleting mailboxes, inside a transaction."""

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite import mailbox_reads, mailbox_writes
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.ports.changes import AccountChanged
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.mailstore import (
    HIERARCHY_SEPARATOR,
    MailboxExists,
    MailboxInfo,
    MailboxRefused,
    SpecialUse,
)


class MailboxTree:
    def __init__(self, clock: Clock, dice: Dice, mailboxes_per_account: int) -> None:
        self._clock, self._dice, self.most = clock, dice, mailboxes_per_account

    def create(
        self, tx: WriteTransaction, account_id: int, name: str, special_use: SpecialUse | None
    ) -> MailboxInfo:
        name = rules.new_name(name)
        names = self._names(tx, account_id)
        if name in names:
            raise MailboxExists(name)
        missing = [n for n in (*rules.superiors(name), name) if n not in names]
        self._check_count(len(names) + len(missing))
        for made in missing:
            self.add(tx, account_id, made, special_use if made == name else None)
        tx.changed(AccountChanged(account_id))
        return mailbox_reads.info(mailbox_reads.row_by_name(tx, account_id, name))

    def _names(self, tx: WriteTransaction, account_id: int) -> set[str]:
        """Raises StoreUnavailable when the account is gone: every account has an INBOX."""
        names = {
            name for (name,) in tx.execute("SELECT name FROM mailbox WHERE account_id = ?", (account_id,))
        }
        if not names:
            raise StoreUnavailable(f"account {account_id} is gone")
        return names

    def _check_count(self, count: int) -> None:
        if count > self.most:
            raise MailboxRefused(f"An account may have {self.most} mailboxes at most.")

    def add(self, tx: WriteTransaction, account_id: int, name: str, special_use: SpecialUse | None) -> int:
        """A new empty mailbox's id."""
        id_ = self._dice.new_id()
        tx.execute(
            "INSERT INTO mailbox (id, account_id, name, uidvalidity, uidnext, tail_uid, "
            "highestmodseq, messages, unseen, deleted, size_octets, first_recent_uid, "
            "keywords, special_use, mailbox_id) VALUES (?, ?, ?, ?, 1, 1, 1, 0, 0, 0, 0, "
            "1, '', ?, ?)",
            (
                id_,
                account_id,
                name,
                self._new_uidvalidity(tx, account_id),
                special_use,
                "F" + rules.object_id(self._clock, self._dice),
            ),
        )
        return id_

    def _new_uidvalidity(self, tx: WriteTransaction, account_id: int) -> int:
        ((last,),) = tx.execute("SELECT last_uidvalidity FROM account WHERE id = ?", (account_id,))
        new = rules.next_uidvalidity(last, self._clock.now_us())
        tx.execute("UPDATE account SET last_uidvalidity = ? WHERE id = ?", (new, account_id))
        return new

    def rename(self, tx: WriteTransaction, account_id: int, old_name: str, new_name: str) -> None:
        old = mailbox_reads.info(mailbox_reads.row_by_name(tx, account_id, old_name))
        new, names = rules.new_name(new_name), self._names(tx, account_id)
        if new in names:
            raise MailboxExists(new)
        below = old.name + HIERARCHY_SEPARATOR
        if old.name != rules.INBOX and new.startswith(below):
            raise MailboxRefused("A mailbox cannot be moved below itself.")
        moving = (
            []
            if old.name == rules.INBOX
            else sorted(n for n in names if n == old.name or n.startswith(below))
        )
        for name in moving:
            rules.new_name(rules.moved_name(name, old.name, new))
        missing = [n for n in rules.superiors(new) if n not in names]
        self._check_count(len(names) + len(missing) + (not moving))
        for made in missing:
            self.add(tx, account_id, made, None)
        if not moving:
            self._empty_inbox(tx, account_id, old, new)
        for name in moving:
            self._rename_one(tx, account_id, name, rules.moved_name(name, old.name, new))
        tx.changed(AccountChanged(account_id))

    def _empty_inbox(self, tx: WriteTransaction, account_id: int, inbox: MailboxInfo, new: str) -> None:
        """RFC 9051 §6.3.6: renaming INBOX moves its messages; it stays, and so does what is below it."""
        goal_id = self.add(tx, account_id, new, None)
        chosen = mailbox_writes.pick(tx, inbox.id, None)
        if chosen:
            mailbox_writes.copy_rows(tx, self._clock.now_us(), inbox.id, chosen, goal_id)
            mailbox_writes.remove(tx, inbox.id, chosen, refund=False)

    def _rename_one(self, tx: WriteTransaction, account_id: int, old: str, new: str) -> None:
        self._remember(tx, account_id, old)
        tx.execute("UPDATE mailbox SET name = ? WHERE account_id = ? AND name = ?", (new, account_id, old))
        # RFC 9051 §2.3.1.1: whoever knew an earlier mailbox of this name must see a greater UIDVALIDITY.
        stale = tx.execute(
            "SELECT 1 FROM mailbox JOIN mailbox_past AS past USING (account_id, name) "
            "WHERE account_id = ? AND name = ? AND past.uidvalidity > mailbox.uidvalidity",
            (account_id, new),
        ).fetchall()
        if stale:
            sql = "UPDATE mailbox SET uidvalidity = ? WHERE account_id = ? AND name = ?"
            tx.execute(sql, (self._new_uidvalidity(tx, account_id), account_id, new))

    def _remember(self, tx: WriteTransaction, account_id: int, name: str) -> None:
        tx.execute(
            "INSERT INTO mailbox_past (account_id, name, uidvalidity) SELECT account_id, name, "
            "uidvalidity FROM mailbox WHERE account_id = "
            "? AND name = ? "
            "ON CONFLICT (account_id, name) DO UPDATE SET uidvalidity = max(mailbox_past.uidvalidity, "
            "excluded.uidvalidity)",
            (account_id, name),
        )

    def delete(self, tx: WriteTransaction, account_id: int, name: str) -> None:
        mailbox = mailbox_reads.info(mailbox_reads.row_by_name(tx, account_id, name))
        if mailbox.name == rules.INBOX:
            raise MailboxRefused("INBOX cannot be deleted.")
        below = mailbox.name + HIERARCHY_SEPARATOR
        if any(other.startswith(below) for other in self._names(tx, account_id)):
            raise MailboxRefused("The mailbox has mailboxes below it: delete those first.")
        self._remember(tx, account_id, mailbox.name)
        remove_mailbox(tx, mailbox)
        tx.changed(AccountChanged(account_id))

    def subscribe(self, tx: WriteTransaction, account_id: int, name: str, subscribed: bool) -> None:
        self._names(tx, account_id)
        values = (account_id, rules.canonical_name(name))
        if subscribed:
            tx.execute(
                "INSERT INTO subscription (account_id, name) VALUES (?, ?) ON CONFLICT DO NOTHING", values
            )
        else:
            tx.execute("DELETE FROM subscription WHERE account_id = ? AND name = ?", values)
        tx.changed(AccountChanged(account_id))


def remove_mailbox(tx: WriteTransaction, mailbox: MailboxInfo) -> None:
    """The mailbox with everything in it; the octets are given back."""
    mailbox_writes.remove_rows(tx, mailbox.id, [uid for uid, *_ in mailbox_writes.pick(tx, mailbox.id, None)])
    sql = "UPDATE account_usage SET used_octets = used_octets - ? WHERE account_id = ?"
    tx.execute(sql, (mailbox.size_octets, mailbox.account_id))
    for table in ("uid_chunk", "tombstone"):
        tx.execute(f"DELETE FROM {table} WHERE mailbox_id = ?", (mailbox.id,))
    tx.execute("DELETE FROM mailbox WHERE id = ?", (mailbox.id,))
