from __future__ import annotations

from compression_engine.conversation import Conversation
from compression_engine.formats.anthropic_messages import parse
from compression_engine.memory import Memory, chain
from compression_engine.policy import Policy
from compression_engine.results import ResultChange
from tests.compression_engine.bodies import call, dump, numbered, result, source_lines

AS_USUAL = Policy()
OTHERWISE = Policy(raw=((0, 5),))
QUESTION = dump({"role": "user", "content": "?"})
MESSAGES = [
    QUESTION,
    dump(call("toolu_1", "Read", file_path="a.py")),
    dump(result("toolu_1", numbered(source_lines(50)))),
    dump({"role": "assistant", "content": [{"type": "text", "text": "Done."}]}),
    QUESTION,
]


def fed(messages: list[bytes]) -> Conversation:
    conversation = Conversation()
    for message, digest in zip(messages, chain(b"", messages), strict=True):
        conversation.rewrite(message, parse, digest)
    return conversation


def test_a_hash_stands_for_all_messages_before_it() -> None:
    assert chain(b"", MESSAGES)[:3] == chain(b"", MESSAGES[:3])
    assert chain(b"x", MESSAGES)[4] != chain(b"", MESSAGES)[4]
    assert chain(b"", [QUESTION, *MESSAGES])[5] != chain(b"", MESSAGES)[4]


def test_the_next_turn_finds_the_conversation() -> None:
    memory = Memory(10**9)
    conversation = fed(MESSAGES[:3])
    memory.put(conversation)
    assert memory.take(AS_USUAL, chain(b"", MESSAGES)) is conversation
    assert memory.take(AS_USUAL, chain(b"", MESSAGES)) is None, "it is being worked on"
    memory.put(conversation)
    assert memory.take(AS_USUAL, chain(b"", [MESSAGES[3]])) is None


def test_a_retry_of_an_earlier_turn_finds_it_too_and_harms_nothing() -> None:
    memory = Memory(10**9)
    conversation = fed(MESSAGES)
    memory.put(conversation)
    assert memory.take(AS_USUAL, chain(b"", MESSAGES[:2])) is conversation
    memory.put(conversation)
    assert memory.take(AS_USUAL, chain(b"", [*MESSAGES, QUESTION])) is conversation
    assert len(conversation.turns) == 5


def test_a_side_question_is_forgotten() -> None:
    memory = Memory(10**9)
    conversation = fed([*MESSAGES[:3], QUESTION])
    memory.put(conversation)
    assert memory.take(AS_USUAL, chain(b"", MESSAGES)) is conversation
    assert len(conversation.turns) == 3


def test_a_fork_behind_something_learned_starts_anew() -> None:
    memory = Memory(10**9)
    conversation = fed(MESSAGES)
    memory.put(conversation)
    assert memory.take(AS_USUAL, chain(b"", [*MESSAGES[:2], QUESTION])) is None
    assert memory.take(AS_USUAL, chain(b"", MESSAGES)) is conversation


def test_the_least_recently_used_is_given_up() -> None:
    others = [dump({"role": "user", "content": f"{n}"}) for n in range(3)]
    conversations = [fed([other, *MESSAGES[1:]]) for other in others]
    memory = Memory(2 * conversations[0].size)
    for conversation in conversations[:2]:
        memory.put(conversation)
    chains = [chain(b"", [other, *MESSAGES[1:]]) for other in others]
    assert memory.take(AS_USUAL, chains[0]) is conversations[0]
    memory.put(conversations[0])
    memory.put(conversations[2])
    assert memory.take(AS_USUAL, chains[1]) is None
    assert memory.take(AS_USUAL, chains[0]) is conversations[0]
    assert memory.take(AS_USUAL, chains[2]) is conversations[2]
    assert memory.size == 0


def test_of_a_rewrite_only_what_is_sent_and_its_figures_are_kept() -> None:
    (turn,) = [turn for turn in fed(MESSAGES).turns if turn.tokens]
    assert [type(change) for change in turn.changes] == [ResultChange]


def test_what_alone_exceeds_the_limit_is_not_kept() -> None:
    memory = Memory(10)
    memory.put(fed(MESSAGES))
    assert memory.size == 0


def test_what_was_written_in_another_way_is_another_conversation() -> None:
    memory = Memory(10**9)
    memory.put(fed(MESSAGES))
    assert memory.take(OTHERWISE, chain(b"", MESSAGES)) is None
    assert memory.take(AS_USUAL, chain(b"", MESSAGES)) is not None


def test_a_conversation_that_goes_on_in_another_way_is_given_up() -> None:
    memory = Memory(10**9)
    memory.put(fed(MESSAGES))
    digests = chain(b"", MESSAGES)
    memory.forget(b"nobody")
    assert memory.known(AS_USUAL, digests[:3]) == 3
    memory.forget(digests[2])
    assert memory.known(AS_USUAL, digests) == 0
    assert memory.size == 0


def test_another_policy_that_says_the_same_of_the_messages_goes_on_with_it() -> None:
    memory = Memory(10**9)
    conversation = fed(MESSAGES)
    memory.put(conversation)
    digests = chain(b"", [*MESSAGES, QUESTION])
    later = Policy(raw=((5, 9),))
    assert memory.known(later, digests) == 5
    assert memory.known(later, digests, may_refer=False) == 0
    assert memory.take(later, digests) is conversation
    assert conversation.policy == later


def test_of_a_conversation_that_holds_more_the_policy_stays() -> None:
    memory = Memory(10**9)
    conversation = fed(MESSAGES)
    memory.put(conversation)
    assert memory.take(Policy(raw=((3, 5),)), chain(b"", MESSAGES[:3])) is conversation
    assert conversation.policy == AS_USUAL
