"""The numbers of SMPP 3.4, under the specification's own names.

Plain integers: an enumeration costs a quarter of a microsecond a look-up, and peers send values
that no table has. So nothing here refuses a number: a command_status is opaque (section 5.1.3
reserves ranges, carriers use all of them) and is only ever *named* from a table. The texts of
the statuses are smpplib's; ids, statuses and tags are written out and held equal to smpplib's by
a test. Where 5.0 adds a value that 3.4 peers send anyway, the row says so.
"""

from __future__ import annotations

from typing import Final

from smpplib import consts as smpplib_consts

# Section 5.1.2.1: command_id. A response is its request with the highest bit set.
RESPONSE_BIT: Final = 0x80000000
GENERIC_NACK: Final = 0x80000000
BIND_RECEIVER: Final = 0x00000001
BIND_RECEIVER_RESP: Final = 0x80000001
BIND_TRANSMITTER: Final = 0x00000002
BIND_TRANSMITTER_RESP: Final = 0x80000002
QUERY_SM: Final = 0x00000003
QUERY_SM_RESP: Final = 0x80000003
SUBMIT_SM: Final = 0x00000004
SUBMIT_SM_RESP: Final = 0x80000004
DELIVER_SM: Final = 0x00000005
DELIVER_SM_RESP: Final = 0x80000005
UNBIND: Final = 0x00000006
UNBIND_RESP: Final = 0x80000006
REPLACE_SM: Final = 0x00000007
REPLACE_SM_RESP: Final = 0x80000007
CANCEL_SM: Final = 0x00000008
CANCEL_SM_RESP: Final = 0x80000008
BIND_TRANSCEIVER: Final = 0x00000009
BIND_TRANSCEIVER_RESP: Final = 0x80000009
OUTBIND: Final = 0x0000000B
ENQUIRE_LINK: Final = 0x00000015
ENQUIRE_LINK_RESP: Final = 0x80000015
SUBMIT_MULTI: Final = 0x00000021
SUBMIT_MULTI_RESP: Final = 0x80000021
ALERT_NOTIFICATION: Final = 0x00000102
DATA_SM: Final = 0x00000103
DATA_SM_RESP: Final = 0x80000103

COMMAND_NAMES: Final[dict[int, str]] = {
    command_id: name.lower()
    for name, command_id in tuple(globals().items())
    if name.isupper() and name != "RESPONSE_BIT" and isinstance(command_id, int)
}

# Section 5.1.3: command_status.
ESME_ROK: Final = 0x00000000
ESME_RINVMSGLEN: Final = 0x00000001
ESME_RINVCMDLEN: Final = 0x00000002
ESME_RINVCMDID: Final = 0x00000003
ESME_RINVBNDSTS: Final = 0x00000004
ESME_RALYBND: Final = 0x00000005
ESME_RINVPRTFLG: Final = 0x00000006
ESME_RINVREGDLVFLG: Final = 0x00000007
ESME_RSYSERR: Final = 0x00000008
ESME_RINVSRCADR: Final = 0x0000000A
ESME_RINVDSTADR: Final = 0x0000000B
ESME_RINVMSGID: Final = 0x0000000C
ESME_RBINDFAIL: Final = 0x0000000D
ESME_RINVPASWD: Final = 0x0000000E
ESME_RINVSYSID: Final = 0x0000000F
ESME_RCANCELFAIL: Final = 0x00000011
ESME_RREPLACEFAIL: Final = 0x00000013
ESME_RMSGQFUL: Final = 0x00000014
ESME_RINVSERTYP: Final = 0x00000015
ESME_RINVNUMDESTS: Final = 0x00000033
ESME_RINVDLNAME: Final = 0x00000034
ESME_RINVDESTFLAG: Final = 0x00000040
ESME_RINVSUBREP: Final = 0x00000042
ESME_RINVESMCLASS: Final = 0x00000043
ESME_RCNTSUBDL: Final = 0x00000044
ESME_RSUBMITFAIL: Final = 0x00000045
ESME_RINVSRCTON: Final = 0x00000048
ESME_RINVSRCNPI: Final = 0x00000049
ESME_RINVDSTTON: Final = 0x00000050
ESME_RINVDSTNPI: Final = 0x00000051
ESME_RINVSYSTYP: Final = 0x00000053
ESME_RINVREPFLAG: Final = 0x00000054
ESME_RINVNUMMSGS: Final = 0x00000055
ESME_RTHROTTLED: Final = 0x00000058
ESME_RINVSCHED: Final = 0x00000061
ESME_RINVEXPIRY: Final = 0x00000062
ESME_RINVDFTMSGID: Final = 0x00000063
ESME_RX_T_APPN: Final = 0x00000064
ESME_RX_P_APPN: Final = 0x00000065
ESME_RX_R_APPN: Final = 0x00000066
ESME_RQUERYFAIL: Final = 0x00000067
ESME_RINVOPTPARSTREAM: Final = 0x000000C0
ESME_ROPTPARNOTALLWD: Final = 0x000000C1
ESME_RINVPARLEN: Final = 0x000000C2
ESME_RMISSINGOPTPARAM: Final = 0x000000C3
ESME_RINVOPTPARAMVAL: Final = 0x000000C4
ESME_RDELIVERYFAILURE: Final = 0x000000FE
ESME_RUNKNOWNERR: Final = 0x000000FF

# SMPP 5.0 s4.7.6 adds these; smpplib has none of them.
ESME_RSERTYPUNAUTH: Final = 0x00000100
ESME_RPROHIBITED: Final = 0x00000101
ESME_RSERTYPUNAVAIL: Final = 0x00000102
ESME_RSERTYPDENIED: Final = 0x00000103
ESME_RINVDCS: Final = 0x00000104
ESME_RINVSRCADDRSUBUNIT: Final = 0x00000105
ESME_RINVDSTADDRSUBUNIT: Final = 0x00000106
ESME_RINVBCASTFREQINT: Final = 0x00000107
ESME_RINVBCASTALIAS_NAME: Final = 0x00000108
ESME_RINVBCASTAREAFMT: Final = 0x00000109
ESME_RINVNUMBCAST_AREAS: Final = 0x0000010A
ESME_RINVBCASTCNTTYPE: Final = 0x0000010B
ESME_RINVBCASTMSGCLASS: Final = 0x0000010C
ESME_RBCASTFAIL: Final = 0x0000010D
ESME_RBCASTQUERYFAIL: Final = 0x0000010E
ESME_RBCASTCANCELFAIL: Final = 0x0000010F
ESME_RINVBCAST_REP: Final = 0x00000110
ESME_RINVBCASTSRVGRP: Final = 0x00000111
ESME_RINVBCASTCHANIND: Final = 0x00000112

STATUS_NAMES: Final[dict[int, str]] = {
    status: name
    for name, status in tuple(globals().items())
    if name.startswith("ESME_") and isinstance(status, int)
}

# smpplib leaves one text unset; the specification has it.
STATUS_TEXTS: Final[dict[int, str]] = {
    **smpplib_consts.DESCRIPTIONS,
    ESME_RINVREGDLVFLG: "Invalid Registered Delivery Flag",
    ESME_RSERTYPUNAUTH: "ESME not authorised to use the service_type",
    ESME_RPROHIBITED: "ESME prohibited from using the operation",
    ESME_RSERTYPUNAVAIL: "The service_type is unavailable",
    ESME_RSERTYPDENIED: "The service_type is denied",
    ESME_RINVDCS: "Invalid data_coding",
    ESME_RINVSRCADDRSUBUNIT: "Invalid source_addr_subunit",
    ESME_RINVDSTADDRSUBUNIT: "Invalid dest_addr_subunit",
    ESME_RINVBCASTFREQINT: "Invalid broadcast_frequency_interval",
    ESME_RINVBCASTALIAS_NAME: "Invalid broadcast_area alias name",
    ESME_RINVBCASTAREAFMT: "Invalid broadcast_area format",
    ESME_RINVNUMBCAST_AREAS: "Invalid number of broadcast areas",
    ESME_RINVBCASTCNTTYPE: "Invalid broadcast_content_type",
    ESME_RINVBCASTMSGCLASS: "Invalid broadcast_message_class",
    ESME_RBCASTFAIL: "broadcast_sm failed",
    ESME_RBCASTQUERYFAIL: "query_broadcast_sm failed",
    ESME_RBCASTCANCELFAIL: "cancel_broadcast_sm failed",
    ESME_RINVBCAST_REP: "Invalid number of repeats of a broadcast",
    ESME_RINVBCASTSRVGRP: "Invalid broadcast_service_group",
    ESME_RINVBCASTCHANIND: "Invalid broadcast_channel_indicator",
}

# Section 5.2.5: type of number.
TON_UNKNOWN: Final = 0x00
TON_INTERNATIONAL: Final = 0x01
TON_NATIONAL: Final = 0x02
TON_NETWORK_SPECIFIC: Final = 0x03
TON_SUBSCRIBER_NUMBER: Final = 0x04
TON_ALPHANUMERIC: Final = 0x05
TON_ABBREVIATED: Final = 0x06

# Section 5.2.6: numbering plan indicator.
NPI_UNKNOWN: Final = 0x00
NPI_ISDN: Final = 0x01
NPI_DATA: Final = 0x03
NPI_TELEX: Final = 0x04
NPI_LAND_MOBILE: Final = 0x06
NPI_NATIONAL: Final = 0x08
NPI_PRIVATE: Final = 0x09
NPI_ERMES: Final = 0x0A
NPI_INTERNET: Final = 0x0E
NPI_WAP_CLIENT_ID: Final = 0x12

# Section 5.2.4: interface_version, by the way people write it. 5.0 is SMPP 5.0's own.
INTERFACE_VERSIONS: Final[dict[str, int]] = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}

# Section 5.2.12: esm_class. Always test with a mask: a receipt can carry UDHI as well.
ESM_MODE_MASK: Final = 0x03
ESM_MODE_DEFAULT: Final = 0x00
ESM_MODE_DATAGRAM: Final = 0x01
ESM_MODE_FORWARD: Final = 0x02
ESM_MODE_STORE_AND_FORWARD: Final = 0x03
ESM_TYPE_MASK: Final = 0x3C
ESM_TYPE_DEFAULT: Final = 0x00
ESM_TYPE_RECEIPT: Final = 0x04
ESM_TYPE_DELIVERY_ACK: Final = 0x08
ESM_TYPE_USER_ACK: Final = 0x10
ESM_TYPE_CONVERSATION_ABORT: Final = 0x18
ESM_TYPE_INTERMEDIATE: Final = 0x20
ESM_UDHI: Final = 0x40
ESM_REPLY_PATH: Final = 0x80

# Section 5.2.17: registered_delivery. The text calls the notification bit 5, its pattern
# (xxx1xxxx) is bit 4; peers follow the pattern.
REGISTERED_DELIVERY_MASK: Final = 0x03
REGISTERED_DELIVERY_NONE: Final = 0x00
REGISTERED_DELIVERY_BOTH: Final = 0x01
REGISTERED_DELIVERY_FAILURE: Final = 0x02
REGISTERED_DELIVERY_INTERMEDIATE: Final = 0x10

# Section 5.2.19: data_coding, the three we write.
DATA_CODING_DEFAULT: Final = 0x00
DATA_CODING_LATIN1: Final = 0x03
DATA_CODING_UCS2: Final = 0x08

# Section 5.3.2: tags of optional parameters.
TLV_DEST_ADDR_SUBUNIT: Final = 0x0005
TLV_DEST_NETWORK_TYPE: Final = 0x0006
TLV_DEST_BEARER_TYPE: Final = 0x0007
TLV_DEST_TELEMATICS_ID: Final = 0x0008
TLV_SOURCE_ADDR_SUBUNIT: Final = 0x000D
TLV_SOURCE_NETWORK_TYPE: Final = 0x000E
TLV_SOURCE_BEARER_TYPE: Final = 0x000F
TLV_SOURCE_TELEMATICS_ID: Final = 0x0010
TLV_QOS_TIME_TO_LIVE: Final = 0x0017
TLV_PAYLOAD_TYPE: Final = 0x0019
TLV_ADDITIONAL_STATUS_INFO_TEXT: Final = 0x001D
TLV_RECEIPTED_MESSAGE_ID: Final = 0x001E
TLV_MS_MSG_WAIT_FACILITIES: Final = 0x0030
TLV_PRIVACY_INDICATOR: Final = 0x0201
TLV_SOURCE_SUBADDRESS: Final = 0x0202
TLV_DEST_SUBADDRESS: Final = 0x0203
TLV_USER_MESSAGE_REFERENCE: Final = 0x0204
TLV_USER_RESPONSE_CODE: Final = 0x0205
TLV_SOURCE_PORT: Final = 0x020A
TLV_DESTINATION_PORT: Final = 0x020B
TLV_SAR_MSG_REF_NUM: Final = 0x020C
TLV_LANGUAGE_INDICATOR: Final = 0x020D
TLV_SAR_TOTAL_SEGMENTS: Final = 0x020E
TLV_SAR_SEGMENT_SEQNUM: Final = 0x020F
TLV_SC_INTERFACE_VERSION: Final = 0x0210
TLV_CALLBACK_NUM_PRES_IND: Final = 0x0302
TLV_CALLBACK_NUM_ATAG: Final = 0x0303
TLV_NUMBER_OF_MESSAGES: Final = 0x0304
TLV_CALLBACK_NUM: Final = 0x0381
TLV_DPF_RESULT: Final = 0x0420
TLV_SET_DPF: Final = 0x0421
TLV_MS_AVAILABILITY_STATUS: Final = 0x0422
TLV_NETWORK_ERROR_CODE: Final = 0x0423
TLV_MESSAGE_PAYLOAD: Final = 0x0424
TLV_DELIVERY_FAILURE_REASON: Final = 0x0425
TLV_MORE_MESSAGES_TO_SEND: Final = 0x0426
TLV_MESSAGE_STATE: Final = 0x0427
TLV_USSD_SERVICE_OP: Final = 0x0501
TLV_DISPLAY_TIME: Final = 0x1201
TLV_SMS_SIGNAL: Final = 0x1203
TLV_MS_VALIDITY: Final = 0x1204
TLV_ALERT_ON_MESSAGE_DELIVERY: Final = 0x130C
TLV_ITS_REPLY_TYPE: Final = 0x1380
TLV_ITS_SESSION_INFO: Final = 0x1383

# Section 5.2.28: message_state. SCHEDULED and SKIPPED are of 5.0 and come from 3.4 peers too.
MESSAGE_STATE_SCHEDULED: Final = 0
MESSAGE_STATE_ENROUTE: Final = 1
MESSAGE_STATE_DELIVERED: Final = 2
MESSAGE_STATE_EXPIRED: Final = 3
MESSAGE_STATE_DELETED: Final = 4
MESSAGE_STATE_UNDELIVERABLE: Final = 5
MESSAGE_STATE_ACCEPTED: Final = 6
MESSAGE_STATE_UNKNOWN: Final = 7
MESSAGE_STATE_REJECTED: Final = 8
MESSAGE_STATE_SKIPPED: Final = 9

MESSAGE_STATES: Final[dict[int, str]] = {
    MESSAGE_STATE_SCHEDULED: "SCHEDULED",
    MESSAGE_STATE_ENROUTE: "ENROUTE",
    MESSAGE_STATE_DELIVERED: "DELIVERED",
    MESSAGE_STATE_EXPIRED: "EXPIRED",
    MESSAGE_STATE_DELETED: "DELETED",
    MESSAGE_STATE_UNDELIVERABLE: "UNDELIVERABLE",
    MESSAGE_STATE_ACCEPTED: "ACCEPTED",
    MESSAGE_STATE_UNKNOWN: "UNKNOWN",
    MESSAGE_STATE_REJECTED: "REJECTED",
    MESSAGE_STATE_SKIPPED: "SKIPPED",
}

# Section 5.1.4: sequence_number.
SEQUENCE_NUMBER_MIN: Final = 0x00000001
SEQUENCE_NUMBER_MAX: Final = 0x7FFFFFFF

VENDOR_STATUSES: Final = range(0x0400, 0x0500)  # section 5.1.3


def status_name(command_status: int) -> str:
    """``ESME_RTHROTTLED``, or the eight hexadecimal digits of a status the table lacks."""
    return STATUS_NAMES.get(command_status) or f"0x{command_status:08X}"


def status_text(command_status: int) -> str:
    """What the specification says of a status; never fails, whatever a carrier made up."""
    text = STATUS_TEXTS.get(command_status)
    if text is not None:
        return text
    if command_status in VENDOR_STATUSES:
        return "Carrier's own error code"
    return "Error code outside SMPP 3.4"


def command_name(command_id: int) -> str:
    """``submit_sm``, or the eight hexadecimal digits of a command the table lacks."""
    return COMMAND_NAMES.get(command_id) or f"0x{command_id:08X}"
