"""The lesson, carried out: the guide says what, this does it, one directive at a time.

In: moments of the run. Out: lesson events, and actions handed to the actor. It waits for probes with a deadline and
never blocks: `advance` does what can be done now and returns.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile

from socklab import guide, probes
from socklab.commands import actions
from socklab.engine.actor import Acting
from socklab.engine.stream import Stream
from socklab.lesson import Lesson, Value, shown
from socklab.protocol import events as ev
from socklab.state import LabState


class Script:
    """One lesson's progress. `waiting` is true while directives are left that could not be done yet."""

    def __init__(
        self,
        lesson: Lesson,
        stream: Stream,
        look: Callable[[], LabState],
        act: Callable[[str, str], Acting],
        *,
        unattended: bool,
    ) -> None:
        """`look` reads everything now and folds it; `act` carries out a verb line of an origin."""
        self.lesson = lesson
        self.cursor = guide.begin(lesson)
        self.question: int | None = None
        """Index of the step whose prediction waits for the student."""
        self.offer: tuple[str, ...] = ()
        """Verb lines that wait for the student to do them: step or next lets the lesson do them."""
        self.held = 0
        self.failed = 0
        self.done = False
        self._offer_of = -1
        """Index of the step whose offer that is."""
        self._stream = stream
        self._look = look
        self._act = act
        self._unattended = unattended
        self._left: deque[guide.Directive] = deque()
        self._acting: Acting | None = None
        self._settle_until = 0.0
        self._choices: dict[int, Value | None] = {}
        self._here: guide.Moment | None = None
        """The moment of the step reached last, for as long as the program has not gone past it."""
        self._flows_on = False
        """What was offered has been done and nothing is said of it: the next beat follows by itself."""
        self._begins: guide.Moment | None = None
        """The first step's moment where it is the program's first stop: the introduction is read there first."""

    @property
    def waiting(self) -> bool:
        if self.offer or self.question is not None:
            return False
        return bool(self._left or self._acting) or (self._begins_itself and self._next_beat is not None)

    @property
    def settling(self) -> bool:
        return bool(self._left) and isinstance(self._left[0], guide.Settle) and not self.offer

    @property
    def watching(self) -> bool:
        """Something is offered, and the lesson looks whether the student has done it."""
        return bool(self.offer and self._left) and isinstance(self._left[0], guide.Offer)

    @property
    def stays(self) -> bool:
        """The lesson has more to do at this stop: an offer, a question, another beat."""
        return bool(self.offer) or self.question is not None or self._next_beat is not None

    @property
    def only_tells(self) -> bool:
        """What is left to do at this stop needs no student: texts, and checks."""
        return self._acting is None and all(isinstance(d, guide.Reach | guide.Check | guide.Done) for d in self._left)

    @property
    def _begins_itself(self) -> bool:
        return self._unattended or self._flows_on

    @property
    def _next_beat(self) -> guide.Moment | None:
        if self._here is None or self._left or self._acting is not None:
            return None
        if self._begins is not None:
            return self._begins
        return guide.next_beat(self.lesson, self.cursor, self._here)

    def moment(self, moment: guide.Moment) -> bool:
        """Take up what the lesson wants at this moment; true when it is a moment of the lesson."""
        if self._introduces(moment):
            return True
        self.cursor, directives = guide.at_moment(self.lesson, self.cursor, moment)
        ours = self._here is None or self._here.tid == moment.tid
        if self.offer and moment.at != "blocked" and ours:
            self._withdraw()
        self._flows_on = False
        reached = [d for d in directives if isinstance(d, guide.Reach)]
        if reached:
            self._here = moment
        elif ours:
            self._here = None
        acts = any(isinstance(d, guide.Perform) for d in directives)
        self._left.extend(directives)
        if moment.at == "blocked" and acts and not self._unattended:
            while self._left and isinstance(self._left[0], guide.Reach | guide.Check):
                self._do(self._left[0])
                self._left.popleft()
            self._leave_to_the_student(self._undone())
        return bool(reached) or any(isinstance(d, guide.Ask) for d in directives)

    def _introduces(self, moment: guide.Moment) -> bool:
        """Whether somebody is to read what the lesson is about before its first step is reached."""
        if self._begins is not None:
            self._begins = None if moment == self._begins else self._begins
            return False
        told = self._unattended or not self.lesson.intro or not guide.begins_with(self.lesson, self.cursor, moment)
        if told or self._look().stops:
            return False
        self._here = self._begins = moment
        return True

    def _leave_to_the_student(self, lines: tuple[str, ...]) -> None:
        """Offer these lines; none = there is no offer any more."""
        if lines != self.offer:
            self._offer_of = self._offer_of if self.offer else self.cursor.begun
            self.offer = lines
            self._stream.put(ev.Offered(self._stream.now(), self._offer_of, lines))

    def _undone(self) -> tuple[str, ...]:
        """What the lesson has yet to do of itself before anything else than settling."""
        acts = takewhile(lambda each: isinstance(each, guide.Perform | guide.Settle), self._left)
        return tuple(each.line for each in acts if isinstance(each, guide.Perform))

    def student_did(self, line: str = "") -> None:
        """What the student has done of an offer is not offered any more, and the lesson will not do it again."""
        if not self.offer or self.watching:
            return
        state = self._look()
        done = {each for each in self.offer if _is_done(actions.parse(each), line, state)}
        self._left = deque(each for each in self._left if not (isinstance(each, guide.Perform) and each.line in done))
        self._leave_to_the_student(self._undone())

    def _withdraw(self) -> None:
        """The program woke up: nothing is offered any more, and what the student left out the lesson does now."""
        self.student_did()
        self._left = deque(each for each in self._left if not isinstance(each, guide.Offer))
        self._leave_to_the_student(())

    def go_on(self) -> bool:
        """The student steps on: let the lesson do what it offered, or begin its next beat at this stop.

        False when the lesson has nothing more here: the program is to run. Unattended it goes on by itself.
        """
        if self._unattended:
            return False
        if self.offer:
            self._leave_to_the_student(())
            if self._left and isinstance(self._left[0], guide.Offer):
                self._take(self._left[0])
            return True
        following = self._next_beat
        if following is not None and self.question is None:
            self.moment(following)
            return True
        return False

    def _take(self, offer: guide.Offer) -> None:
        """The lesson does what it offered."""
        self._left.popleft()
        self._flow_on()
        self._left.extendleft(reversed([*(guide.Perform(line) for line in offer.lines), *offer.until]))

    def _look_for_offer(self, offer: guide.Offer) -> None:
        """Whether the student has done it."""
        state = self._look()
        if all(_holds(state, each) for each in offer.until):
            self._leave_to_the_student(())
            self._left.popleft()
            self._flow_on()

    def _flow_on(self) -> None:
        self._flows_on = not any(isinstance(each, guide.Reach | guide.Measure) for each in self._left)

    def advance(self) -> None:
        """Do what can be done now."""
        if self.offer and self._left and isinstance(self._left[0], guide.Offer):
            self._look_for_offer(self._left[0])
        while not self.offer and self.question is None:
            if self._acting is not None:
                try:
                    next(self._acting)
                    return
                except StopIteration:
                    self._acting = None
            if not self._left:
                following = self._next_beat if self._begins_itself else None
                if following is None:
                    return
                self.moment(following)
                continue
            directive = self._left[0]
            if isinstance(directive, guide.Settle) and not self._settled(directive):
                return
            if isinstance(directive, guide.Offer):
                if not self._unattended:
                    self._leave_to_the_student(directive.lines)
                    return
                self._take(directive)
                continue
            self._left.popleft()
            self._do(directive)

    def _do(self, directive: guide.Directive) -> None:
        put, now = self._stream.put, self._stream.now
        if isinstance(directive, guide.Reach):
            self._find_unmeasured()
            put(ev.StepReached(now(), directive.index, directive.phase))
        elif isinstance(directive, guide.Perform):
            self._acting = self._act(directive.line, "lesson")
        elif isinstance(directive, guide.Ask):
            self._look()
            self.question = directive.index
            put(ev.Asked(now(), directive.index))
        elif isinstance(directive, guide.Measure):
            self._measure(directive.index, self._choices.get(directive.index))
        elif isinstance(directive, guide.Check):
            self._check(directive)
        elif isinstance(directive, guide.Done):
            self._find_unmeasured()
            self.finish()
            self.done = True
            put(ev.LessonDone(now()))

    def _settled(self, directive: guide.Settle) -> bool:
        state = self._look()
        value, reason = _measured(state, directive.probe)
        if value is not None and directive.holds(value):
            self._settle_until = 0.0
            return True
        if not self._settle_until:
            self._settle_until = time.monotonic() + directive.within_ms / 1000
        if time.monotonic() < self._settle_until:
            return False
        self._settle_until = 0.0
        found = f"is {shown(value)}" if value is not None else f"can't be read ({reason})"
        waited = (
            f"The lesson waited {directive.within_ms} ms for {directive.probe} to be {directive.wanted}; it {found}"
        )
        if any(isinstance(each, guide.Ask) for each in self._left):  # either number may be the answer
            waited = f"What this step wants to show has not come about in {directive.within_ms} ms"
        self._stream.put(
            ev.Notice(
                self._stream.now(),
                "warning",
                f"{waited}.",
                _packet_fix(state) or "Go on with what the kernel says now, or start the lesson over.",
            )
        )
        return True

    def answer(self, choice: Value | None) -> bool:
        """The student's choice for the open question; false when none is open."""
        index, self.question = self.question, None
        if index is None:
            return False
        predict = self.lesson.steps[index].predict
        self._choices[index] = choice
        if predict is not None and predict.when != "now":
            self._stream.put(ev.Answered(self._stream.now(), index, choice))
        else:
            self._measure(index, choice)
        return True

    def _measure(self, index: int, choice: Value | None) -> None:
        predict = self.lesson.steps[index].predict
        if predict is None:
            return
        value, _reason = _measured(self._look(), predict.measure)
        if self._unattended and value is not None and value not in predict.choices:
            self._fault(index, f"the kernel's answer, {shown(value)}, is none of the choices")
        right = None if choice is None else value == choice and type(value) is type(choice)
        self._stream.put(ev.Measured(self._stream.now(), index, value, choice, right))

    def _find_unmeasured(self) -> None:
        """Where nobody has meddled, each probe of a text that was told has a value."""
        state = self._look() if self._unattended else None
        if state is not None and state.step is not None:
            for missing in guide.unmeasured(self.lesson, state):
                self._fault(state.step.index, f"no value for {missing}")

    def _fault(self, index: int, what: str) -> None:
        """The lesson's author has something to mend: the run has failed."""
        self.failed += 1
        self._stream.notice("error", f"Step {index + 1} of lesson.toml: {what}.", "")

    def _check(self, directive: guide.Check) -> None:
        check = self.lesson.checks[directive.index]
        value, reason = (None, directive.reason)
        if not directive.reason:
            value, reason = _measured(self._look(), check.probe)
        holds = value is not None and check.holds(value)
        self.held += holds
        self.failed += not holds
        self._stream.put(
            ev.Checked(self._stream.now(), directive.index, holds, check.probe, check.expected, value, reason)
        )

    def finish(self) -> None:
        """The run is over, or the lesson's last step: the checks that are left."""
        for directive in guide.ending(self.lesson, self.cursor):
            self._check(directive)
        everything = frozenset(range(len(self.lesson.checks)))
        self.cursor = guide.Cursor(self.cursor.next, self.cursor.open, everything, self.cursor.done)


def _packet_fix(state: LabState) -> str:
    """What to do where a packet may be what is missing: the wire keeps some, or is told to."""
    if not state.wire_rules and not state.on_the_way:
        return ""
    return "A packet is missing, or held: `release` lets all of them go. Go on without it, or start the lesson over."


def _is_done(wanted: actions.Action, line: str, state: LabState) -> bool:
    """Whether the student's `line` has done what the lesson wanted, in the student's own words where it is bytes."""
    if isinstance(wanted, actions.Connect) and wanted.names:
        return all(name in state.clients for name in wanted.names)
    did = actions.parse(line) if line else None
    if isinstance(wanted, actions.Send) and isinstance(did, actions.Send):
        return did.name in ("", wanted.name)
    return did == wanted


def _holds(state: LabState, wanted: guide.Settle) -> bool:
    value, _reason = _measured(state, wanted.probe)
    return value is not None and wanted.holds(value)


def _measured(state: LabState, probe: str) -> tuple[Value | None, str]:
    try:
        return probes.measure(state, probe), ""
    except probes.Unmeasured as error:
        return None, str(error)
