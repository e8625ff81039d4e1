"""Microseconds a call of every function that a message meets, and of a peer's where there is one.

Run as ``python -m bench.micro``. Each figure is the best of five: a shared core only ever adds.
Warm caches and one thing repeated flatter every one of them, so their sum is less than what a
message costs in the daemon; what they are for is to compare two ways of doing one thing.
"""

from __future__ import annotations

import tempfile
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import phonenumbers
import typer
from phonenumbers import is_possible_number, is_valid_number
from smpplib.smpp import make_pdu, parse_pdu

from bench.pipeline import Pipeline, StopWatch, make_intake, make_table
from bench.report import Host, print_host, read_host
from bench.submits import NUMBER_STRIDE, NUMBERS, make_lines, make_text
from smppd.api.answers import AcceptedAnswer, Answer
from smppd.api.conversation import Conversation
from smppd.api.peers import Rights
from smppd.api.protocol import AppProtocol
from smppd.routing.msisdn import NumberPlan
from smppd.simulator.deliveries import DELIVERED, build_receipt
from smppd.smpp.constants import NPI_ISDN, TON_ALPHANUMERIC, TON_INTERNATIONAL
from smppd.smpp.framing import FrameBuffer
from smppd.smpp.pdu import (
    HEADER_OCTETS,
    SubmitSm,
    decode_deliver_sm,
    decode_submit_sm_resp,
    encode_deliver_sm,
    encode_deliver_sm_resp,
    encode_submit_sm,
    encode_submit_sm_resp,
    relative_time,
)
from smppd.smpp.receipt import read_receipt
from smppd.store import said
from smppd.store.events import encode_event
from smppd.store.records import encode_record
from smppd.terminal import print_table
from smppd.text import gsm7, segment
from smppd.text.segment import PLAIN_FORM
from smppd.traffic.compose import build_submit

REPEATS: Final = 5
"""The best of these counts."""

SECONDS_MIN: Final = 0.05
"""Of each repeat: a hundred times what a clock or a scheduler adds."""

BATCH: Final = 100
"""Of what is timed in lists: a full window of the reference run."""

TEXT: Final = f"#00000001 {make_text(1)}"
EXTENDED_TEXT: Final = TEXT[:-6] + "[5 €]~"
MILLISECONDS: Final = 1_795_292_101_000
"""A wall time: 21 November 2026."""


class Case(msgspec.Struct, frozen=True):
    """A call to be timed, which does its thing ``count`` times. ``ours``: not a peer's."""

    name: str
    call: Callable[[], object]
    count: int = 1
    ours: bool = True


class Timing(msgspec.Struct, frozen=True):
    """Microseconds for one thing. For 1,000 of them it is as many milliseconds."""

    name: str
    us: float


class MicroReport(msgspec.Struct, frozen=True):
    """Everything, as ``--json`` prints it."""

    host: Host
    timings: list[Timing]


def measure(case: Case, seconds_min: float = SECONDS_MIN) -> Timing:
    """The best of REPEATS, each of so many calls that it lasts ``seconds_min``."""
    timer = timeit.Timer(case.call)
    calls = 1
    while (once := timer.timeit(calls)) < seconds_min:
        calls = max(calls * 2, int(calls * seconds_min / max(once, 1e-9)))
    best = min(once, *timer.repeat(REPEATS - 1, calls))
    return Timing(case.name, round(best / calls / case.count * 1e6, 3))


def make_cases() -> Iterator[Case]:
    """Everything but the store, in the order in which a message meets it."""
    yield from _intake_cases()
    yield from _text_cases()
    yield from _submit_cases()
    yield from _receipt_cases()


def _intake_cases() -> Iterator[Case]:
    plan, table = NumberPlan(), make_table()
    intake = make_intake(table)
    conversation = Conversation(intake, Rights(("default",), True))
    lines = make_lines(0, BATCH, make_text(1))
    requests = AppProtocol().receive_data(lines)
    numbers = [f"+4917{index * NUMBER_STRIDE % NUMBERS:08d}" for index in range(BATCH)]
    digits = [number[1:] for number in numbers]
    accepted: list[Answer] = [
        AcceptedAnswer(f"{index:08d}", "0199f3aa" * 2, 1, "gsm7") for index in range(BATCH)
    ]
    yield Case("submit line to request", lambda: AppProtocol().receive_data(lines), BATCH)
    yield Case(
        "request to proposal (all of the below)",
        lambda: conversation.admit(requests, MILLISECONDS, BATCH, BATCH),
        BATCH,
    )
    yield Case("NumberPlan.judge", lambda: [plan.judge(one, None, True) for one in numbers], BATCH)
    yield Case(
        "  phonenumbers' own",
        lambda: [_ask_phonenumbers(one) for one in numbers],
        BATCH,
        ours=False,
    )
    yield Case("segment.plan", lambda: segment.plan(TEXT, "auto"))
    yield Case("route_set_for", lambda: [table.route_set_for(one) for one in digits], BATCH)
    yield Case("accepted lines", lambda: AppProtocol().encode_answers(accepted), BATCH)


def _ask_phonenumbers(number: str) -> bool:
    parsed = phonenumbers.parse(number, None)
    return is_possible_number(parsed) and is_valid_number(parsed)


def _text_cases() -> Iterator[Case]:
    long_text = make_text(3)
    yield Case("gsm7.encode", lambda: gsm7.encode(TEXT))
    yield Case("gsm7.encode, with extension characters", lambda: gsm7.encode(EXTENDED_TEXT))
    yield Case("segment.split, one segment", lambda: segment.split(TEXT, "gsm7", PLAIN_FORM, 0))
    yield Case(
        "segment.split, three segments", lambda: segment.split(long_text, "gsm7", PLAIN_FORM, 7)
    )
    yield Case(
        "segment.split, three of UCS-2", lambda: segment.split("汉" * 180, "ucs2", PLAIN_FORM, 7)
    )


def _make_submit() -> SubmitSm:
    return SubmitSm(
        "4917001234567",
        TEXT.encode(),
        source_addr_ton=TON_ALPHANUMERIC,
        source_addr="ACME",
        dest_addr_ton=TON_INTERNATIONAL,
        dest_addr_npi=NPI_ISDN,
        validity_period=relative_time(86_399),
        registered_delivery=1,
    )


def _submit_cases() -> Iterator[Case]:
    submit = _make_submit()
    fields = msgspec.structs.asdict(submit)
    del fields["tlvs"]
    responses = b"".join(encode_submit_sm_resp(n, 0, f"{n:08X}") for n in range(BATCH))
    response = encode_submit_sm_resp(7, 0, "0000000A")
    body = response[HEADER_OCTETS:]
    yield Case("encode_submit_sm", lambda: encode_submit_sm(submit, 7))
    yield Case(
        "  smpplib's",
        lambda: make_pdu("submit_sm", sequence=0, **fields).generate(),
        ours=False,
    )
    yield Case("framing", lambda: FrameBuffer().receive(responses), BATCH)
    yield Case("decode_submit_sm_resp", lambda: decode_submit_sm_resp(body))
    yield Case("  smpplib's (with its header)", lambda: parse_pdu(response, sequence=0), ours=False)


def _receipt_cases() -> Iterator[Case]:
    plain = build_receipt(_make_submit(), "0000000A", DELIVERED, b"2611212228", with_tlvs=False)
    tlvs = build_receipt(_make_submit(), "0000000A", DELIVERED, b"2611212228", with_tlvs=True)
    octets = encode_deliver_sm(plain, 7)
    body, body_with_tlvs = octets[HEADER_OCTETS:], encode_deliver_sm(tlvs, 7)[HEADER_OCTETS:]
    yield Case("decode_deliver_sm", lambda: decode_deliver_sm(body))
    yield Case("decode_deliver_sm, with TLVs", lambda: decode_deliver_sm(body_with_tlvs))
    yield Case("  smpplib's (with its header)", lambda: parse_pdu(octets, sequence=0), ours=False)
    yield Case("read_receipt", lambda: read_receipt(plain))
    yield Case("read_receipt, with TLVs", lambda: read_receipt(tlvs))
    yield Case("encode_deliver_sm_resp", lambda: encode_deliver_sm_resp(7, 0))


def make_event_cases(pipeline: Pipeline) -> Iterator[Case]:
    """What needs a message that the store has: ``pipeline`` has made a step or more."""
    message = pipeline.accepted_message()
    fact = said.Fact("delivered", err="000")
    yield Case("build_submit", lambda: build_submit(message, 0, MILLISECONDS))
    yield Case("encode_record", lambda: encode_record(message))
    yield Case("encode_event", lambda: encode_event(message, fact, 41, MILLISECONDS, "EUR"))


def measure_all(directory: Path, steps: int, seconds_min: float) -> list[Timing]:
    """Every function by itself, then every stage of ``steps`` batches through the whole."""
    watch = StopWatch()
    pipeline = Pipeline(directory / "store", BATCH, watch)
    try:
        for _ in range(steps):
            pipeline.step()
        cases = [*make_cases(), *make_event_cases(pipeline)]
        timings = [measure(case, seconds_min) for case in cases]
        stages = watch.us_per_message(BATCH)
    finally:
        pipeline.close()
    timings += [Timing(f"stage: {name}", round(us, 3)) for name, us in stages.items()]
    return [*timings, Timing("all stages", round(sum(stages.values()), 3))]


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    steps: Annotated[int, typer.Option(min=2, help=f"Batches of {BATCH} for the stages.")] = 300,
    seconds: Annotated[float, typer.Option(help="At least this long each repeat.")] = SECONDS_MIN,
    directory: Annotated[
        Path | None, typer.Option(help="The disk to measure on; default: that of temporary files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Time what a message meets, function by function and stage by stage."""
    with tempfile.TemporaryDirectory(prefix="smppd-bench-", dir=directory) as place:
        report = MicroReport(read_host(Path(place)), measure_all(Path(place), steps, seconds))
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    print_host(report.host)
    rows = [[timing.name, f"{timing.us:.3f}"] for timing in report.timings]
    print_table("", ("what", "us a message, or ms for 1,000"), rows)


if __name__ == "__main__":
    app()
