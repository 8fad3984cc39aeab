"""A question has one answer, in every ledger: of two that come at once one wins, and the other learns who did."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import chain
from registry.ledger import Ledger
from tests.contract.ledger_burglar import opened_with
from tests.contract.ledger_world import KEY, note
from validation.errors import RefusedError, RegistryError


def test_an_answer_is_a_verdict_that_is_found_by_its_question(ledger: Ledger) -> None:
    asked = ledger.record(note(subject="7", outcome="asked"), actor="gate")
    other = ledger.record(note(subject="8", outcome="asked"), actor="gate")

    answer = ledger.answer(asked.seq, note(subject="7", outcome="approved"), actor="ann")

    assert ledger.verdicts()[-1] == answer
    assert (answer.seq, answer.outcome, answer.actor) == (3, "approved", "ann")
    assert ledger.answer_to(asked.seq) == answer
    assert ledger.answer_to(other.seq) is None
    assert ledger.answer_to(99) is None
    assert ledger.answers() == {1: 3}


def test_a_second_answer_is_refused_and_learns_who_answered_what(ledger: Ledger) -> None:
    ledger.record(note(subject="7", outcome="asked"), actor="gate")
    first = ledger.answer(1, note(subject="7", outcome="approved"), actor="ann")

    with pytest.raises(
        RefusedError,
        match=r"question 1 about flights 7 has its answer: approved, by ann at .* UTC, because all is well; see it: "
        r"andon show flights --verdict 2",
    ):
        ledger.answer(1, note(subject="7", outcome="rejected"), actor="bob")

    assert ledger.verdicts()[1:] == (first,)
    assert ledger.answer_to(1) == first


def test_what_was_never_asked_has_no_answer(ledger: Ledger) -> None:
    with pytest.raises(RegistryError, match=r"the ledger knows no verdict no\. 1"):
        ledger.answer(1, note(), actor="ann")
    assert (ledger.verdicts(), ledger.answers()) == ((), {})


def test_of_answers_that_come_at_once_exactly_one_wins_and_the_others_learn_which(ledger: Ledger) -> None:
    rounds, people = 5, ("ann", "bob", "cid", "dot")
    ledgers = [ledger if not hasattr(ledger, "_engine") else opened_with(ledger, KEY) for _ in people]
    start = threading.Barrier(len(people))

    def answer(place: int, question: int) -> str:
        start.wait()
        try:
            return (
                ledgers[place].answer(question, note(outcome=f"{question} {people[place]}"), actor=people[place]).actor
            )
        except RefusedError as error:
            return str(error)

    with ThreadPoolExecutor(len(people)) as pool:
        for _ in range(rounds):
            question = ledger.record(note(outcome="asked"), actor="gate").seq
            said = list(pool.map(answer, range(len(people)), [question] * len(people)))
            winners = [who for who in said if who in people]
            assert len(winners) == 1
            assert all(f"{question} {winners[0]}, by {winners[0]}" in text for text in said if text not in people)
            found = ledger.answer_to(question)
            assert found is not None
            assert found.actor == winners[0]

    assert len(ledger.verdicts()) == 2 * rounds
    assert chain.verify(ledger.verdicts()) is None
