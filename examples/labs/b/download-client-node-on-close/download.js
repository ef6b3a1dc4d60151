'use strict';
const fs = require('fs');
const net = require('net');
const path = require('path');

const name = path.basename(process.argv[2] || '');
if (['', '.', '..'].includes(name) || name.includes('\n')) {
  console.error('usage: node download.js NAME');
  process.exit(2);
}
const temp = `.${process.pid}.part`;

let status = Buffer.alloc(0);
let file = null;

const socket = net.createConnection(80, '127.0.0.1', () => {
  socket.write('DOWNLOAD\n' + name + '\n');
});

socket.on('data', (chunk) => {
  if (file !== null) {
    fs.writeSync(file, chunk);
    return;
  }
  status = Buffer.concat([status, chunk]);
  const end = status.indexOf('\n');
  if (end < 0) return;
  const text = status.toString('utf8', 0, end);
  if (text !== 'OK') {
    console.error('Server:', text);
    process.exit(1);
  }
  file = fs.openSync(temp, 'w');
  fs.writeSync(file, status, end + 1);
});

socket.setTimeout(3000, () => {
  console.error('Server is silent.');
  if (file !== null) fs.unlinkSync(temp);
  process.exit(1);
});

socket.on('error', (error) => console.error(error.message));

// comes when the connection is over
socket.on('close', () => {
  if (file === null) {
    console.error('No file received.');
    process.exit(1);
  }
  fs.fsyncSync(file);
  fs.closeSync(file);
  fs.renameSync(temp, name);
  console.log('Downloaded', name);
});
