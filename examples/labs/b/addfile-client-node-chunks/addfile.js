'use strict';
// node addfile.js HOST PORT FILE

const fs = require('fs');
const net = require('net');
const path = require('path');

const [host, port, file] = process.argv.slice(2);
const name = path.basename(file);
let step = 'name';

function fail(text) {
  console.error(`${file}: ${text}`);
  process.exitCode = 1;
  socket.destroy();
}

const socket = new net.Socket({ allowHalfOpen: true });
socket.setTimeout(3000, () => {
  if (step === 'done') socket.destroy();
  else fail('no answer');
});
socket.on('error', (error) => fail(error.message));

socket.on('data', (message) => {
  const answer = message.toString();
  switch (step) {
    case 'name':
      if (answer !== 'file recv\n') return fail('name not confirmed');
      step = 'data';
      fs.createReadStream(file)
        .on('error', (error) => fail(error.message))
        .pipe(socket);
      break;
    case 'data':
      if (answer !== 'file data recv\n') return fail('data not confirmed');
      step = 'done';
      break;
    default:
      fail('unexpected answer');
  }
});

socket.on('end', () => {
  if (step !== 'done') fail('server closed');
});

if (name.includes('\n') || !fs.existsSync(file)) {
  fail('cannot be sent');
} else {
  socket.connect(Number(port), host, () => socket.write(`addfile\n${name}\n`));
}
