// An SMSC of npm's smpp (node-smpp), steered by the destination and telling what it read.
//
//   node smsc.js LEDGER ALPHABET PORT...
//
// ALPHABET is what data_coding 0 means here: ASCII (that package's name for GSM 03.38) or LATIN1.
// LEDGER gets one JSON object a line: each bind, each submit as it was decoded, each message as
// soon as all of its parts are there, and the answer to each receipt. All decoding is the
// package's; what is joined here is joined by what the parts themselves say.
'use strict';

const fs = require('fs');
const smpp = require('smpp');

const [ledger, alphabet, ...ports] = process.argv.slice(2);
const PASSWORD = 'secret';
const LATE_MILLISECONDS = 500;
const SEGMENTS = { 0x00: (ie) => [ie[2], ie[3], ie[4]], 0x08: (ie) => [ie.readUInt16BE(2), ie[4], ie[5]] };

// What becomes of a submit, by the last two digits of its destination; the rest is taken at once
// and its receipt says delivered.
const TAKEN = { receipt: 'DELIVRD' };
const FATES = {
  '01': { status: smpp.ESME_RINVDSTADR },
  '02': { status: smpp.ESME_RTHROTTLED, once: true, receipt: 'DELIVRD' },
  '03': { late: true, receipt: 'DELIVRD' },
  '04': { silent: true, once: true, receipt: 'DELIVRD' },
  '05': { silent: true },
  '06': { receipt: 'UNDELIV' },
  '07': { receipt: 'DELIVRD', bare: true },
  '08': { receipt: 'DELIVRD', command: 'data_sm' },
};
const STATES = { DELIVRD: 2, UNDELIV: 5 };

smpp.encodings.default = alphabet;

const seen = new Set();
const parts = new Map();
let messages = 0;

function write(row) {
  fs.appendFileSync(ledger, JSON.stringify(row) + '\n');
}

function asText(message) {
  return Buffer.isBuffer(message) ? 'hex:' + message.toString('hex') : message;
}

// The text of a submit and where it stands in its message: [reference, total, number].
function read(pdu) {
  const isPayload = 'message_payload' in pdu;
  const { message, udh = [] } = isPayload ? pdu.message_payload : pdu.short_message;
  const joint = udh.filter((ie) => ie[0] in SEGMENTS).map((ie) => SEGMENTS[ie[0]](ie));
  if ('sar_total_segments' in pdu) {
    joint.push([pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum]);
  }
  const header = Buffer.concat(udh).toString('hex');
  return { isPayload, text: asText(message), header, joint };
}

function record(port, pdu, status, messageId) {
  const { isPayload, text, header, joint } = read(pdu);
  const where = { port: +port, source: pdu.source_addr, destination: pdu.destination_addr };
  write({
    row: 'submit', ...where, command: pdu.command, status, message_id: messageId, text, header, joint,
    payload: isPayload, data_coding: pdu.data_coding, esm_class: pdu.esm_class,
    registered_delivery: pdu.registered_delivery, time_to_live: pdu.qos_time_to_live,
    vendor: pdu[0x1400] ? pdu[0x1400].toString('hex') : null,
  });
  if (status) return;
  if (joint.length === 0) {
    write({ row: 'message', ...where, text, parts: 1 });
    return;
  }
  const [reference, total, number] = joint[0];
  const key = [port, pdu.source_addr, pdu.destination_addr, reference, total].join('/');
  const texts = parts.get(key) || parts.set(key, new Map()).get(key);
  texts.set(number, text);
  if (texts.size === total) {
    const whole = [...texts.keys()].sort((a, b) => a - b).map((n) => texts.get(n)).join('');
    write({ row: 'message', ...where, text: whole, parts: total });
    parts.delete(key);
  }
}

function sendReceipt(session, pdu, messageId, fate) {
  const text = `id:${messageId} sub:001 dlvrd:001 submit date:2601021530 done date:2601021531 ` +
    `stat:${fate.receipt} err:000 text:`;
  const fields = {
    source_addr_ton: pdu.dest_addr_ton, source_addr_npi: pdu.dest_addr_npi,
    source_addr: pdu.destination_addr, dest_addr_ton: pdu.source_addr_ton,
    dest_addr_npi: pdu.source_addr_npi, destination_addr: pdu.source_addr,
    esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT, data_coding: 0,
  };
  const command = fate.command || 'deliver_sm';
  if (command === 'data_sm') fields.message_payload = text;
  else if (!fate.bare) fields.short_message = text;
  if (fate.bare || command === 'data_sm') {
    fields.receipted_message_id = messageId;
    fields.message_state = STATES[fate.receipt];
  }
  session[command](fields, (answer) => {
    write({ row: 'receipt_answer', message_id: messageId, command, status: answer.command_status });
  });
}

function answer(session, port, pdu) {
  const key = [port, pdu.destination_addr].join('/');
  let fate = FATES[pdu.destination_addr.slice(-2)] || TAKEN;
  if (fate.once && seen.has(key)) fate = TAKEN;
  seen.add(key);
  if (fate.silent) {
    record(port, pdu, -1, '');
    return;
  }
  const status = fate.status || 0;
  const messageId = status ? '' : 'node' + (++messages).toString(16).padStart(8, '0');
  record(port, pdu, status, messageId);
  const respond = () => session.send(pdu.response(status ? { command_status: status } : { message_id: messageId }));
  const isAsked = !status && (pdu.registered_delivery & 3) === 1 && fate.receipt;
  if (fate.late) setTimeout(respond, LATE_MILLISECONDS);
  else respond();
  if (isAsked) sendReceipt(session.partner || session, pdu, messageId, fate);
}

function bind(session, port, kind, pdu) {
  const status = pdu.password === PASSWORD ? 0 : smpp.ESME_RINVPASWD;
  write({ row: 'bind', port: +port, kind, system_id: pdu.system_id, version: pdu.interface_version, status });
  const answer = { system_id: 'node', sc_interface_version: 0x34 };
  session.send(pdu.response(status ? { command_status: status } : answer));
}

function serve(port) {
  let receiver = null;
  const server = smpp.createServer((session) => {
    session.on('bind_transceiver', (pdu) => bind(session, port, 'transceiver', pdu));
    session.on('bind_transmitter', (pdu) => bind(session, port, 'transmitter', pdu));
    session.on('bind_receiver', (pdu) => {
      receiver = session;
      bind(session, port, 'receiver', pdu);
    });
    for (const command of ['submit_sm', 'data_sm']) {
      session.on(command, (pdu) => {
        session.partner = receiver;
        answer(session, port, pdu);
      });
    }
    session.on('enquire_link', (pdu) => session.send(pdu.response()));
    session.on('unbind', (pdu) => {
      session.send(pdu.response());
      session.close();
    });
    session.on('error', () => session.destroy());
  });
  return new Promise((resolve) => server.listen(+port, '127.0.0.1', resolve));
}

process.on('SIGTERM', () => process.exit(0));
Promise.all(ports.map(serve)).then(() => console.log('ready'));
