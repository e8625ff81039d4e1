"""send, quote, cancel and tail against a real daemon."""

from __future__ import annotations

import json
import re
import signal

import pytest
import trio
import trio.testing

from smppd import terminal
from smppd.ctl.messages import follow_message
from tests.client.test_connection import connected
from tests.ctl.house import TO, Desk, Said, call
from tests.processes import ask


def send(desk: Desk, *more: str, to: str = TO, text: str = "Hallo") -> Said:
    return desk.call("send", "--to", to, "--from", "ACME", "--text", text, *more)


def quote(desk: Desk, *more: str, text: str = "Hallo") -> Said:
    return desk.call("quote", "--to", TO, "--from", "ACME", "--text", text, *more)


# -- arguments --------------------------------------------------------------------------------


def test_class_that_is_none_is_refused() -> None:
    said = call("send", "--to", "+49", "--text", "x", "--class", "slow")
    assert said.code == terminal.USAGE
    assert "'--class': 'slow' is not one of 'otp', 'transactional', 'promotional'" in said.err


def test_text_of_octets_that_are_no_characters_is_exit_2() -> None:
    said = call("--socket", "s", "send", "--to", "+49", "--text", "gr\udcfc\udcdfe")
    assert said.code == terminal.USAGE
    assert "--text" in said.err


def test_stdin_that_is_no_text_is_exit_2() -> None:
    said = call("--socket", "s", "send", "--to", "+49", "--text", "-", stdin=b"gr\xfc\xdfe")
    assert said.code == terminal.USAGE
    assert "stdin is no text" in said.err


@pytest.mark.parametrize("seq", ["-1", "9223372036854775808", "last"])
def test_seq_that_no_event_can_have_is_exit_2(seq: str) -> None:
    said = call("--socket", "s", "tail", "--after", seq)
    assert said.code == terminal.USAGE
    assert "--after" in said.err


@pytest.mark.parametrize(
    "arguments",
    [(), ("0199f30000000001", "--ref", "o-1"), ("--ref", "o-1", "--tag", "t")],
)
def test_cancel_of_none_or_of_two_things_is_exit_2(arguments: tuple[str, ...]) -> None:
    said = call("--socket", "s", "cancel", *arguments)
    assert said.code == terminal.USAGE
    assert "one of ID, --ref and --tag" in said.err


def test_cancel_of_a_tag_without_a_terminal_wants_yes() -> None:
    said = call("--socket", "s", "cancel", "--tag", "spring")
    assert said.code == terminal.USAGE
    assert "--yes" in said.err


# -- send -------------------------------------------------------------------------------------


def test_send_says_accepted_and_the_id(desk: Desk) -> None:
    said = send(desk, "--ref", "plain-1")
    assert said.code == terminal.OK
    assert re.fullmatch(r"accepted  id [0-9a-f]{16}  ref plain-1  1 segment gsm7\n", said.out)


def test_send_without_a_ref_makes_a_short_one(desk: Desk) -> None:
    refs = {json.loads(send(desk, "--json").out)["ref"] for _ in range(2)}
    assert len(refs) == 2
    assert all(re.fullmatch(r"ctl-[a-z2-7]{10}", ref) for ref in refs)


def test_send_with_json_prints_the_answer(desk: Desk) -> None:
    said = send(desk, "--json", "--ref", "json-1")
    answer = json.loads(said.out)
    assert said.code == terminal.OK
    assert (answer["type"], answer["ref"]) == ("accepted", "json-1")


def test_send_and_wait_shows_every_event_until_delivered(desk: Desk) -> None:
    said = send(desk, "--wait", "--json")
    kinds = [json.loads(line).get("event") for line in said.out.splitlines()]
    assert said.code == terminal.OK
    assert kinds == [None, "sent", "delivered"]


def test_send_without_receipt_ends_waiting_at_sent(desk: Desk) -> None:
    said = send(desk, "--wait", "--json", "--no-receipt")
    assert said.code == terminal.OK
    assert [json.loads(line).get("event") for line in said.out.splitlines()] == [None, "sent"]


def test_send_of_a_known_ref_finds_its_end_again(desk: Desk) -> None:
    send(desk, "--wait", "--ref", "again-1")
    said = send(desk, "--wait", "--ref", "again-1")
    assert said.code == terminal.OK
    assert "accepted before" in said.out
    assert "delivered" in said.err


def test_send_of_a_known_ref_without_receipt_finds_its_end_again(desk: Desk) -> None:
    send(desk, "--wait", "--no-receipt", "--ref", "again-2")
    said = send(desk, "--wait", "--no-receipt", "--ref", "again-2")
    assert said.code == terminal.OK
    assert "sent; its events were told before" in said.err


async def test_last_event_that_comes_while_the_state_is_asked_for_is_shown(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []
    delivered = {"type": "event", "seq": 2, "event": "delivered", "id": "a", "ref": "r", "at": 1}
    async with connected() as (connection, peer), trio.open_nursery() as nursery:

        async def follow() -> None:
            codes.append(await follow_message(connection, "a", as_json=True))

        nursery.start_soon(follow)
        assert [line["type"] for line in await peer.receive(1)] == ["query"]
        await peer.say({"type": "message", "id": "a", "state": "delivered", "final": True})
        await trio.testing.wait_all_tasks_blocked()
        await peer.say(delivered)
    assert codes == [terminal.OK]
    said = capsys.readouterr()
    assert (json.loads(said.out)["event"], said.err) == ("delivered", "")


def test_rejected_send_is_exit_1_and_says_why_and_what_to_do(desk: Desk) -> None:
    said = send(desk, to="12345")
    assert (said.code, said.out) == (terminal.FAILED, "")
    assert "rejected: invalid_destination" in said.err
    assert "  do:  write it as +CC" in said.err


def test_text_may_come_from_stdin(desk: Desk) -> None:
    arguments = ("--to", TO, "--from", "A", "--text", "-", "--json")
    said = desk.call("send", *arguments, stdin="你好\n")
    assert json.loads(said.out)["encoding"] == "ucs2"


def test_options_of_a_message_reach_the_daemon(desk: Desk) -> None:
    options = "--class otp --encoding ucs2 --tag t --carrier beta --carrier alpha --flash"
    bounds = "--max-cost 0.5 --send-at 2h --valid-for 10m --ref options-1"
    assert send(desk, *options.split(), *bounds.split()).code == terminal.OK
    found = ask(desk.site.socket, {"type": "query", "ref": "options-1"})
    assert (found["class"], found["encoding"], found["tag"]) == ("otp", "ucs2", "t")
    assert (found["carriers"], found["max_cost"], found["flash"]) == (
        ["beta", "alpha"],
        "0.5",
        True,
    )
    assert found["expires_at"] == int(str(found["send_at"])) + 600_000


def test_latin1_is_an_encoding(desk: Desk) -> None:
    assert "1 segment latin1" in send(desk, "--encoding", "latin1").out


def test_smart_send_says_what_was_replaced_and_what_it_saved(desk: Desk) -> None:
    text = "It’s\xa0here…" + "x" * 100
    said = send(desk, "--smart", text=text)
    assert said.code == terminal.OK
    first, second = said.out.splitlines()
    assert first.endswith("1 segment gsm7")
    expected = "1 U+2019 by ', 1 U+00A0 by a space, 1 U+2026 by ..."
    assert second == f"smart     replaced {expected}; saved 1 segment"


def test_send_without_smart_replaces_nothing(desk: Desk) -> None:
    assert send(desk, text="It’s").out.endswith("1 segment ucs2\n")
    assert send(desk, "--no-smart", text="It’s").out.endswith("1 segment ucs2\n")


# -- quote ------------------------------------------------------------------------------------


def test_smart_quote_says_what_would_be_replaced(desk: Desk) -> None:
    said = quote(desk, "--smart", text="It’s")
    assert said.out.splitlines()[1] == "smart     replaced 1 U+2019 by '; saved 0 segments"


def test_quote_says_segments_carrier_and_cost(desk: Desk) -> None:
    said = quote(desk)
    assert (said.code, said.out) == (terminal.OK, "1 segment  gsm7  by alpha  0.0100 USD\n")


def test_quote_with_json_is_the_daemons_answer(desk: Desk) -> None:
    answer = json.loads(quote(desk, "--carrier", "beta", "--json").out)
    assert (answer["type"], answer["carrier"], answer["cost"]) == ("quoted", "beta", "0.0200")


def test_quote_of_what_would_be_rejected_is_exit_1_with_what_to_do(desk: Desk) -> None:
    said = quote(desk, "--max-cost", "0.001")
    assert said.code == terminal.FAILED
    assert "would be rejected: cost_over_max" in said.err
    assert "  do:  " in said.err


# -- cancel -----------------------------------------------------------------------------------


def test_cancel_by_id_and_by_ref_is_once_and_final(desk: Desk) -> None:
    by_id = desk.send("cancel-1", "--send-at", "1h")
    desk.send("cancel-2", "--send-at", "1h")
    assert desk.call("cancel", by_id) == (terminal.OK, "1 message cancelled\n", "")
    assert desk.call_json("cancel", "--ref", "cancel-2") == {
        "type": "cancelled",
        "count": 1,
        "too_late": 0,
        "ref": "cancel-2",
    }
    again = desk.call("cancel", by_id)
    assert again.code == terminal.FAILED
    assert "ended already" in again.out


def test_cancel_of_what_there_is_not_is_exit_4(desk: Desk) -> None:
    assert desk.call("cancel", "--ref", "never-was").code == terminal.NOT_FOUND
    assert desk.call("cancel", "--tag", "never-was", "--yes").code == terminal.NOT_FOUND


def test_cancel_of_a_tag_counts_its_messages(desk: Desk) -> None:
    for number in range(3):
        desk.send(f"tagged-{number}", "--tag", "batch", "--send-at", "1h")
    said = desk.call("cancel", "--tag", "batch", "--yes")
    assert (said.code, said.out) == (terminal.OK, "3 messages cancelled\n")


# -- tail -------------------------------------------------------------------------------------


def test_tail_shows_kept_events_and_then_those_that_come(desk: Desk) -> None:
    follower = desk.site.start_smppctl(
        "tail", "--json", "--after", "0", "--kind", "delivered", log="tail.log"
    )
    message_id = desk.send("tail-kept", "--wait")
    follower.wait_for_output(message_id)
    kinds = {json.loads(line)["event"] for line in follower.output().splitlines()}
    follower.kill()
    assert kinds == {"delivered"}


def test_tail_without_after_begins_with_what_comes(desk: Desk) -> None:
    desk.send("tail-old", "--wait")
    before = int(str(desk.site.status()["subscriptions"]))
    follower = desk.site.start_smppctl("tail", log="tail-new.log")
    follower.wait_until(
        lambda: int(str(desk.site.status()["subscriptions"])) > before, "subscribed", 20
    )
    desk.send("tail-new", "--wait")
    follower.wait_for_output("tail-new")
    follower.kill()
    assert "tail-old" not in follower.output()


def test_taken_events_do_not_come_again(desk: Desk) -> None:
    desk.send("take-1", "--wait")
    first = desk.site.start_smppctl("tail", "--take", log="take-1.log")
    first.wait_for_output("take-1")
    first.kill()
    desk.send("take-2", "--wait")
    second = desk.site.start_smppctl("tail", "--take", log="take-2.log")
    second.wait_for_output("take-2")
    second.kill()
    assert "take-1" not in second.output()


def test_tail_ends_on_ctrl_c_without_a_traceback(desk: Desk) -> None:
    desk.send("tail-c", "--wait")
    follower = desk.site.start_smppctl("tail", "--after", "0", log="tail-c.log")
    follower.wait_for_output("sent")
    follower.send_signal(signal.SIGINT)
    assert follower.wait() == -signal.SIGINT
    assert "Traceback" not in follower.output()


def test_tail_of_an_unknown_kind_is_exit_2_with_the_kinds(desk: Desk) -> None:
    said = desk.call("tail", "--kind", "dilivered")
    assert said.code == terminal.USAGE
    assert "delivered" in said.err


def test_app_that_is_not_configured_is_exit_2(desk: Desk) -> None:
    said = desk.call("--app", "nobody", "send", "--to", "+49151", "--text", "x")
    assert said.code == terminal.USAGE
    assert "--app" in said.err
