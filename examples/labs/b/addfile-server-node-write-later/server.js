'use strict';

const fs = require('fs');
const net = require('net');

const HOST = '127.0.0.1';
const PORT = 80;

class Session {
  constructor(socket, id) {
    this.socket = socket;
    this.temp = `.session${id}`;
    this.lines = [];
    this.buffer = Buffer.alloc(0);
    this.data = [];
  }

  receive(chunk) {
    if (this.lines.length === 2) {
      this.data.push(chunk);
      return;
    }
    this.buffer = Buffer.concat([this.buffer, chunk]);
    while (this.lines.length < 2) {
      const end = this.buffer.indexOf('\n');
      if (end === -1) {
        if (this.buffer.length > 500) this.socket.destroy();
        return;
      }
      this.lines.push(this.buffer.toString('utf8', 0, end));
      this.buffer = this.buffer.subarray(end + 1);
    }
    this.request();
    this.data.push(this.buffer);
  }

  request() {
    const [command, name] = this.lines;
    console.log('Client command: ' + command);
    if (command !== 'addfile' || name === '' || name.includes('/') || name.includes('\0')) {
      this.socket.destroy();
      return;
    }
    console.log('Creating new file: ' + name);
    this.socket.write('file recv\n');
    console.log('Sent: file recv');
    console.log('Receiving file data for: ' + name);
  }

  finish() {
    if (this.lines.length < 2 || this.socket.destroyed) {
      this.socket.destroy();
      return;
    }
    // All data is here. The client need not wait for our disk.
    this.socket.end('file data recv\n', () => {
      console.log('Sent: file data recv');
      this.save('server_' + this.lines[1]);
    });
  }

  save(file) {
    try {
      const fd = fs.openSync(this.temp, 'w');
      fs.writeFileSync(fd, Buffer.concat(this.data));
      fs.fsyncSync(fd);
      fs.closeSync(fd);
      fs.renameSync(this.temp, file);
    } catch (error) {
      console.log('Error: ' + error.message);
    }
  }
}

let sessions = 0;
const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  console.log(`Client connected: ('${socket.remoteAddress}', ${socket.remotePort})`);
  const session = new Session(socket, ++sessions);
  socket.setTimeout(2000, () => socket.destroy());
  socket.on('data', (chunk) => session.receive(chunk));
  socket.on('end', () => session.finish());
  socket.on('error', (error) => console.log('Error: ' + error.message));
});
server.listen(PORT, HOST, () => console.log(`Server listening on ${HOST} port ${PORT}`));
