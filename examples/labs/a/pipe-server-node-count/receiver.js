'use strict';
const fs = require('fs');
const net = require('net');

const QUIET = 200;
const TIMEOUT = 2000;
let connections = 0;

net.createServer((socket) => {
  let head = Buffer.alloc(0);
  let job = null;
  let quiet;
  const temporary = '.receive.' + connections++;

  const split = (bytes) => {
    const bar = bytes.lastIndexOf(0x7c);
    const digits = String(bytes.subarray(bar + 1));
    if (bar < 1 || !/^\d{1,10}$/.test(digits)) return null;
    return { name: bytes.subarray(0, bar).toString(), size: parseInt(digits, 10) };
  };

  const begin = (found, first) => {
    const forbidden = ['.', '..'].includes(found.name) || /[/\0]/.test(found.name);
    if (forbidden || found.size > 2 ** 30) {
      socket.destroy();
      return;
    }
    job = { ...found, count: 0, done: false, fd: fs.openSync(temporary, 'w') };
    socket.write('ACK');
    if (first.length > 0) receive(first);
  };

  const receive = (chunk) => {
    fs.writeSync(job.fd, chunk);
    job.count += chunk.length;
    job.done = job.count === job.size;
    if (job.done) quiet = setTimeout(complete, QUIET);
    else if (job.count > job.size) socket.destroy();
  };

  const complete = () => {
    clearTimeout(quiet);
    fs.fsyncSync(job.fd);
    fs.closeSync(job.fd);
    job.fd = null;
    try {
      fs.renameSync(temporary, job.name);
      console.log('[SAVED]', job.count, 'bytes');
    } catch (error) {
      console.log('[ERROR]', error.code);
      fs.unlinkSync(temporary);
    }
    socket.end();
  };

  socket.on('data', (chunk) => {
    clearTimeout(quiet);
    if (job !== null) {
      if (job.fd !== null) receive(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const newline = head.indexOf(10);
    const line = newline > 0 ? split(head.subarray(0, newline)) : null;
    const open = split(head);
    if (line) begin(line, head.subarray(newline + 1));
    else if (open) quiet = setTimeout(() => begin(open, ''), QUIET);
    else if (head.length > 1500) socket.destroy();
  });

  const closed = () => {
    clearTimeout(quiet);
    if (job === null || job.fd === null) return;
    if (job.done) {
      complete();
      return;
    }
    fs.closeSync(job.fd);
    job.fd = null;
    fs.unlinkSync(temporary);
    console.log('[ERROR] only', job.count, 'of', job.size, 'bytes');
  };

  socket.on('end', closed);
  socket.on('close', closed);
  socket.setTimeout(TIMEOUT, () => socket.destroy());
  socket.on('error', (error) => console.log('[ERROR]', error.code));
}).listen(65432, '127.0.0.1');
console.log('[LISTENING] Waiting for connection...');
