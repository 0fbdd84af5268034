# SPDX-License-Identifier: LGPL-2.1-or-later
"""The authorization gate behind a minimal service (gate-service.c), with the real polkitd."""
import pytest

from gate import Gate
from testbed import user
from testbed.client import BusError, ROOT, VM
from testbed.wait import wait_until

ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
INTERACTION = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
RATE_LIMITED = "org.guestbus1.Error.RateLimited"

# polkit/queue.h
PLAIN_SLOTS = 32
INTERACTIVE_PER_UID = 8
WAITING_PER_UID = 32

RULE = """polkit.addRule(function(action, subject) {
    var name = action.lookup("name");
    if (action.id.indexOf("org.guestbus1.") !== 0 || !name)
        return polkit.Result.NOT_HANDLED;
    if (name.indexOf("ask") === 0)
        return polkit.Result.AUTH_ADMIN;
    if (name.indexOf("no") === 0)
        return polkit.Result.NO;
    if (action.lookup("uuid") !== "3c1c3a4e-6ffd-4d8b-9f6b-1b2f3e2d5a10" || action.lookup("source") !== "local" ||
        action.lookup("verb") !== "start")
        return polkit.Result.NO;
    return polkit.Result.YES;
});
"""


@pytest.fixture
def gate(world):
    world.polkit.add_rule("10-gate.rules", RULE)
    opened = Gate(world)
    yield opened
    opened.wait_pending(0)
    opened.close()
    world.polkit.remove_rule("10-gate.rules")


@pytest.fixture
def callers(world):
    """callers(name): a new connection of a member of guestbus."""
    opened = []

    def make(name="gbtest-guestbus"):
        opened.append(world.caller(user.guestbus_user(name)))
        return opened[-1]
    yield make
    for caller in opened:
        if caller.process.alive:
            caller.close()


@pytest.fixture
def frozen(world):
    """polkitd stands still until .thaw()."""
    world.polkit.freeze()
    yield world.polkit
    world.polkit.thaw()


def start(caller, name="web1", member="Start", **options):
    return caller.start(member, path=f"{ROOT}/vm/local/{name}", interface=VM, **options)


def error_of(pending):
    with pytest.raises(BusError) as error:
        pending.result()
    return error.value


def refusals(pendings, name):
    return [pending for pending in pendings if pending.done and pending.answer.get("error") == name]


# -- outcomes ---------------------------------------------------------------------------------------

def test_root_is_not_asked_about(world, gate):
    assert start(world.client, "no1").result() == 1


def test_burst_of_a_new_root_connection(world, gate):
    client = world.new_client()
    pendings = [start(client, "no1") for _ in range(100)]
    assert sorted(pending.result() for pending in pendings) == list(range(1, 101))


def test_method_without_entry_is_refused_to_all(world, gate, callers):
    for caller in (world.client, callers()):
        assert error_of(start(caller, member="Frobnicate")).name == ACCESS_DENIED
    assert gate.books()[2] == 0


def test_allowed_and_denied_by_rule(gate, callers):
    caller = callers()
    assert start(caller, "web1").result() == 1
    error = error_of(start(caller, "no1"))
    assert (error.name, "denied by polkit" in error.message) == (ACCESS_DENIED, True)
    # The rule allows only the verb "start".
    assert error_of(start(caller, "web1", "ForceOff")).name == ACCESS_DENIED
    assert start(caller, "web1").result() == 2


def test_an_answer_is_used_once(gate, callers):
    caller = callers()
    for number in (1, 2, 3):
        assert start(caller).result() == number
    # Twice for each call, and no more.
    assert gate.books() == (0, 6, 3)


def test_challenge_without_interaction(gate, callers):
    assert error_of(start(callers(), "ask1")).name == INTERACTION


def test_challenge_without_agent(gate, callers):
    error = error_of(start(callers(), "ask1", interactive=True))
    assert (error.name, "no authentication agent" in error.message) == (INTERACTION, True)


def test_agent_approves(world, gate, callers):
    caller = callers()
    agent = world.agent(caller.pid, answer="yes")
    assert start(caller, "ask1", interactive=True).result() == 1
    (question,) = agent.questions()
    assert question["action"] == "org.guestbus1.vm.start"
    assert "“ask1”" in question["message"]
    agent.close()


@pytest.mark.parametrize("answer, text", [("no", "denied by polkit"), ("cancel", "dismissed")])
def test_agent_refuses(world, gate, callers, answer, text):
    caller = callers()
    agent = world.agent(caller.pid, answer=answer)
    error = error_of(start(caller, "ask1", interactive=True))
    assert (error.name, text in error.message) == (ACCESS_DENIED, True)
    agent.close()


# -- callers that leave, objects that change -------------------------------------------------------

def test_caller_that_leaves_withdraws_its_question(world, gate, callers):
    caller = callers()
    agent = world.agent(caller.pid, delay=600)
    start(caller, "ask1", interactive=True)
    agent.wait("question")
    assert gate.books()[0] == 1
    caller.kill()
    agent.wait("withdrawn")
    gate.wait_pending(0)
    assert gate.books()[2] == 0
    agent.close()


def test_caller_that_leaves_while_polkit_stands_still(gate, callers, frozen):
    caller = callers()
    for _ in range(40):
        start(caller)
    gate.wait_pending(40)
    caller.kill()
    gate.wait_pending(0)
    frozen.thaw()
    # The abandoned checks give their slots back.
    other = callers("gbtest-guestbus2")
    assert [start(other).result() for _ in range(3)] == [1, 2, 3]


def test_renamed_while_asking(gate, callers, frozen):
    """web1 is allowed and becomes no1: the answer for web1 is not used."""
    caller = callers()
    pending = start(caller, "web1")
    gate.wait_pending(1)
    gate.set("Rename", "(s)", "x")
    frozen.thaw()
    assert pending.result() == 1
    assert gate.books() == (0, 3, 1)


def test_gone_while_asking(gate, callers, frozen):
    pending = start(callers(), "web1")
    gate.wait_pending(1)
    gate.set("Forget", "(b)", True)
    frozen.thaw()
    assert error_of(pending).name == "org.freedesktop.DBus.Error.UnknownObject"
    gate.wait_pending(0)


# -- polkit's bad days ------------------------------------------------------------------------------

def test_no_polkit(world, gate, callers):
    caller = callers()
    world.polkit.stop()
    try:
        for error in (error_of(start(caller)), error_of(start(caller))):
            assert (error.name, "polkit is not available" in error.message) == (ACCESS_DENIED, True)
        assert start(world.client).result() == 1
    finally:
        world.polkit.start()
    assert start(caller).result() == 2
    log = gate.process.log()
    assert log.count("polkit is not available") == 1 and log.count("polkit is available again") == 1


def test_polkit_killed_while_a_question_is_open(world, gate, callers):
    caller = callers()
    agent = world.agent(caller.pid, delay=600)
    pending = start(caller, "ask1", interactive=True)
    agent.wait("question")
    world.polkit.kill()
    try:
        error = error_of(pending)
        assert (error.name, "polkit is not available" in error.message) == (ACCESS_DENIED, True)
    finally:
        world.polkit.start()
    agent.close()
    assert start(caller).result() == 1


def test_polkit_that_stands_still(world, gate, callers, frozen):
    """The caller gets its refusal, others are answered meanwhile, and all slots come back."""
    caller = callers()
    pendings = [start(caller) for _ in range(PLAIN_SLOTS + 8)]
    gate.wait_pending(len(pendings))
    assert start(world.client).result() == 1
    for pending in pendings:
        error = error_of(pending)
        assert (error.name, "does not answer" in error.message) == (ACCESS_DENIED, True)
    assert gate.books()[2] == 1
    frozen.thaw()
    # The slots are free when polkitd has answered what nobody waits for any more.
    assert start(caller).result() == 2
    again = [start(caller) for _ in range(PLAIN_SLOTS + 8)]
    assert sorted(pending.result() for pending in again) == list(range(3, PLAIN_SLOTS + 11))


# -- limits -----------------------------------------------------------------------------------------

def test_queue_of_one_user_is_limited(gate, callers, frozen):
    caller, second = callers(), callers()
    start(caller, "no1")
    gate.wait_pending(1)
    pendings = [start(connection) for connection in (caller, second) for _ in range(100)]
    taken = PLAIN_SLOTS + WAITING_PER_UID - 1
    wait_until(lambda: len(refusals(pendings, RATE_LIMITED)) == 200 - taken,
               what=lambda: f"{200 - taken} refusals, are {len(refusals(pendings, RATE_LIMITED))}")
    # Another user has a place.
    other = start(callers("gbtest-guestbus2"))
    gate.wait_pending(taken + 2)
    frozen.thaw()
    position = other.result()
    wait_until(lambda: all(pending.done for pending in pendings), what="all answers")
    assert gate.books()[2] == taken + 1
    # It took the first slot that came free or the second, before the rest of the crowd.
    assert position <= PLAIN_SLOTS + 2


def test_open_questions_of_one_user(world, gate, callers):
    caller = callers()
    agent = world.agent(caller.pid, delay=600)
    pendings = [start(caller, "ask1", interactive=True) for _ in range(INTERACTIVE_PER_UID + 4)]
    agent.wait("question", INTERACTIVE_PER_UID)
    gate.wait_pending(len(pendings))
    # What needs no question does not wait behind them, though the caller is ready to be asked.
    assert start(caller, "web1", interactive=True).result() == 1
    assert start(caller, "web1").result() == 2
    assert error_of(start(caller, "ask2")).name == INTERACTION
    assert len(agent.questions()) == INTERACTIVE_PER_UID
    # The queue for questions has an end, too.
    more = [start(caller, "ask1", interactive=True) for _ in range(60)]
    wait_until(lambda: len(refusals(more, RATE_LIMITED)) == 60 - (WAITING_PER_UID - 4), what="refusals")
    caller.kill()
    gate.wait_pending(0)
    agent.wait("withdrawn", INTERACTIVE_PER_UID)
    agent.close()


def test_a_third_is_served(world, gate, callers):
    """200 calls by one user, 8 open questions of another, and a third."""
    asked = callers("gbtest-guestbus2")
    agent = world.agent(asked.pid, delay=600)
    for _ in range(INTERACTIVE_PER_UID):
        start(asked, "ask1", interactive=True)
    agent.wait("question", INTERACTIVE_PER_UID)
    crowd = [callers(), callers()]
    pendings = [start(connection) for connection in crowd for _ in range(100)]
    third = callers("gbtest-guestbus3")
    assert [start(third).result() > 0 for _ in range(5)] == [True] * 5
    wait_until(lambda: all(pending.done for pending in pendings), what="all answers")
    failures = {pending.answer["error"] for pending in pendings if "error" in pending.answer}
    assert failures <= {RATE_LIMITED}
    assert len(agent.questions()) == INTERACTIVE_PER_UID
    asked.kill()
    agent.wait("withdrawn", INTERACTIVE_PER_UID)
    agent.close()
