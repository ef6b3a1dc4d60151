'use strict';
// Lab B, UPLOAD. Files are kept in the folder where the server was started.

const fs = require('fs');
const net = require('net');
const path = require('path');

const FOLDER = process.cwd();
let next = 1;

net.createServer({ allowHalfOpen: true }, (socket) => {
  let input = Buffer.alloc(0);
  let command = null;
  let target = null;
  let file = null;
  const part = path.join(FOLDER, '.part' + next++);

  function text() {
    const end = input.indexOf('\n');
    if (end < 0) return null;
    const line = input.toString('utf8', 0, end);
    input = input.subarray(end + 1);
    return line;
  }

  function start(name) {
    console.log(command, name);
    target = path.join(FOLDER, name);
    const folder = fs.existsSync(target) && fs.statSync(target).isDirectory();
    if (command !== 'UPLOAD' || folder) {
      socket.end('NOT FOUND\n');
      return;
    }
    file = fs.openSync(part, 'w');
    socket.write('OK\n');
  }

  function work() {
    if (command === null) command = text();
    if (command !== null && target === null) {
      const name = text();
      if (name !== null) start(name);
    }
    if (target === null) {
      if (input.length > 1000) socket.destroy();
      return;
    }
    if (file !== null) fs.writeSync(file, input);
    input = Buffer.alloc(0);
  }

  function done() {
    if (file !== null) {
      fs.fsyncSync(file);
      fs.closeSync(file);
      file = null;
      fs.renameSync(part, target);
      console.log('stored', target);
    }
    socket.end();
  }

  function clean() {
    if (file !== null) {
      fs.closeSync(file);
      file = null;
      fs.unlinkSync(part);
    }
  }

  const attempt = (f) => {
    try {
      f();
    } catch (error) {
      console.log('Error:', error.message);
      socket.destroy();
    }
  };

  socket.on('data', (chunk) => {
    input = Buffer.concat([input, chunk]);
    attempt(work);
  });
  socket.on('end', () => attempt(done));
  socket.on('close', () => attempt(clean));
  socket.on('error', (error) => console.log('Error:', error.message));
  socket.setTimeout(2000, () => socket.destroy());
}).listen(80, '127.0.0.1', () => console.log('Server listening on 127.0.0.1 port 80'));
