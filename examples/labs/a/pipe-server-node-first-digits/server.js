'use strict';

const fs = require('fs');
const net = require('net');

const PORT = 65432;
const LIMIT = 1024 * 1024 * 1024;
let counter = 0;

function goodName(name) {
  return name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

function serve(socket) {
  const temp = `.tmp${counter++}`;
  let header = Buffer.alloc(0);
  let name = null;
  let size = 0;
  let received = 0;
  let fd = null;

  function onHeader(chunk) {
    header = Buffer.concat([header, chunk]);
    // latin1 does not change any byte
    const match = /^(.+)\|(\d+)(\n?)/.exec(header.toString('latin1'));
    if (!match) {
      if (header.length > 4000) socket.destroy();
      return;
    }
    name = Buffer.from(match[1], 'latin1').toString('utf8');
    size = Number(match[2]);
    if (!goodName(name) || size > LIMIT) {
      console.log('[REFUSED]', JSON.stringify(name), size);
      socket.destroy();
      return;
    }
    fd = fs.openSync(temp, 'w');
    socket.write('ACK');
    onBody(header.subarray(match[0].length));
  }

  function onBody(chunk) {
    const part = chunk.subarray(0, size - received);
    if (part.length > 0) fs.writeSync(fd, part);
    received += part.length;
    if (received === size) store();
  }

  function store() {
    fs.fsyncSync(fd);
    fs.closeSync(fd);
    fd = null;
    try {
      fs.renameSync(temp, name);
      console.log('[SAVED]', JSON.stringify(name), size);
    } catch (err) {
      console.log('[ERROR]', err.message);
      fs.unlinkSync(temp);
    }
    socket.removeAllListeners('data');
    socket.resume();
    socket.end();
  }

  socket.on('data', (chunk) => {
    if (name === null) onHeader(chunk);
    else if (fd !== null) onBody(chunk);
  });
  socket.setTimeout(2000, () => socket.destroy());
  socket.on('error', (err) => console.log('[ERROR]', err.message));
  socket.on('close', () => {
    if (fd !== null) {
      console.log('[ERROR] incomplete:', JSON.stringify(name));
      fs.closeSync(fd);
      fs.unlinkSync(temp);
    }
  });
}

net.createServer(serve).listen(PORT, '127.0.0.1', () => {
  console.log('[LISTENING] Waiting for connection...');
});
