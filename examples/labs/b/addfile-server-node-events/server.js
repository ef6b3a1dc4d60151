'use strict';
// addfile server, event-driven. Texts end with a line feed.

const fs = require('fs');
const net = require('net');

const SILENCE_MS = 2000;
let uploads = 0;

function allowed(name) {
  const text = name.toString();
  return name.length > 0 && name.length < 240 && !/[/\0]/.test(text) && text !== '.' && text !== '..';
}

function serve(socket) {
  console.log(`Client connected: ('${socket.remoteAddress}', ${socket.remotePort})`);
  const temp = `.addfile.${process.pid}.${uploads++}`;
  let pending = Buffer.alloc(0); // bytes that are not understood yet
  let expect = 'command';
  let name = null;
  let file = null;

  function takeLine() {
    const end = pending.indexOf('\n');
    if (end < 0) {
      if (pending.length > 1024) stop('text is too long');
      return null;
    }
    const line = pending.subarray(0, end);
    pending = pending.subarray(end + 1);
    return line;
  }

  function understand() {
    if (expect === 'command') {
      const command = takeLine();
      if (command === null) return;
      console.log('Client command:', JSON.stringify(command.toString()).slice(1, -1));
      if (command.toString() !== 'addfile') return stop('unknown command');
      expect = 'name';
    }
    if (expect === 'name') {
      name = takeLine();
      if (name === null) return;
      if (!allowed(name)) return stop('name refused');
      console.log('Creating new file:', JSON.stringify(name.toString()).slice(1, -1));
      file = fs.openSync(temp, 'w');
      socket.write('file recv\n');
      console.log('Sent: file recv');
      console.log('Receiving file data for:', JSON.stringify(name.toString()).slice(1, -1));
      expect = 'data';
    }
    if (expect === 'data') {
      for (let done = 0; done < pending.length; ) done += fs.writeSync(file, pending, done);
      pending = Buffer.alloc(0);
    }
  }

  function finish() {
    if (expect !== 'data') return stop('closed too early');
    fs.fsyncSync(file);
    fs.closeSync(file);
    file = null;
    expect = 'nothing';
    fs.renameSync(temp, Buffer.concat([Buffer.from('server_'), name]));
    socket.end('file data recv\n');
    console.log('Sent: file data recv');
  }

  function stop(reason) {
    if (reason) console.log('Error:', reason);
    if (file !== null) fs.closeSync(file);
    file = null;
    expect = 'nothing';
    fs.rmSync(temp, { force: true });
    socket.destroy();
  }

  const guarded = (step) => {
    try {
      if (expect !== 'nothing') step();
    } catch (error) {
      stop(error.message);
    }
  };
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    guarded(understand);
  });
  socket.on('end', () => guarded(finish));
  socket.on('error', (error) => stop(error.message));
  socket.setTimeout(SILENCE_MS, () => stop('client is silent'));
}

// allowHalfOpen: the client ends its side first, and still wants to read our confirmation
net.createServer({ allowHalfOpen: true }, serve).listen(80, '127.0.0.1', () => {
  console.log('Server listening on 127.0.0.1 port 80');
});
