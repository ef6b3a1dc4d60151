'use strict';
const fs = require('fs');
const net = require('net');
const path = require('path');

async function* lines(socket) {
  let rest = '';
  for await (const chunk of socket) {
    rest += chunk.toString('latin1');
    let end;
    while ((end = rest.indexOf('\n')) >= 0) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 1);
    }
  }
}

async function expect(replies, wanted) {
  const { value, done } = await replies.next();
  if (done) throw new Error(`server closed before "${wanted}"`);
  if (value !== wanted) throw new Error(`server said "${value}" instead of "${wanted}"`);
  console.log('Received:', value);
}

async function addfile(file) {
  const name = path.basename(file);
  if (name.includes('\n')) throw new Error('line feed in the name');
  const content = fs.createReadStream(file);
  content.on('error', (error) => socket.destroy(error));

  const socket = net.connect({ host: '127.0.0.1', port: 80, allowHalfOpen: true });
  let confirmed = false;
  socket.setTimeout(3000, () => {
    if (confirmed) process.exit(0); // the server only keeps the line open
    socket.destroy(new Error('no answer for three seconds'));
  });
  const replies = lines(socket);

  socket.write(`addfile\n${name}\n`);
  await expect(replies, 'file recv');
  content.pipe(socket); // and ends our side behind the last byte
  await expect(replies, 'file data recv');
  confirmed = true;
  await replies.next(); // until the server's end, or an error
}

addfile(process.argv[2]).then(
  () => process.exit(0),
  (error) => {
    console.error('Error:', error.message);
    process.exit(1);
  },
);
