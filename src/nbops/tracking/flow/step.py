"""One statement while it runs: what it can reach before, and what is different after.

Its needs are the last writers of the names, objects, files and hidden states that it saw. Objects that can't be compared
count as changed by whatever may have used them, and where the search had to stop, all changes so far are needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import CodeType
from typing import TYPE_CHECKING, Any

from nbops.tracking.flow.codes import mentioned
from nbops.tracking.flow.endings import Endings
from nbops.tracking.flow.files import Traffic
from nbops.tracking.flow.ledger import At, Writers
from nbops.tracking.flow.namespace import Before, is_users
from nbops.tracking.flow.patches import Patches
from nbops.tracking.flow.plan import Plan
from nbops.tracking.flow.reach import Reached, Seen, look_again
from nbops.tracking.flow.settings import differ, settings
from nbops.tracking.flow.statements import Span
from nbops.tracking.recording.records import Step
from nbops.tracking.redaction.redact import redact_value

if TYPE_CHECKING:
    from nbops.tracking.flow.tracer import Flow

_LASTING_MAGICS = frozenset(
    {"load_ext", "reload_ext", "config", "alias", "alias_magic", "autoreload", "macro", "matplotlib", "pylab", "gui"}
)
_OPTIONS = frozenset({"set_option", "reset_option", "option_context", "options"})
_SHOWN = re.compile(r"_\d*$|__$|___$|Out$|_oh$")
_NUMBERED = re.compile(r"_\d+$")
_PLAIN = (bool, int, float, str, type(None))
_MOST_CODES = 300
_MOST_FILES = 200
_MOST_ROOTS = 200
_NEW_NODES = 100


class RunningStep:
    """A statement of a cell while it runs."""

    def __init__(self, flow: Flow, at: At, span: Span | None, plan: Plan, code: Any) -> None:
        self.flow = flow
        self.at = at
        self.span = span
        self.plan = plan
        self.broken = False
        self.defined: set[str] = set()
        self.used: set[str] = set()
        self.changed: set[str] = set()
        self._code = code
        self._codes = 0
        self.needs: set[At] = set()
        self._everything = plan.everything
        self.namespace: dict[str, Any] = flow.shell.user_ns
        self.reached = Reached(self.namespace)
        self._asked = 0
        self.traffic = Traffic(flow.files, flow.ledger)
        self._endings = Endings(self)

    def before(self) -> None:
        """Look at all that the statement may read."""
        plan, flow = self.plan, self.flow
        if plan.ours:
            flow.settings, flow.looked = None, False
            return
        if plan.plain:
            self._read(plan.reads)
            return
        if not flow.looked:
            flow.looked = True
            flow.randomness.look()
        if plan.counts_references:
            flow.ledger.let_go()
        names = plan.reads | plan.shown
        if plan.shown:
            self.needs.update(flow.ledger.writers_of(self.namespace.get("Out")))
        names.update(word for word in plan.words if word in self.namespace)
        if self._everything:
            names.update(name for name in self.namespace if is_users(name) and not _SHOWN.match(name))
        self._read(names)
        if not plan.inert:
            for value in flow.extra_roots:
                self.reached.add_value(value, "")
            self._ask()
        self._patches = Patches(plan, self.reached, self.namespace)
        self._options = not (plan.attributes | self.reached.attributes).isdisjoint(_OPTIONS)
        # The look after the last statement is this one's before: what changed between cells counts as this one's doing
        kept = flow.settings if not self._options else None
        self._settings = settings(flow.shell, options=self._options) if kept is None else kept
        flow.settings = None
        self._endings.begin()
        if plan.counts_references:
            self.reached.seen.clear()
        self._before = Before(self.namespace, flow.large(), blind=plan.counts_references)

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take what Python reports while the statement runs."""
        if event != "exec":
            self.traffic.on_event(event, arguments)
            return
        code = arguments[0]
        if type(code) is not CodeType or code is self._code:
            return
        self._codes += 1
        if self._codes > _MOST_CODES:
            self._everything = True
            return
        said = mentioned(code)
        if "globals" in said.globals:
            self._everything = True
        self.reached.texts |= said.texts
        self.reached.attributes |= said.attributes
        self.reached.stores = self.reached.stores or said.stores
        known = [name for name in said.globals if name in self.namespace or name in self.flow.ledger.names]
        if known:  # nearly none, where a library makes a class from a text
            self._read(known)
        if self.flow.ledger.files:
            self.traffic.spelled(said.texts)

    def after(self, failed: bool) -> Step:
        """Write down what the statement did."""
        if self.plan.ours:
            return self._step(failed, lasting=False)
        if self.broken:
            return self.given_up(failed)
        ledger = self.flow.ledger
        if self.plan.plain:
            return self._bound(set() if failed else self.plan.binds, failed)
        bound = self._before.bound_since(self.namespace)
        deleted = self._before.deleted_since(self.namespace)
        changed = self._changed_objects() if not self.plan.inert or self._codes else []
        self._endings.finish_files(changed)
        self._endings.finish_random()
        self._endings.finish_things()
        if self._everything or self.reached.everything:
            self.needs |= ledger.everything()
        elif self.reached.exhausted:
            self.needs |= ledger.all_changes()
        self._patches.finish(self.plan, [self.namespace[name] for name in bound if name in self.namespace])
        self.flow.extra_roots = [*self.flow.extra_roots, *self._patches.values][-_MOST_ROOTS:]
        lasting = self._is_lasting()
        return self._written(bound, deleted, changed, failed, lasting=lasting)

    def _bound(self, names: set[str], failed: bool) -> Step:
        """Write down that names were bound, which is all that a plain statement does."""
        if self.reached.everything:
            self.needs |= self.flow.ledger.everything()
        elif self.reached.exhausted:
            self.needs |= self.flow.ledger.all_changes()
        return self._written({name for name in names if is_users(name)}, set(), [], failed, lasting=False)

    def _written(self, bound: set[str], deleted: set[str], changed: list[Seen], failed: bool, *, lasting: bool) -> Step:
        ledger = self.flow.ledger
        ledger.history.append(self.at)
        self._write_names(bound, deleted, failed)
        self._write_objects(changed)
        self._look_at_new(bound)
        self.flow.measure(bound | self.changed)
        ledger.sweep()
        return self._step(failed, lasting=lasting, values=self._plain_values(bound, failed))

    def given_up(self, failed: bool) -> Step:
        """Return the record of a statement that couldn't be traced: it needs all before, and all after need it."""
        self.needs |= set(self.flow.ledger.history)
        self.flow.ledger.history.append(self.at)
        return self._step(failed, lasting=True)

    def release(self) -> None:
        """Let go, without waiting for the garbage collector, of all that was looked at."""
        del self._endings  # it refers back

    def _read(self, names: Iterable[str]) -> None:
        """Take note of names that are read, and of everything that their values lead to."""
        names = list(names)
        ledger = self.flow.ledger
        for name in names:
            self.needs |= ledger.names.get(name, frozenset())
        if "Out" in names or "_oh" in names:
            self._read([name for name in self.namespace if _SHOWN.match(name) and name not in ("Out", "_oh")])
        self.reached.add_names(names)
        self._ask()

    def _ask(self) -> None:
        """Ask the ledger about the objects reached since the last time."""
        ledger, reached = self.flow.ledger, self.reached
        for seen in list(reached.seen.values())[self._asked :]:
            self.needs.update(ledger.changes_of(seen.value, seen.content))
        self._asked = len(reached.seen)
        for value in reached.shared:
            self.needs.update(ledger.writers_of(value))
        for name in reached.names:
            self.needs |= ledger.names.get(name, frozenset())
        for package in reached.packages:
            self.needs |= ledger.things.get(f"package {package}", frozenset())
        self.used.update(name for name in reached.names if is_users(name))

    def _changed_objects(self) -> list[Seen]:
        """Return the objects that the statement changed, or may have."""
        reached, plan = self.reached, self.plan
        changed: list[Seen] = []
        for seen in list(reached.seen.values()):
            if seen.content.uses:
                if not plan.quiet:
                    changed.append(seen)
            elif seen.changed():
                changed.append(seen)
        roots = {seen.root for seen in changed}
        suspects = {chain[0] for chain in plan.stores} - roots
        if reached.exhausted and not plan.quiet:
            suspects |= reached.names - roots
        for name in suspects:
            seen_root = reached.seen.get(id(self.namespace.get(name)))
            if seen_root is not None and seen_root not in changed:
                changed.append(seen_root)
        self.changed = {seen.root for seen in changed} - {""}
        return changed

    def _is_lasting(self) -> bool:
        plan = self.plan
        if plan.future:
            return True
        if plan.imports:
            return False
        shell = "get_ipython" in plan.attributes and not plan.magic
        return shell or plan.magic in _LASTING_MAGICS or self._patches.lasting or self._differ()

    def _differ(self) -> bool:
        now = settings(self.flow.shell, options=self._options)
        self.flow.settings = None if self._options else now
        return differ(self._settings, now)

    def _write_names(self, bound: set[str], deleted: set[str], failed: bool) -> None:
        ledger, plan, mine = self.flow.ledger, self.plan, frozenset((self.at,))
        if any(_NUMBERED.match(name) for name in bound):  # it showed a value: what was shown before moves on
            for name, earlier in (("___", "__"), ("__", "_")):
                ledger.names[name] = ledger.names.get(earlier, frozenset()) | mine
            bound = bound - {"__", "___"}
        sure = bound | deleted | (set() if failed else plan.binds)
        dotted = plan.imports and plan.perhaps
        for name in sure:
            old: Writers = ledger.names.get(name, frozenset())
            ledger.names[name] = old | mine if dotted and name in plan.perhaps else mine
        for name in (plan.perhaps | plan.binds) - sure:
            if name in self.namespace:
                ledger.names[name] = ledger.names.get(name, frozenset()) | mine
        self.defined = {name for name in sure if is_users(name) and not _SHOWN.match(name)}

    def _write_objects(self, changed: list[Seen]) -> None:
        ledger = self.flow.ledger
        different = {id(seen.value) for seen in changed}
        for key, seen in self.reached.seen.items():
            if key in different:
                content = None if seen.content.uses else look_again(seen)
                ledger.keep(seen.value, content, self.at)
            else:
                ledger.keep(seen.value, seen.content, None)

    def _look_at_new(self, bound: set[str]) -> None:
        """Mark what new values hold now, so that a change behind the statements' backs shows later."""
        fresh = Reached(self.namespace, nodes=_NEW_NODES)
        for name in bound:
            if name in self.namespace and not _SHOWN.match(name):
                fresh.add_value(self.namespace[name], name)
        for key, seen in fresh.seen.items():
            if key not in self.reached.seen and not self.flow.ledger.knows(key):
                self.flow.ledger.keep(seen.value, seen.content, None)

    def _plain_values(self, bound: set[str], failed: bool) -> dict[str, bool | int | float | str | None]:
        names = self.plan.values & (bound | (set() if failed else self.plan.binds))
        found: dict[str, bool | int | float | str | None] = {}
        for name in sorted(names):
            value = self.namespace.get(name, _MISSING)
            if type(value) in _PLAIN and not (type(value) is str and len(value) > 200) and not name.startswith("_"):
                found[name] = redact_value(name, value)  # type: ignore[assignment]
        return found

    def _step(self, failed: bool, *, lasting: bool, values: dict[str, Any] | None = None) -> Step:
        self.needs.discard(self.at)
        first, last = (self.span.first, self.span.last) if self.span else (1, 1)
        relative = self.flow.project.relative
        return Step(
            first=first,
            last=last,
            needs=sorted(self.needs),
            lasting=lasting,
            failed=failed,
            reads=[relative(path) for path in list(self.traffic.read)[:_MOST_FILES]],
            writes=[relative(path) for path in list(self.traffic.written)[:_MOST_FILES]],
            names=sorted(self.used),
            values=values or {},
        )


_MISSING = object()
