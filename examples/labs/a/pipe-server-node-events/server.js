'use strict';
// File transfer over TCP, server. No thread and no blocking read: a state per connection, moved on by events.

const fs = require('fs');
const net = require('net');

const HOST = '127.0.0.1';
const PORT = 65432;
const SILENCE_MS = 2000;
const QUIET_MS = 200; // the metadata has no end of its own, a pause is its end
const MAX_SIZE = 2 ** 30;
const MAX_METADATA = 2048;

let transfers = 0;

class Transfer {
  constructor(socket) {
    this.socket = socket;
    this.header = Buffer.alloc(0);
    this.state = 'header';
    this.part = `.part-${process.pid}-${++transfers}`;
    socket.setTimeout(SILENCE_MS, () => this.fail('client is silent'));
    socket.on('data', (chunk) => this.onData(chunk));
    socket.on('end', () => this.onEnd());
    socket.on('error', (error) => this.fail(error.message));
    socket.on('close', () => this.fail('connection closed'));
  }

  onData(chunk) {
    clearTimeout(this.quiet);
    try {
      if (this.state === 'header') this.onHeader(chunk);
      else if (this.state === 'body') this.onBody(chunk);
    } catch (error) {
      this.fail(error.message);
    }
  }

  onHeader(chunk) {
    this.header = Buffer.concat([this.header, chunk]);
    const newline = this.header.indexOf('\n');
    const line = newline < 0 ? null : parse(this.header.subarray(0, newline));
    if (line) {
      this.start(line, this.header.subarray(newline + 1));
      return;
    }
    const bare = parse(this.header);
    if (bare) {
      this.quiet = setTimeout(() => this.start(bare, Buffer.alloc(0)), QUIET_MS);
    } else if (this.header.length > MAX_METADATA) {
      this.fail('metadata is too long');
    }
  }

  start({ name, size }, rest) {
    const text = name.toString();
    if (name.length === 0 || name.length > 255 || /^\.\.?$|[/\0]/.test(text) || size > MAX_SIZE) {
      this.fail('name or size refused');
      return;
    }
    this.name = name;
    this.size = size;
    this.received = 0;
    this.state = 'body';
    this.socket.write('ACK');
    try {
      this.file = fs.openSync(this.part, 'w');
      this.onBody(rest);
    } catch (error) {
      this.fail(error.message);
    }
  }

  onBody(chunk) {
    let written = 0;
    while (written < chunk.length) written += fs.writeSync(this.file, chunk, written);
    this.received += chunk.length;
    if (this.received > this.size) this.fail('more bytes than announced');
    else if (this.received === this.size) this.quiet = setTimeout(() => this.store(), QUIET_MS);
  }

  onEnd() {
    if (this.state === 'body' && this.received === this.size) this.store();
    else this.fail('client stopped too early');
  }

  store() {
    this.state = 'storing';
    clearTimeout(this.quiet);
    try {
      fs.fsyncSync(this.file);
      fs.closeSync(this.file);
      this.file = undefined;
      fs.renameSync(this.part, this.name);
    } catch (error) {
      this.fail(error.message);
      return;
    }
    this.state = 'done';
    console.log('[SAVED]', JSON.stringify(this.name.toString()), this.size);
    this.socket.end();
  }

  fail(reason) {
    // A reset behind the last byte does no harm to the file.
    if (this.state === 'body' && this.received === this.size) return this.store();
    clearTimeout(this.quiet);
    this.socket.destroy();
    if (this.state === 'done' || this.state === 'failed') return;
    this.state = 'failed';
    console.log('[ERROR]', reason);
    if (this.file !== undefined) fs.closeSync(this.file);
    fs.rmSync(this.part, { force: true });
  }
}

// name|digits, the last | counts. Returns null if it is not (yet) that.
function parse(bytes) {
  const bar = bytes.lastIndexOf('|');
  const digits = bytes.subarray(bar + 1).toString('latin1');
  if (bar < 0 || !/^[0-9]{1,10}$/.test(digits)) return null;
  return { name: Buffer.from(bytes.subarray(0, bar)), size: Number(digits) };
}

const server = net.createServer((socket) => new Transfer(socket));
server.listen(PORT, HOST, () => console.log('[LISTENING] Waiting for connection...'));
