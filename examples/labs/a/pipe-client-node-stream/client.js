'use strict';
// node client.js FILE

const fs = require('fs');
const net = require('net');
const path = require('path');

const file = process.argv[2];
const name = path.basename(file);
let answer = '';
let sent = false;

function fail(message) {
  console.error('[ERROR]', message);
  process.exit(1);
}

if (name.includes('|')) fail('a name with | cannot be sent');
const size = fs.statSync(file).size;
const everything = Buffer.byteLength(`${name}|${size}`) + size;

const socket = net.connect(65432, '127.0.0.1', () => {
  socket.write(`${name}|${size}`);
});

socket.setTimeout(3000, () => fail('server is silent'));
socket.on('error', (error) => fail(error.message));

socket.on('data', (data) => {
  if (sent) return;
  // the three letters may come one by one
  answer += data.toString('latin1');
  if (!'ACK'.startsWith(answer.slice(0, 3))) fail('no ACK but ' + JSON.stringify(answer));
  if (answer.length >= 3) {
    sent = true;
    // pipe takes care of slow servers, and ends our direction after the last byte
    fs.createReadStream(file)
      .on('error', (error) => fail(error.message))
      .pipe(socket);
  }
});

socket.on('end', () => {
  if (!sent) fail('server closed before ACK');
  // a server may close as soon as it has the last byte
  if (socket.bytesWritten < everything) fail('server closed before it had everything');
});

socket.on('close', () => console.log('[SENT]', name, size));
