// npm's sms-segments-calculator (Twilio), asked: a line {"text": ...} in, its count of segments out.
'use strict';

const readline = require('readline');
const { SegmentedMessage } = require('sms-segments-calculator');

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { text } = JSON.parse(line);
  const message = new SegmentedMessage(text);
  const bits = message.segments.map((segment) => segment.messageSizeInBits());
  console.log(JSON.stringify({ encoding: message.encodingName, bits }));
});
