'use strict';
const fs = require('fs');
const net = require('net');
const path = require('path');

const file = process.argv[2];
const name = path.basename(file);
const data = fs.readFileSync(file);

if (name.includes('\n')) {
  console.error('Sorry, no line feeds in names.');
  process.exit(1);
}

const socket = net.connect(80, '127.0.0.1');
let text = '';
let confirmed = false;
let finished = false;

function error(message) {
  console.error('Error:', message);
  process.exit(1);
}

socket.setTimeout(3000, () => error('server does not answer'));
socket.on('error', (e) => error(e.message));
socket.on('connect', () => socket.write('addfile\n' + name + '\n'));

socket.on('data', (chunk) => {
  text += chunk.toString('latin1');
  if (confirmed || !text.includes('\n')) return;
  if (text !== 'file recv\n') error('unexpected: ' + text);
  confirmed = true;
  socket.write(data, () => {
    // the server takes the end of the connection as the end of the file
    finished = true;
    socket.destroy();
  });
});

socket.on('close', () => {
  if (!finished) error('server closed the connection');
  console.log('Sent', name);
});
