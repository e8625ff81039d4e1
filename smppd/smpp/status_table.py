"""Every command_status that has a name: what brings it, what to do, and what smppd does by itself.

Numbers and names are those of SMPP 3.4 s5.1.3 and, from 0x100 on, of SMPP 5.0 s4.7.6. A verdict
here is what is right at most carriers; one that means something else by a number is given its own
in its TOML. Statuses above 0x3FF are each carrier's own: ``SEEN`` says what some of them mean by
theirs, and why none of that can be a rule for all.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

VerdictName = Literal["taken", "retry", "slow", "refuse", "other_carrier", "rebind", "pause"]


class Status(msgspec.Struct, frozen=True):
    """One command_status, or a range of them that have no names of their own.

    ``verdict`` is what becomes of a submit_sm that is answered with it. ``is_permanent``: the same
    submit_sm would be answered with it again. ``is_lasting``: a bind that is refused with it is
    not tried again for ``reconnect_refused`` seconds, as only a person can mend it.
    """

    command_status: int
    name: str
    verdict: VerdictName
    is_permanent: bool
    cause: str
    remedy: str
    is_lasting: bool = False


PERMANENT: Final = True
PASSING: Final = False

# fmt: off
STATUSES: Final[tuple[Status, ...]] = (
    Status(0x00, "ESME_ROK", "taken", PASSING,
           "the carrier has taken it",
           "nothing"),
    Status(0x01, "ESME_RINVMSGLEN", "refuse", PERMANENT,
           "the text is longer than the carrier takes, or its length does not fit the coding",
           "shorten it, or look at long_message and default_alphabet"),
    Status(0x02, "ESME_RINVCMDLEN", "other_carrier", PERMANENT,
           "the carrier could not read the PDU: a field or TLV that it does not expect",
           'leave out TLVs, or write interface_version = "3.3" where it knows none'),
    Status(0x03, "ESME_RINVCMDID", "other_carrier", PERMANENT,
           "the carrier does not know the command, often data_sm",
           'write submit_command = "submit_sm"'),
    Status(0x04, "ESME_RINVBNDSTS", "rebind", PASSING,
           "not allowed on this kind of bind, or the carrier has forgotten that we are bound",
           "smppd binds again; where it stays so, look at bind: a receiver may not submit"),
    Status(0x05, "ESME_RALYBND", "other_carrier", PASSING,
           "more binds than we may have, or the carrier still holds one that was lost",
           "wait for it to let go of the old one; look at binds, and who else uses the system_id"),
    Status(0x06, "ESME_RINVPRTFLG", "other_carrier", PERMANENT,
           "the carrier does not take this priority_flag",
           "write the priority_flag that it takes"),
    Status(0x07, "ESME_RINVREGDLVFLG", "other_carrier", PERMANENT,
           "the carrier does not give receipts, or not on this segment",
           'write receipts = "last" or "none"'),
    Status(0x08, "ESME_RSYSERR", "retry", PASSING,
           "a fault inside the carrier, or whatever it has no other word for",
           "nothing; where it stays, ask the carrier, and give it a verdict of its own"),
    Status(0x0A, "ESME_RINVSRCADR", "other_carrier", PERMANENT,
           "the sender is not registered there, or not written as the carrier wants it",
           "register it, or look at [addresses]"),
    Status(0x0B, "ESME_RINVDSTADR", "other_carrier", PERMANENT,
           "the number does not exist, or the carrier does not go there",
           "look at the number and the routes; where it means the number only: refuse"),
    Status(0x0C, "ESME_RINVMSGID", "other_carrier", PERMANENT,
           "the carrier knows no message of this id (any more); some: the same message twice",
           "nothing for a query or cancel; for a submit_sm ask the carrier"),
    Status(0x0D, "ESME_RBINDFAIL", "other_carrier", PASSING,
           "the bind is refused: credentials, address, wrong host, or too many binds",
           "look at host, system_id, password and binds; ask whether our address is known there",
           is_lasting=True),
    Status(0x0E, "ESME_RINVPASWD", "other_carrier", PERMANENT,
           "the password is wrong",
           "correct the password and reload",
           is_lasting=True),
    Status(0x0F, "ESME_RINVSYSID", "other_carrier", PERMANENT,
           "the system_id is not known, or blocked",
           "correct the system_id and reload, or ask the carrier",
           is_lasting=True),
    Status(0x11, "ESME_RCANCELFAIL", "other_carrier", PERMANENT,
           "cancel_sm: it has gone out already, or the carrier cancels nothing",
           "nothing; the receipt will tell"),
    Status(0x13, "ESME_RREPLACEFAIL", "other_carrier", PERMANENT,
           "replace_sm: it has gone out already, or the carrier replaces nothing",
           "nothing: smppd never replaces"),
    Status(0x14, "ESME_RMSGQFUL", "slow", PASSING,
           "the carrier's queue for us is full",
           "nothing: smppd comes slower and sends it again; where it stays, ask for more"),
    Status(0x15, "ESME_RINVSERTYP", "other_carrier", PERMANENT,
           "the carrier does not know this service_type",
           "write the service_type it gave us, or none"),
    Status(0x33, "ESME_RINVNUMDESTS", "other_carrier", PERMANENT,
           "submit_multi: a number of destinations that it does not take",
           "nothing: smppd sends to one number at a time; ask the carrier"),
    Status(0x34, "ESME_RINVDLNAME", "other_carrier", PERMANENT,
           "submit_multi: no such distribution list",
           "nothing: smppd uses none; ask the carrier"),
    Status(0x40, "ESME_RINVDESTFLAG", "other_carrier", PERMANENT,
           "submit_multi: neither a number nor a list",
           "nothing: smppd sends to one number at a time; ask the carrier"),
    Status(0x42, "ESME_RINVSUBREP", "other_carrier", PERMANENT,
           "it does not take replace_if_present_flag",
           "nothing: smppd never sets it; ask the carrier"),
    Status(0x43, "ESME_RINVESMCLASS", "other_carrier", PERMANENT,
           "the esm_class is not taken, mostly that of a text with a user data header",
           'write long_message = "sar" or "payload"'),
    Status(0x44, "ESME_RCNTSUBDL", "other_carrier", PERMANENT,
           "submit_multi: it does not send to a distribution list",
           "nothing: smppd uses none; ask the carrier"),
    Status(0x45, "ESME_RSUBMITFAIL", "other_carrier", PERMANENT,
           "it was not taken, for whatever reason: content, credit, a blocked number",
           "ask what the carrier means by it, and give it a verdict of its own"),
    Status(0x48, "ESME_RINVSRCTON", "other_carrier", PERMANENT,
           "the sender's type of number is not what the carrier wants",
           "write the one it wants in [addresses]"),
    Status(0x49, "ESME_RINVSRCNPI", "other_carrier", PERMANENT,
           "the sender's numbering plan is not what the carrier wants",
           "write the one it wants in [addresses]"),
    Status(0x50, "ESME_RINVDSTTON", "other_carrier", PERMANENT,
           "the destination's type of number is not what the carrier wants",
           "write the one it wants in [addresses]"),
    Status(0x51, "ESME_RINVDSTNPI", "other_carrier", PERMANENT,
           "the destination's numbering plan is not what the carrier wants",
           "write the one it wants in [addresses]"),
    Status(0x53, "ESME_RINVSYSTYP", "other_carrier", PERMANENT,
           "the system_type is not what the carrier wants",
           "write the one it gave us, or none, and reload",
           is_lasting=True),
    Status(0x54, "ESME_RINVREPFLAG", "other_carrier", PERMANENT,
           "it does not take replace_if_present_flag",
           "nothing: smppd never sets it; ask the carrier"),
    Status(0x55, "ESME_RINVNUMMSGS", "other_carrier", PERMANENT,
           "a number of messages that it does not take",
           "nothing: smppd never asks for it; ask the carrier"),
    Status(0x58, "ESME_RTHROTTLED", "slow", PASSING,
           "we send more a second than was agreed",
           "nothing: smppd comes slower and sends it again; write the agreed throughput"),
    Status(0x61, "ESME_RINVSCHED", "other_carrier", PERMANENT,
           "the carrier takes no schedule_delivery_time, or not this one",
           "nothing: smppd keeps a message until it is due; ask the carrier"),
    Status(0x62, "ESME_RINVEXPIRY", "other_carrier", PERMANENT,
           "the validity_period is too long, or in a form the carrier does not read",
           'write validity = "absolute" or "none", or submit with less valid_for'),
    Status(0x63, "ESME_RINVDFTMSGID", "other_carrier", PERMANENT,
           "no such message among those the carrier keeps ready",
           "nothing: smppd sends whole texts; ask the carrier"),
    Status(0x64, "ESME_RX_T_APPN", "retry", PASSING,
           "a passing fault of the receiving side",
           "nothing"),
    Status(0x65, "ESME_RX_P_APPN", "other_carrier", PERMANENT,
           "a fault of the receiving side that stays",
           "ask the carrier"),
    Status(0x66, "ESME_RX_R_APPN", "refuse", PERMANENT,
           "the receiving side will not have this message",
           "look at what it says, and to whom"),
    Status(0x67, "ESME_RQUERYFAIL", "other_carrier", PASSING,
           "query_sm: the carrier could not look; some: no credit left",
           "ask again later; for a submit_sm ask what the carrier means by it"),
    Status(0xC0, "ESME_RINVOPTPARSTREAM", "other_carrier", PERMANENT,
           "the carrier could not read the TLVs (5.0: ESME_RINVTLVSTREAM)",
           "leave out those of [tlvs], or of the message"),
    Status(0xC1, "ESME_ROPTPARNOTALLWD", "other_carrier", PERMANENT,
           "a TLV that is not allowed here (5.0: ESME_RTLVNOTALLWD)",
           'leave it out; where it is sar_* or message_payload: long_message = "udh8"'),
    Status(0xC2, "ESME_RINVPARLEN", "other_carrier", PERMANENT,
           "a TLV, or an address, of a length that it does not take (5.0: ESME_RINVTLVLEN)",
           "look at the values of [tlvs], or of the message"),
    Status(0xC3, "ESME_RMISSINGOPTPARAM", "other_carrier", PERMANENT,
           "a TLV is missing, such as 0x1400 in India (5.0: ESME_RMISSINGTLV)",
           "write it in [tlvs], or give it with the message"),
    Status(0xC4, "ESME_RINVOPTPARAMVAL", "other_carrier", PERMANENT,
           "a TLV whose value the carrier does not take (5.0: ESME_RINVTLVVAL)",
           "look at the values of [tlvs], or of the message"),
    Status(0xFE, "ESME_RDELIVERYFAILURE", "other_carrier", PERMANENT,
           "it could not be delivered (data_sm)",
           "nothing"),
    Status(0xFF, "ESME_RUNKNOWNERR", "other_carrier", PERMANENT,
           "anything at all; some: no credit left",
           "ask what the carrier means by it, and give it a verdict of its own"),
    Status(0x100, "ESME_RSERTYPUNAUTH", "other_carrier", PERMANENT,
           "we may not use this service_type",
           "write the service_type it gave us, or none"),
    Status(0x101, "ESME_RPROHIBITED", "other_carrier", PERMANENT,
           "we may not use this command, or not from here",
           "ask the carrier what our account may do",
           is_lasting=True),
    Status(0x102, "ESME_RSERTYPUNAVAIL", "retry", PASSING,
           "the service_type is not served just now",
           "nothing"),
    Status(0x103, "ESME_RSERTYPDENIED", "other_carrier", PERMANENT,
           "the service_type is denied to us",
           "write the service_type it gave us, or none"),
    Status(0x104, "ESME_RINVDCS", "other_carrier", PERMANENT,
           "the carrier does not take this data_coding",
           "look at default_alphabet, and at data_coding and flash of the message"),
    Status(0x105, "ESME_RINVSRCADDRSUBUNIT", "other_carrier", PERMANENT,
           "the TLV source_addr_subunit is not taken",
           "leave it out of the message's tlv"),
    Status(0x106, "ESME_RINVDSTADDRSUBUNIT", "other_carrier", PERMANENT,
           "the TLV dest_addr_subunit is not taken",
           "leave it out of the message's tlv"),
    *(
        Status(number, name, "other_carrier", PERMANENT,
           f"cell broadcast: {what}",
           "nothing: smppd broadcasts nothing; ask the carrier",
           )
           for number, name, what in (
           (0x107, "ESME_RINVBCASTFREQINT", "the interval is not taken"),
           (0x108, "ESME_RINVBCASTALIAS_NAME", "no such alias"),
           (0x109, "ESME_RINVBCASTAREAFMT", "the area is in no form it reads"),
           (0x10A, "ESME_RINVNUMBCAST_AREAS", "too many areas, or none"),
           (0x10B, "ESME_RINVBCASTCNTTYPE", "no such type of content"),
           (0x10C, "ESME_RINVBCASTMSGCLASS", "no such message class"),
           (0x10D, "ESME_RBCASTFAIL", "it was not taken"),
           (0x10E, "ESME_RBCASTQUERYFAIL", "the query failed"),
           (0x10F, "ESME_RBCASTCANCELFAIL", "it could not be cancelled"),
           (0x110, "ESME_RINVBCAST_REP", "that many repeats are not taken"),
           (0x111, "ESME_RINVBCASTSRVGRP", "no such service group"),
           (0x112, "ESME_RINVBCASTCHANIND", "no such channel"),
           )),
)
# fmt: on
"""In the order of the numbers."""


class Seen(msgspec.Struct, frozen=True):
    """What one carrier says it means by a number that is its own, or used in a way of its own."""

    command_status: int
    carrier: str
    meaning: str


SEEN: Final[tuple[Seen, ...]] = (
    Seen(0x0C, "Infobip", "the same message twice"),
    Seen(0x22, "Infobip", "no network for the number"),
    Seen(0x45, "Hollatags", "the number is on a do-not-disturb list"),
    Seen(0x9F, "Infobip", "a TLV of the wrong length"),
    Seen(0xFF, "Infobip", "no credit left"),
    Seen(0x400, "Hollatags", "no route"),
    Seen(0x400, "ValueFirst", "no route"),
    Seen(0x401, "Route Mobile", "no credit left"),
    Seen(0x401, "Hollatags", "no credit left"),
    Seen(0x401, "ValueFirst", "no credit left"),
    Seen(0x402, "Route Mobile", "its reseller has no credit left"),
    Seen(0x402, "Hollatags", "more than the credit allowed"),
    Seen(0x403, "Route Mobile", "its distributor has no credit left"),
    Seen(0x403, "Hollatags", "the account is frozen"),
    Seen(0x403, "ValueFirst", "the account is frozen"),
    Seen(0x404, "Route Mobile", "taken for spam"),
    Seen(0x404, "Hollatags", "a field that cannot be read"),
    Seen(0x405, "Route Mobile", "longer than 160 characters"),
    Seen(0x405, "Hollatags", "a fault of ours"),
    Seen(0x406, "Route Mobile", "a user data header of the wrong length"),
    Seen(0x407, "Route Mobile", "the text is empty"),
    Seen(0x408, "Route Mobile", "the number is on a do-not-disturb list"),
    Seen(0x408, "Syniverse", "an invalid registered_delivery"),
    Seen(0x409, "Route Mobile", "the text fits no registered template"),
    Seen(0x409, "Syniverse", "a fault inside the carrier"),
    Seen(0x40A, "Hollatags", "the number is on a do-not-disturb list, or the sender restricted"),
    Seen(0x40A, "Syniverse", "an invalid service_type"),
    Seen(0x40B, "Route Mobile", "the phone has opted out"),
    Seen(0x40B, "Kaleyra", "no credit left"),
    Seen(0x40B, "Syniverse", "a command_length that is wrong"),
    Seen(0x40C, "Syniverse", "not allowed on this bind"),
    Seen(0x40D, "Syniverse", "an invalid message_id"),
    Seen(0x40E, "Syniverse", "its queue is full"),
    Seen(0x40F, "Syniverse", "we send too fast"),
    Seen(0x410, "Syniverse", "an invalid schedule_delivery_time"),
    Seen(0x411, "Route Mobile", "the same message twice"),
    Seen(0x411, "Syniverse", "it was not taken"),
    Seen(0x412, "Route Mobile", "the number is on a do-not-disturb list of its own"),
    Seen(0x412, "Syniverse", "an invalid source_addr_ton"),
    Seen(0x413, "Syniverse", "an invalid dest_addr_ton"),
    Seen(0x415, "Syniverse", "an invalid validity_period"),
    Seen(0x418, "Syniverse", "an invalid data_coding"),
    Seen(0x430, "Hollatags", "a text of a length it does not take"),
    Seen(0x431, "Hollatags", "a fault inside the carrier"),
    Seen(0x432, "Hollatags", "taken for spam"),
    Seen(0x433, "Hollatags", "the text is not in the coding it says"),
    Seen(0x433, "ValueFirst", "the account is not set up"),
    Seen(0x434, "ValueFirst", "the account has expired"),
    Seen(0x435, "ValueFirst", "taken for spam"),
    Seen(0x436, "ValueFirst", "the number is on a do-not-disturb list"),
    Seen(0x438, "ValueFirst", "a number of the wrong length"),
    Seen(0x4A1, "Infobip", "a fault inside the carrier, or its channel is off"),
    Seen(0x4FF, "Hollatags", "a fault inside the carrier"),
    Seen(0x4FF, "ValueFirst", "a fault inside the carrier"),
)
"""From the carriers' own pages, or what those write who are connected to them (read in 2026:
docs.hollatags.com, Infobip's SMPP specification, Route Mobile's SMPP manual, Kaleyra's SMPP
interface, Syniverse's list of 1032 to 1048). Nothing here decides anything: 0x404 is spam to one
and a malformed field to the next, 0x40B no credit, an opt-out or a wrong length."""
